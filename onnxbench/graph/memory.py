"""Bytes of activations that a run needs at once, by four ways to reuse memory.

Nodes run in the order of the graph. A value lives from the node that makes it to the last one that
reads it; the graph's inputs are held for the whole run and its outputs to the end. Constants and
whatever is made of them alone take no part, and a view shares the bytes of what it looks at.

The lower bound holds for every order of the nodes and for a runtime that fuses neighbours: a
convolution or product with the elementwise operators behind it, an elementwise chain with the sum
or softmax that takes it in, a dequantization with its reader. What passes between the two is never
stored, a result may overwrite an operand of its size, and what counts is the operator that has to
read and write the most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.lifetimes import Lives, label
from onnxbench.graph.network import Unknown
from onnxbench.graph.profile import Memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from onnxbench.graph.lifetimes import Value
    from onnxbench.graph.network import Graph, Node

_FOLDED = frozenset({"BatchNormalization", "QuantizeLinear"})
"""Beside elementwise operators, what is fused with the convolution or product before it."""

_TAKES_IN = frozenset({"Softmax", "LogSoftmax"})

_MAX_OPERANDS = 4
"""Operands of a fused chain that are tried as the place of its result."""


def memory(graph: Graph) -> Memory:
    """Return the bytes of the activations of ``graph``; linear in its number of nodes."""
    try:
        peaks = _peaks(graph, None)
    except Unknown as error:
        return Memory(None, None, None, None, None, str(error))
    return Memory(peaks.no_reuse, peaks.liveness, peaks.in_place, peaks.fused, peaks.node)


class _Peaks(NamedTuple):
    no_reuse: int
    liveness: int
    in_place: int
    fused: int
    node: str | None


def _peaks(graph: Graph, around: Node | None) -> _Peaks:
    lives = Lives(graph, around)
    inside = _inside(graph.nodes)
    spans = [(value.born, value.dies, value.size_bytes) for value in lives.values]
    liveness, position = _peak(spans, [each.liveness for each in inside])
    in_place, _ = _peak(_overwritten(lives), [each.in_place for each in inside])
    fused = _fused(lives, [each.fused for each in inside])
    return _Peaks(
        no_reuse=sum(value.size_bytes for value in lives.values)
        + sum(each.no_reuse for each in inside),
        liveness=liveness,
        in_place=in_place,
        fused=fused,
        node=label(graph.nodes[position]) if graph.nodes else None,
    )


_NONE = _Peaks(0, 0, 0, 0, None)


def _inside(nodes: Sequence[Node]) -> list[_Peaks]:
    """Return what the subgraphs of each node need while it runs: the greatest of its branches.

    The lower bound is that of the branch that needs least.
    """
    inside = []
    for node in nodes:
        if not node.graphs:
            inside.append(_NONE)
            continue
        branches = [_peaks(graph, node) for graph in node.graphs.values()]
        inside.append(
            _Peaks(
                no_reuse=max(each.no_reuse for each in branches),
                liveness=max(each.liveness for each in branches),
                in_place=max(each.in_place for each in branches),
                fused=min(each.fused for each in branches),
                node=None,
            )
        )
    return inside


def _peak(spans: Iterable[tuple[int, int, int]], extra: Sequence[int]) -> tuple[int, int]:
    """Return the largest sum of the sizes of ``spans`` (first, last, bytes), and where it is."""
    change = [0] * (len(extra) + 1)
    alone = 0
    for first, last, size_bytes in spans:
        if first >= len(extra):  # a graph without nodes
            alone += size_bytes
            continue
        change[first] += size_bytes
        change[last + 1] -= size_bytes
    peak, where, alive = alone, 0, 0
    for position, more in enumerate(extra):
        alive += change[position]
        if alive + more > peak:
            peak, where = alive + more, position
    return peak, where


class _Span:
    """Bytes that one value after another takes, from position ``first`` to ``last``."""

    __slots__ = ("first", "held", "last", "size_bytes")

    def __init__(self, value: Value, last: int) -> None:
        self.first, self.last, self.held = value.born, last, value.held
        self.size_bytes = value.size_bytes


class _Spans:
    """The places of values, while results are put over operands that nobody else needs."""

    def __init__(self) -> None:
        self.of: dict[int, _Span] = {}
        self.all: list[_Span] = []

    def put(self, value: Value, last: int, over: Iterable[Value] = ()) -> None:
        """Give ``value`` the place of one of ``over`` if it has the size and is free, else one of
        its own."""
        for operand in over:
            span = self.of[id(operand)]
            free = span.last == value.born and not span.held
            if free and span.size_bytes == value.size_bytes and value.size_bytes:
                span.last, span.held = last, value.held
                self.of[id(value)] = span
                return
        span = self.of[id(value)] = _Span(value, last)
        self.all.append(span)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        return ((span.first, span.last, span.size_bytes) for span in self.all)


def _overwritten(lives: Lives) -> _Spans:
    """Return the spans when elementwise operators overwrite an operand."""
    spans = _Spans()
    for value in lives.given:
        spans.put(value, value.dies)
    for row, reads, makes in zip(lives.rows, lives.reads, lives.makes, strict=True):
        for index, value in enumerate(makes):
            over = reads if index == 0 and row is not None and row.in_place else ()
            spans.put(value, value.dies, over)
    return spans


# ---------------------------------------------------------------------------------------- fusion


def _fused(lives: Lives, extra: Sequence[int]) -> int:
    """Return the most bytes that one operator needs when neighbours are fused."""
    into = _fused_into(lives)
    unstored = {id(lives.makes[position][0]) for position in into}
    given = sum(value.size_bytes for value in lives.given)
    held = {id(value): value for value in lives.values if value.held}
    most = sum(value.size_bytes for value in held.values())
    groups: dict[int, _Group] = {}
    for position, row in enumerate(lives.rows):
        if row is not None and row.kind == "view":
            continue
        reads: dict[int, Value] = {}
        over: list[Value] = []
        for value in lives.reads[position]:
            operands = [value]
            if id(value) in unstored:
                inner = groups.pop(value.born)
                operands = inner.operands
                # The smaller into the greater: a long chain must not be copied at every node.
                reads, fewer = sorted((reads, inner.reads), key=len, reverse=True)
                reads.update(fewer)
            else:
                reads[id(value)] = value
            if row is not None and row.in_place:
                over += operands[:_MAX_OPERANDS]
        group = _Group(reads, over[:_MAX_OPERANDS])
        if position in into:
            groups[position] = group
        else:
            stored = _stored(group, lives.makes[position])
            most = max(most, given + stored + extra[position])
    return most


class _Group(NamedTuple):
    """A node with those fused into it: what they read, and what their result may overwrite."""

    reads: dict[int, Value]
    operands: list[Value]


def _stored(group: _Group, makes: Sequence[Value]) -> int:
    """Return the bytes that a group reads and writes, the graph's inputs apart."""
    read = sum(value.size_bytes for value in group.reads.values() if not value.given)
    written = sum(value.size_bytes for value in makes)
    if makes and any(
        not value.held and value.size_bytes == makes[0].size_bytes for value in group.operands
    ):
        written -= makes[0].size_bytes
    return read + written


def _fused_into(lives: Lives) -> dict[int, int]:
    """Return for each node whose result is never stored the node that takes it in."""
    into: dict[int, int] = {}
    for position, reads in enumerate(lives.reads):
        one = None
        for value in reads:
            maker = value.born
            if value.held or value.reader != position or value.dies != position:
                continue
            if len(lives.makes[maker]) != 1 or not _fuses(lives, maker, position):
                continue
            if lives.nodes[maker].op == "DequantizeLinear":
                into[maker] = position
            else:  # of several convolutions one is fused with the sum that follows
                one = maker
        if one is not None:
            into[one] = position
    return into


def _fuses(lives: Lives, maker: int, reader: int) -> bool:
    """Tell whether runtimes fuse two operators of which one reads the other's only result."""
    made_by, read_by = lives.rows[maker], lives.rows[reader]
    if made_by is None or read_by is None:
        return False
    if lives.nodes[maker].op == "DequantizeLinear":
        return True
    op = lives.nodes[reader].op
    if read_by.kind == "elementwise" or op in _FOLDED:
        return made_by.kind in {"contraction", "elementwise", "normalization", "reduction"}
    takes_in = read_by.kind == "normalization" or op in _TAKES_IN or op.startswith("Reduce")
    return takes_in and made_by.kind == "elementwise"
