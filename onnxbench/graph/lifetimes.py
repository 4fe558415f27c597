"""How long each value of a graph is needed, and how many bytes it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnxbench.graph.dims import TooComplex, product, symbols
from onnxbench.graph.network import Unknown, packed_bytes
from onnxbench.graph.operators.table import find
from onnxbench.graph.payloads import BITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from onnxbench.graph.network import Graph, Node, Tensor

MAX_NAMED_DIMS = 4
"""Open dims that a reason names."""


@dataclass(slots=True)
class Value:
    """Bytes that one node makes, with every view of them. Positions are those of nodes.

    ``held``: an input or output of the graph, which nothing may overwrite; ``given``: an input.
    ``readers``: nodes that read it, views apart.
    """

    size_bytes: int
    born: int
    dies: int
    held: bool = False
    given: bool = False
    readers: list[int] = field(default_factory=list)


class Lives:
    """The values of one graph, and which of them each of its nodes reads and makes.

    ``main``: the graph's inputs are its own and not those of the graph around it. Raises Unknown
    where a size is not known.
    """

    def __init__(self, graph: Graph, *, main: bool) -> None:
        self.nodes = graph.nodes
        self.end = max(len(graph.nodes) - 1, 0)
        self.rows = [find(node.domain, node.op) for node in graph.nodes]
        self.values: list[Value] = []
        self.given: list[Value] = []
        self.reads: list[list[Value]] = []
        self.makes: list[list[Value]] = []
        self._of: dict[int, Value] = {}
        if main:
            for tensor in graph.inputs:
                value = self._of[id(tensor)] = self._new(tensor, 0, self.end)
                value.held = value.given = True
                self.given.append(value)
        for position, node in enumerate(graph.nodes):
            self._enter(position, node)
        for tensor in graph.outputs:
            returned = self._of.get(id(tensor))
            if returned is not None:
                returned.dies, returned.held = self.end, True

    def _enter(self, position: int, node: Node) -> None:
        row = self.rows[position]
        is_view = row is not None and row.kind == "view"
        reads = list({id(value): value for value in self._read_by(node)}.values())
        for value in reads:
            value.dies = max(value.dies, position)
            if not is_view:
                value.readers.append(position)
        self.reads.append(reads)
        source = node.inputs[0] if is_view and node.inputs else None
        viewed = self._of.get(id(source)) if source is not None else None
        made = []
        for tensor in node.outputs:
            if tensor is None or tensor.constant:
                continue
            if viewed is not None:
                self._of[id(tensor)] = viewed
            else:
                value = self._of[id(tensor)] = self._new(tensor, position, position)
                made.append(value)
        self.makes.append(made)

    def _read_by(self, node: Node) -> Iterator[Value]:
        """Yield what ``node`` reads, its subgraphs included."""
        for tensor in _tensors_read(node):
            value = self._of.get(id(tensor))
            if value is not None:
                yield value

    def _new(self, tensor: Tensor, born: int, dies: int) -> Value:
        value = Value(_size(tensor), born, dies)
        self.values.append(value)
        return value


def _tensors_read(node: Node) -> Iterator[Tensor | None]:
    yield from node.inputs
    for graph in node.graphs.values():
        for inner in graph.walk():
            for each in inner.nodes:
                yield from each.inputs
            yield from inner.outputs


def _size(tensor: Tensor) -> int:
    """Return the bytes of ``tensor``. Raises Unknown, with what to type if a dim is open."""
    made_by = f" (made by {label(tensor.producer)})" if tensor.producer is not None else ""
    bits = BITS.get(tensor.dtype)
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
