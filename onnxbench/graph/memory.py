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

from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.lifetimes import Lives, label
from onnxbench.graph.network import Unknown
from onnxbench.graph.profile import Memory

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence

    from onnxbench.graph.lifetimes import Value
    from onnxbench.graph.network import Graph, Node
    from onnxbench.graph.operators.row import Kind

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
    values, nodes = lives.values, len(graph.nodes)
    spans = [(value.born, value.dies, value.size_bytes) for value in values]
    liveness, position = _peak(spans, nodes, {at: of.liveness for at, of in inside.items()})
    in_place, _ = _peak(_overwritten(lives), nodes, {at: of.in_place for at, of in inside.items()})
    fused = _fused(lives, {at: of.fused for at, of in inside.items()})
    return _Peaks(
        no_reuse=sum([value.size_bytes for value in values])
        + sum(each.no_reuse for each in inside.values()),
        liveness=liveness,
        in_place=in_place,
        fused=fused,
        node=label(graph.nodes[position]) if graph.nodes else None,
    )


def _inside(nodes: Sequence[Node]) -> dict[int, _Peaks]:
    """Return what the subgraphs of nodes need while they run, by the position of their node.

    That is the greatest of the branches; the lower bound is that of the branch that needs least.
    """
    inside = {}
    for position, node in enumerate(nodes):
        if node.graphs:
            branches = [_peaks(graph, node) for graph in node.graphs.values()]
            inside[position] = _Peaks(
                no_reuse=max(each.no_reuse for each in branches),
                liveness=max(each.liveness for each in branches),
                in_place=max(each.in_place for each in branches),
                fused=min(each.fused for each in branches),
                node=None,
            )
    return inside


def _peak(
    spans: Iterable[tuple[int, int, int]], nodes: int, extra: Mapping[int, int]
) -> tuple[int, int]:
    """Return the largest sum of the sizes of ``spans`` (first, last, bytes), and where it is.

    ``extra``: what is needed besides while some of the ``nodes`` run, by their position.
    """
    change = [0] * (nodes + 1)
    alone = 0
    for first, last, size_bytes in spans:
        if first >= nodes:  # a graph without nodes
            alone += size_bytes
            continue
        change[first] += size_bytes
        change[last + 1] -= size_bytes
    del change[nodes]
    alive = list(accumulate(change))
    for position, more in extra.items():
        alive[position] += more
    peak = max(alive, default=0)
    return (peak, alive.index(peak)) if peak > alone else (alone, 0)


def _overwritten(lives: Lives) -> Iterator[tuple[int, int, int]]:
    """Return the spans when elementwise operators overwrite an operand of their result's size.

    A result is put over an operand that nobody else needs, else it gets a place of its own.
    """
    for value in lives.given:
        value.place, value.until, value.kept = value, value.dies, value.held
    for row, reads, makes in zip(lives.rows, lives.reads, lives.makes, strict=True):
        over = reads if row is not None and row.in_place else ()
        for value in makes:
            place = value
            for operand in over:
                free = operand.place.until == value.born and not operand.place.kept
                if free and operand.place.size_bytes == value.size_bytes and value.size_bytes:
                    place = operand.place
                    break
            value.place, place.until, place.kept = place, value.dies, value.held
            over = ()  # only the first result
    return (
        (value.born, value.until, value.size_bytes)
        for value in lives.values
        if value.place is value
    )


# ---------------------------------------------------------------------------------------- fusion


def _fused(lives: Lives, extra: Mapping[int, int]) -> int:
    """Return the most bytes that one operator needs when neighbours are fused."""
    into = _fused_into(lives)
    unstored = {lives.makes[position][0] for position in into}
    given = sum(value.size_bytes for value in lives.given)
    most = sum(value.size_bytes for value in lives.values if value.held)
    groups: dict[int, _Group] = {}
    for position, row in enumerate(lives.rows):
        if row is not None and row.kind == "view":
            continue
        values = lives.reads[position]
        operands = values[:_MAX_OPERANDS] if row is not None and row.in_place else []
        group = _Group(values, operands)
        if not unstored.isdisjoint(values):
            group = _joined(values, unstored, groups, in_place=bool(operands))
        if position in into:
            groups[position] = group
        else:
            stored = _stored(group, lives.makes[position])
            most = max(most, given + stored + extra.get(position, 0))
    return most


class _Group(NamedTuple):
    """A node with those fused into it: what they read, and what their result may overwrite."""

    reads: Collection[Value]
    operands: list[Value]


def _joined(
    values: Iterable[Value],
    unstored: Container[Value],
    groups: dict[int, _Group],
    *,
    in_place: bool,
) -> _Group:
    """Return a node that reads ``values`` with the groups, taken out of ``groups``, it takes in."""
    reads: set[Value] = set()
    operands: list[Value] = []
    for value in values:
        own = [value]
        if value in unstored:
            inner = groups.pop(value.born)
            own = inner.operands
            # The smaller into the greater: a long chain must not be copied at every node.
            taken = inner.reads if isinstance(inner.reads, set) else set(inner.reads)
            reads, fewer = (reads, taken) if len(reads) >= len(taken) else (taken, reads)
            reads |= fewer
        else:
            reads.add(value)
        if in_place:
            operands += own[:_MAX_OPERANDS]
    return _Group(reads, operands[:_MAX_OPERANDS])


def _stored(group: _Group, makes: Sequence[Value]) -> int:
    """Return the bytes that a group reads and writes, the graph's inputs apart."""
    stored = 0
    for value in group.reads:
        if not value.given:
            stored += value.size_bytes
    if not makes:
        return stored
    for value in makes:
        stored += value.size_bytes
    first = makes[0].size_bytes
    for value in group.operands:
        if value.size_bytes == first and not value.held:
            return stored - first
    return stored


def _fused_into(lives: Lives) -> dict[int, int]:
    """Return for each node whose result is never stored the node that takes it in."""
    into: dict[int, int] = {}
    for position, reads in enumerate(lives.reads):
        one = None
        for value in reads:
            maker = value.born
            if value.reader != position or value.dies != position or value.held:
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
    return made_by.kind in _taken_in(read_by.kind, lives.nodes[reader].op)


@lru_cache(maxsize=4096)
def _taken_in(kind: Kind, op: str) -> Container[Kind]:
    """Return the kinds of operators with which runtimes fuse the operator behind them."""
    if kind == "elementwise" or op in _FOLDED:
        return ("contraction", "elementwise", "normalization", "reduction")
    takes_in = kind == "normalization" or op in _TAKES_IN or op.startswith("Reduce")
    return ("elementwise",) if takes_in else ()
