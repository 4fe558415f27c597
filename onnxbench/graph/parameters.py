"""Parameters of a network: which constants are weights, and how much they hold (rules W1 to W7).

Whatever is computed from constants alone is a constant, and what counts is the leaf at the far end
of such a chain: the tensor that the file stores, or the one that a ConstantOfShape fills. Its size
comes from its shape; nothing is ever computed. Leaves get their role from the operators that read
the end of the chain, so the roles flow from there up to the leaves.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from onnxbench.graph.leaves import STRING, copied, identity, nonzeros, sparse_proto, stored_size
from onnxbench.graph.network import Unknown
from onnxbench.graph.precision import NAMES
from onnxbench.graph.profile import Parameters
from onnxbench.graph.roles import role

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from onnxbench.graph.network import Graph, Node, Tensor
    from onnxbench.graph.reader import Payload
    from onnxbench.graph.roles import Role

SETTING_ELEMENTS = 64
"""A list of integers or truth values up to this long is a setting; a longer one is a table."""

_Group = Literal["params", "buffers", "other"]

_UINT8 = 2
_FLOATS = frozenset({1, 10, 11, 14, 15, 16, 17, 18, 19, 20, 23, 24, 27, 28})
_CODES = frozenset({_UINT8, 3, 21, 22, 25, 26})
"""Integers of at most 8 bits: as an operand they are quantized weights."""

_TORCH_KIND = "pkg.torch.export.graph_signature.InputSpec.kind"

_BUFFERS = frozenset({
    "attention_bias_idxs", "attn_mask", "causal_mask", "freq_inv", "inv_freq", "masked_bias",
    "num_batches_tracked", "pos_embed_cos", "pos_embed_sin", "position_ids",
    "relative_coords_table", "relative_position_index", "running_mean", "running_var",
    "token_type_ids",
})  # fmt: skip
"""Last part of the names by which torch networks register tensors that are not learned."""

_TORCH_CONSTANT = re.compile(r"/(?:.*/)?Constant(?:_[0-9]+)?_output_0")
"""What torch's older exporter calls a tensor that is neither parameter nor persistent buffer."""

_GENERATORS = frozenset({"ConstantOfShape", "EyeLike"})
_REARRANGING = frozenset({
    "Cast", "CastLike", "Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice",
    "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip
_LEAF_OPERATORS = _GENERATORS | {"Constant"}

_PACKED_BITS = {
    "GatherBlockQuantized": "bits",
    "MatMulBnb4": "bits",
    "MatMulFpQ4": "bits",
    "MatMulNBits": "bits",
    "MatMulNBitsMlp": "bits",
    "MatMulNBitsQkv": "bits",
    "QMoE": "expert_weight_bits",
}
"""Operators that take weights several to a byte, with the attribute for their bits (default 4)."""


@dataclass(frozen=True, slots=True)
class Weights:
    """``totals`` of a graph; ``by_node``: elements and bytes of the params it is first to use."""

    totals: Parameters
    by_node: Mapping[Node, tuple[int, int]]


@dataclass(slots=True)
class _Use:
    """How a leaf is used.

    ``users``: the first node that computes with it, and the second one where there are more; None
    is the graph's output. What only asks for its shape is no user.
    ``packed``: the operator that takes several weights in one byte of it.
    """

    leaf: Tensor
    roles: set[Role] = field(default_factory=set)
    users: list[Node | None] = field(default_factory=list)
    packed: Node | None = None


def parameters(graph: Graph, dropped: Mapping[int, Payload]) -> Weights:
    """Return the constants of ``graph`` and its subgraphs, each stored object once.

    ``dropped``: payloads that were left in the file, of `onnxbench.graph.reader.strip`. Linear in
    the number of nodes.
    """
    search = _Search()
    for node, as_role, tensor in _uses(graph, None):
        search.reach(tensor, as_role, node)
    book = _Book(dropped, search.uses)
    for use in search.uses.values():
        book.enter(use, copied(use.leaf, graph))
    for leaf in _stored(graph):
        book.enter_if_dead(leaf)
    return Weights(book.totals(), book.by_node)


class _Search:
    """Follows constants from the nodes that use them up to the leaves."""

    def __init__(self) -> None:
        self.uses: dict[Hashable, _Use] = {}
        self._first: dict[tuple[int, Role], Node | None] = {}
        self._several: set[tuple[int, Role]] = set()

    def reach(self, tensor: Tensor, as_role: Role, node: Node | None) -> None:
        """Note that ``node`` uses ``tensor``, and with it all the leaves that it is made of."""
        stack = [(tensor, as_role)]
        while stack:
            found, of = stack.pop()
            if not self._is_news(found, of, node):
                continue
            made_by = found.producer if found.proto is None else None
            if made_by is None or made_by.op in _LEAF_OPERATORS:
                self._use(found, of, node)
            if made_by is not None:
                stack += (
                    (each, _inherited(of, role(made_by, index), made_by.op))
                    for index, each in enumerate(made_by.inputs)
                    if each is not None and each.constant
                )

    def _is_news(self, tensor: Tensor, of: Role, node: Node | None) -> bool:
        """Tell whether this is the first or the second node that uses ``tensor`` in this role.

        What a third one could add is known by then; so every chain is walked twice at most.
        """
        key = (id(tensor), of)
        if key not in self._first:
            self._first[key] = node
            return True
        if self._first[key] is node or key in self._several:
            return False
        self._several.add(key)
        return True

    def _use(self, leaf: Tensor, of: Role, node: Node | None) -> None:
        key = identity(leaf)
        use = self.uses.get(key)
        if use is None:
            use = self.uses[key] = _Use(leaf)
        use.roles.add(of)
        if of != "setting" and len(use.users) < 2 and node not in use.users:
            use.users.append(node)
        if node is not None and node.op in _PACKED_BITS and leaf.dtype == _UINT8:
            use.packed = node


class _Book:
    """Adds the leaves up."""

    def __init__(self, dropped: Mapping[int, Payload], uses: Mapping[Hashable, _Use]) -> None:
        self.by_node: dict[Node, tuple[int, int]] = {}
        self._dropped = dropped
        self._entered: set[Hashable] = set(uses)
        self._elements: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._by_dtype: Counter[str] = Counter()
        self._tied = 0
        self._sparse_stored: int | None = None
        self._unsized = 0

    def enter(self, use: _Use, original: Tensor | None) -> None:
        """Count a leaf that some node uses. Of a copy of ``original`` only the bytes count."""
        leaf = use.leaf
        try:
            elements, size_bytes = stored_size(leaf, self._dropped)
        except Unknown:
            self._unsized += use.roles != {"setting"}
            return
        group = _group(leaf, use.roles, elements)
        if group != "params":
            self._elements[group] += elements
            self._bytes[group] += size_bytes
            return
        is_copy = original is not None and identity(original) in self._entered
        elements = 0 if is_copy else _logical(use, elements)
        self._elements[group] += elements
        self._bytes[group] += size_bytes
        self._by_dtype[_dtype_name(use)] += elements
        self._tied += len(use.users) > 1 or is_copy
        sparse = sparse_proto(leaf)
        if sparse is not None:
            self._sparse_stored = (self._sparse_stored or 0) + nonzeros(sparse)
        first = use.users[0]  # a weight has a role other than "setting"
        if first is not None:
            before = self.by_node.get(first, (0, 0))
            self.by_node[first] = before[0] + elements, before[1] + size_bytes

    def enter_if_dead(self, leaf: Tensor) -> None:
        """Count a stored tensor unless some node uses it (W7)."""
        key = identity(leaf)
        if key in self._entered:
            return
        self._entered.add(key)
        try:
            elements, size_bytes = stored_size(leaf, self._dropped)
        except Unknown:
            self._unsized += 1
            return
        self._elements["dead"] += elements
        self._bytes["dead"] += size_bytes

    def totals(self) -> Parameters:
        """Return the sums."""
        return Parameters(
            params=self._elements["params"],
            buffers=self._elements["buffers"],
            other=self._elements["other"],
            dead=self._elements["dead"],
            weight_bytes=self._bytes["params"],
            buffer_bytes=self._bytes["buffers"],
            other_bytes=self._bytes["other"],
            dead_bytes=self._bytes["dead"],
            tied=self._tied,
            sparse_stored=self._sparse_stored,
            by_dtype=dict(self._by_dtype),
            unsized=self._unsized,
        )


def _uses(graph: Graph, owner: Node | None) -> Iterator[tuple[Node | None, Role, Tensor]]:
    """Yield every use of a constant by a node that runs, subgraphs after the node they belong to.

    What a graph returns is used by ``owner``, the node that it is a subgraph of.
    """
    for node in graph.nodes:
        for index, tensor in enumerate(node.inputs):
            if tensor is not None and tensor.constant:
                if not _runs(node):
                    break
                yield node, role(node, index), tensor
        if node.graphs:
            for inner in node.graphs.values():
                yield from _uses(inner, node)
    for tensor in graph.outputs:
        if tensor.constant:
            yield owner, "operand", tensor


def _runs(node: Node) -> bool:
    """Tell whether ``node`` computes anything but constants."""
    return bool(node.graphs) or any(each is not None and not each.constant for each in node.outputs)


def _stored(graph: Graph) -> Iterator[Tensor]:
    """Yield every constant that the file stores."""
    for inner in graph.walk():
        for tensor in inner.values.values():
            made_by = tensor.producer
            if tensor.proto is not None or (made_by is not None and made_by.op == "Constant"):
                yield tensor


def _inherited(of: Role, slot: Role, op: str) -> Role:
    """Return the role of what ``op`` reads through ``slot`` to compute something with role ``of``.

    Integers that are dequantized are weights, whatever reads the result. Arithmetic between a
    weight and the leaf may bring in numbers that are none.
    """
    if "setting" in {of, slot}:
        return "setting"
    if of in {"buffer", "condition"} or (of, slot) == ("weight", "codes"):
        return of
    if slot == "operand":
        return "operand" if of == "weight" and op not in _REARRANGING else of
    return slot


def _group(leaf: Tensor, roles: set[Role], elements: int) -> _Group:
    """Return whether ``leaf`` is a weight, a buffer or a setting (W2)."""
    if roles == {"setting"} or leaf.dtype == STRING:
        return "other"
    kind = (leaf.metadata or {}).get(_TORCH_KIND)
    if kind == "PARAMETER":
        return "params"
    if kind is not None or leaf.name.rpartition(".")[2] in _BUFFERS:
        return "buffers"
    if _TORCH_CONSTANT.fullmatch(leaf.name):
        return "buffers" if elements > SETTING_ELEMENTS else "other"
    if "weight" in roles:
        return "params"
    if "codes" in roles:
        return "params" if elements > 1 else "other"
    if "operand" in roles and leaf.dtype in _FLOATS | _CODES:
        return "params" if _is_learned(leaf, elements) else "other"
    if "buffer" in roles:
        return "buffers"
    is_list = len(leaf.dims) <= 1 and elements <= SETTING_ELEMENTS
    return "other" if is_list or elements == 1 else "buffers"


def _is_learned(leaf: Tensor, elements: int) -> bool:
    """Tell whether a number or an array of numbers in arithmetic is learned.

    A scale such as 1/√d is one number, while a learned scalar has a name that torch gives to
    parameters (``blocks.0.scale``). An array filled with one number may be a scale or shift per
    channel; as a matrix it is a mask or a state at rest.
    """
    if elements == 1:
        is_path = "." in leaf.name and not leaf.name.startswith("/")
        return is_path and leaf.proto is not None and leaf.producer is None
    generated = leaf.producer is not None and leaf.producer.op in _GENERATORS
    return not generated or elements in leaf.dims


def _logical(use: _Use, elements: int) -> int:
    """Return how many weights the ``elements`` of a leaf are: several of them may share a byte."""
    node = use.packed
    if node is None:
        return elements
    rows, columns = node.attribute("N"), node.attribute("K")
    if isinstance(rows, int) and isinstance(columns, int):
        return rows * columns  # rows are padded to whole blocks
    return elements * 8 // _packed_bits(node)


def _packed_bits(node: Node) -> int:
    bits = node.attribute(_PACKED_BITS[node.op], 4)
    return bits if bits in {1, 2, 4, 8} else 8


def _dtype_name(use: _Use) -> str:
    if use.packed is not None:
        return f"uint{_packed_bits(use.packed)}"
    return NAMES.get(use.leaf.dtype, "unknown")
