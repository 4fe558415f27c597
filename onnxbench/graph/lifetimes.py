"""How long each value of a graph is needed, and how many bytes it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.dims import TooComplex, product
from onnxbench.graph.formulas import symbols
from onnxbench.graph.network import Unknown, packed_bytes, size_of
from onnxbench.graph.operators.table import TABLE
from onnxbench.graph.payloads import BITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from onnxbench.graph.network import Graph, Node, Tensor

MAX_NAMED_DIMS = 4
"""Open dims that a reason names."""


NOBODY, SEVERAL = -1, -2


class Value:
    """Bytes that one node makes, with every view of them. Positions are those of nodes.

    ``held``: an input or output of the graph, which nothing may overwrite; ``given``: an input.
    ``reader``: the node that reads it, views apart, or NOBODY or SEVERAL. ``read_at``: the last of
    all that read it. ``place``, ``until``, ``kept``: when results may be put over operands, the
    value whose bytes it takes; and of that one, how long somebody needs them and whether for good.
    """

    __slots__ = (
        "born", "dies", "given", "held", "kept", "place", "read_at", "reader", "size_bytes", "until"
    )  # fmt: skip

    place: Value
    until: int
    kept: bool

    def __init__(self, size_bytes: int, born: int, dies: int) -> None:
        self.size_bytes = size_bytes
        self.born = born
        self.dies = dies
        self.held = self.given = False
        self.reader = self.read_at = NOBODY


class Lives:
    """The values of one graph, and which of them each of its nodes reads and makes.

    ``around``: the node that ``graph`` is a subgraph of; then the inputs are values of the graph
    around it, and what an If returns is already counted there. Raises Unknown where a size is not
    known.
    """

    def __init__(self, graph: Graph, around: Node | None) -> None:
        self.nodes = graph.nodes
        self.end = max(len(graph.nodes) - 1, 0)
        self.rows = [TABLE.get((node.domain, node.op)) for node in graph.nodes]
        self.values: list[Value] = []
        self.given: list[Value] = []
        self.reads: list[list[Value]] = []
        self.makes: list[list[Value]] = []
        self._of: dict[Tensor | None, Value] = {}
        if around is None:
            for tensor in graph.inputs:
                value = self._of[tensor] = self._new(tensor, 0, self.end)
                value.held = value.given = True
                self.given.append(value)
        for position, node in enumerate(graph.nodes):
            self._enter(position, node)
        for tensor in graph.outputs:
            returned = self._of.get(tensor)
            if returned is not None:
                returned.dies, returned.held = self.end, True
                if around is not None and around.op == "If":
                    returned.size_bytes = 0

    def _enter(self, position: int, node: Node) -> None:
        row = self.rows[position]
        is_view = row is not None and row.kind == "view" and bool(node.inputs)
        of = self._of
        reads = []
        for tensor in _tensors_read(node) if node.graphs else node.inputs:
            value = of.get(tensor)
            if value is None or value.read_at == position:
                continue
            reads.append(value)
            value.read_at = position
            if value.dies < position:  # noqa: PLR1730 - max() is a call, for each of its readers
                value.dies = position
            if not is_view:
                value.reader = position if value.reader == NOBODY else SEVERAL
        self.reads.append(reads)
        made = []
        for tensor in node.outputs:
            if tensor is None or tensor.constant:
                continue
            if is_view and tensor is node.outputs[0]:
                viewed = of.get(node.inputs[0])
                if viewed is not None:  # else it lies in a graph around this one
                    of[tensor] = viewed
                continue
            value = of[tensor] = self._new(tensor, position, position)
            made.append(value)
        self.makes.append(made)

    def _new(self, tensor: Tensor, born: int, dies: int) -> Value:
        value = Value(_size(tensor), born, dies)
        self.values.append(value)
        return value


def _tensors_read(node: Node) -> Iterator[Tensor | None]:
    """Yield what ``node`` and its subgraphs read; values of the subgraphs' own are among it."""
    yield from node.inputs
    for graph in node.graphs.values():
        for inner in graph.walk():
            for each in inner.nodes:
                yield from each.inputs
            yield from inner.outputs


def _size(tensor: Tensor) -> int:
    """Return the bytes of ``tensor``. Raises Unknown, with what to type if a dim is open."""
    try:
        size = size_of(tensor.dtype, tensor.shape)
    except TooComplex:
        size = None
    return size if type(size) is int else _open_size(tensor, BITS.get(tensor.dtype))


def _open_size(tensor: Tensor, bits: int | None) -> int:
    """Raise Unknown that says what is missing, unless open dims cancel out."""
    made_by = f" (made by {label(tensor.producer)})" if tensor.producer is not None else ""
    if bits is None:
        raise Unknown(f"the type of {tensor.name!r}{made_by} is not known")
    dims = [dim for dim in tensor.shape or () if dim is not None]
    if tensor.shape is None or len(dims) != len(tensor.shape):
        raise Unknown(f"the shape of {tensor.name!r}{made_by} is not known")
    try:
        size_bytes = packed_bytes(product(dims), bits)
    except TooComplex:
        raise Unknown(f"the formula for {tensor.name!r}{made_by} is too long") from None
    if not isinstance(size_bytes, int):
        raise Unknown(_open_dims(symbols(size_bytes)))
    return size_bytes


def _open_dims(names: Iterable[str]) -> str:
    first = sorted(names)[:MAX_NAMED_DIMS]
    given = " ".join(f"--dim {name}=1" for name in first)
    return f"the file leaves {', '.join(first)} open: give sizes, as in {given}"


def label(node: Node) -> str:
    """Return the name of ``node``; nodes without one are known by what they make."""
    made = next((each.name for each in node.outputs if each is not None), "")
    return node.name or f"{node.op} of {made}"
