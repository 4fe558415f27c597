"""A profile as sheets: one row for each node, operator or module.

A sheet holds numbers and formulas, not yet text: the terminal, Markdown, CSV and JSON show the
same one, each in its own way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from onnxbench.graph.dims import TooComplex
from onnxbench.graph.formulas import evaluate, symbols
from onnxbench.graph.modules import tree
from onnxbench.graph.totals import total as sum_of
from onnxbench.graph.work import work_of
from onnxbench.measure.roofline import NoCeiling, node_bound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onnxbench.graph.dims import Count, Dim
    from onnxbench.graph.profile import GraphProfile, NodeProfile, Signature
    from onnxbench.measure.roofline import Ceilings
    from onnxbench.types import JsonObject

    Shape = tuple[Dim | None, ...]
    Value = str | float | Count | tuple[Shape | None, ...] | None
Kind = Literal["text", "count", "bytes", "ratio", "share", "shapes", "ns"]
View = Literal["nodes", "op", "module"]

DETAIL = 10
"""Ranks from here on are no columns of a table for people."""

CLOSED = frozenset({"nodes", "depth", "params", "weight_bytes", "unknown_nodes"})
"""Keys of counts that are never formulas."""

TYPICAL = 64
"""What an open dim is taken for where formulas have to be put in order."""


class Field(NamedTuple):
    """One column: ``key`` names it in documents, with the unit, ``title`` for people.

    ``rank``: when a narrow table leaves it out, the highest first, 0 never; from `DETAIL` on it
    stands in CSV and JSON alone.
    """

    key: str
    title: str
    kind: Kind
    rank: int


class Sheet(NamedTuple):
    """Rows under fields; ``noun``: what one row is."""

    noun: str
    fields: tuple[Field, ...]
    rows: list[tuple[Value, ...]]


class Bounds(NamedTuple):
    """The least time of a network on what is calibrated here, the newest first.

    ``entries``: of `onnxbench.calibration.bounds`; ``reason``: why there are none. ``ceilings``: of
    the newest, for the bounds of nodes.
    """

    entries: tuple[JsonObject, ...]
    reason: str
    ceilings: Ceilings | None


class Row(NamedTuple):
    """Sums over some nodes; an unknown figure takes no part. ``unknown``: nodes that have one."""

    nodes: int
    macs: Count
    flops: Count
    transcendentals: Count
    params: int
    weight_bytes: int
    bytes_read: Count
    bytes_written: Count
    unknown: int


_FIGURES = (
    Field("macs", "MACs", "count", 0),
    Field("flops", "FLOPs", "count", 1),
    Field("transcendentals", "transc.", "count", 6),
    Field("params", "params", "count", 2),
    Field("weight_bytes", "weights", "bytes", 7),
    Field("bytes_read", "read", "bytes", 3),
    Field("bytes_written", "written", "bytes", 4),
    Field("intensity_flops_per_byte", "FLOP/B", "ratio", 5),
)

NODE_FIELDS = (
    Field("name", "node", "text", 0),
    Field("op", "op", "text", 0),
    Field("domain", "domain", "text", 12),
    Field("module", "module", "text", 15),
    Field("where", "inside", "text", 9),
    Field("shapes_out", "output", "shapes", 3),
    Field("times", "times", "count", 8),
    *_FIGURES,
    Field("macs_least", "at least", "count", 13),
    Field("flops_least", "at least", "count", 13),
    Field("precision", "precision", "text", 12),
    Field("kind", "kind", "text", 14),
    Field("status", "status", "text", 1),
    Field("reason", "note", "text", 11),
)

BOUND_FIELDS = (
    Field("bound_ns", "bound", "ns", 1),
    Field("bound", "by", "text", 2),
)

OP_FIELDS = (
    Field("op", "operator", "text", 0),
    Field("domain", "domain", "text", 8),
    Field("nodes", "nodes", "count", 2),
    *_FIGURES,
    Field("macs_share", "of MACs", "share", 1),
    Field("unknown_nodes", "unknown", "count", 1),
)

MODULE_FIELDS = (
    Field("module", "path", "text", DETAIL),
    Field("name", "module", "text", 0),
    Field("depth", "depth", "count", DETAIL),
    *(field for field in OP_FIELDS[2:] if field.key != "transcendentals"),
)


def sheet(profile: GraphProfile, view: View, ceilings: Ceilings | None = None) -> Sheet:
    """Return the sheet of ``view``; with ``ceilings``, nodes have bounds."""
    if view == "nodes":
        return nodes_sheet(profile, ceilings)
    return ops_sheet(profile) if view == "op" else modules_sheet(profile)


def nodes_sheet(profile: GraphProfile, ceilings: Ceilings | None = None) -> Sheet:
    """Return every node, in the order in which they run."""
    rows = [_node(node) for node in profile.nodes]
    if ceilings is None:
        return Sheet("node", NODE_FIELDS, rows)
    bounds = [_bound(node, ceilings) for node in profile.nodes]
    rows = [(*row, *bound) for row, bound in zip(rows, bounds, strict=True)]
    return Sheet("node", (*NODE_FIELDS, *BOUND_FIELDS), rows)


def _bound(node: NodeProfile, ceilings: Ceilings) -> tuple[float | None, str]:
    """Return the least time of a node in ns, and what limits it."""
    work = work_of(node) if node.status != "unknown" else None
    if work is None:
        return None, ""
    try:
        bound = node_bound(ceilings, work)
    except NoCeiling:
        return None, ""
    return bound.seconds * 1e9, bound.limit if bound.seconds else ""


def ops_sheet(profile: GraphProfile) -> Sheet:
    """Return the nodes by operator, the one with most MACs first."""
    groups: dict[tuple[str, str], list[NodeProfile]] = {}
    for node in profile.nodes:
        groups.setdefault((node.op, node.domain), []).append(node)
    sums = {key: total(nodes) for key, nodes in groups.items()}
    order = sorted(sums, key=lambda key: [-each for each in _weight(sums[key])])
    rows = [(*key, *_group(sums[key], profile)) for key in order]
    return Sheet("operator", OP_FIELDS, rows)


def modules_sheet(profile: GraphProfile) -> Sheet:
    """Return the tree of modules from the root, each with all that is inside it."""
    rows: list[tuple[Value, ...]] = []
    stack = [tree(profile.nodes)]
    while stack:
        module = stack.pop()
        stack += reversed(module.children)
        name = module.path[-1] if module.path else ""
        rows.append(
            (
                ".".join(module.path),
                name,
                len(module.path),
                module.nodes,
                module.macs,
                module.flops,
                module.params,
                module.weight_bytes,
                module.bytes_read,
                module.bytes_written,
                intensity(module.flops, module.bytes_read, module.bytes_written),
                _share(module.macs, profile),
                module.unknown,
            )
        )
    return Sheet("module", MODULE_FIELDS, rows)


def total(nodes: Iterable[NodeProfile]) -> Row:
    """Return what ``nodes`` cost together."""
    nodes = list(nodes)
    return Row(
        len(nodes),
        sum_of([node.macs for node in nodes]),
        sum_of([node.flops for node in nodes]),
        sum_of([node.transcendentals for node in nodes]),
        sum([node.params for node in nodes]),
        sum([node.weight_bytes for node in nodes]),
        sum_of([node.bytes_read for node in nodes]),
        sum_of([node.bytes_written for node in nodes]),
        [node.status for node in nodes].count("unknown"),
    )


def intensity(flops: Count | None, *moved: Count | None) -> float | None:
    """Return FLOPs per byte; None where one of them is open or nothing moves."""
    if not isinstance(flops, int):
        return None
    total_bytes = 0
    for each in moved:
        if not isinstance(each, int):
            return None
        total_bytes += each
    return flops / total_bytes if total_bytes else None


def batch(inputs: Sequence[Signature]) -> int | None:
    """Return the first dim of the first input of rank 2 or more, None if it is open or none is."""
    for each in inputs:
        if each.shape is not None and len(each.shape) > 1:
            first = each.shape[0]
            return first if isinstance(first, int) and first > 0 else None
    return None


def size_of(count: Value) -> float:
    """Return ``count`` as a number to put rows in order by; a formula at `TYPICAL` dims."""
    if count is None or isinstance(count, str | tuple):
        return 0.0
    if isinstance(count, int | float):
        return float(count)
    try:
        found = evaluate(count, dict.fromkeys(symbols(count), TYPICAL))
    except (TooComplex, ArithmeticError, ValueError):
        return 0.0
    return float(found) if isinstance(found, int) else 0.0


def _node(node: NodeProfile) -> tuple[Value, ...]:
    return (
        node.name,
        node.op,
        node.domain,
        ".".join(node.module),
        node.where,
        node.shapes_out,
        node.times,
        node.macs,
        node.flops,
        node.transcendentals,
        node.params,
        node.weight_bytes,
        node.bytes_read,
        node.bytes_written,
        intensity(node.flops, node.bytes_read, node.bytes_written),
        node.macs_least,
        node.flops_least,
        node.precision,
        node.kind,
        node.status,
        node.reason,
    )


def shape_text(shape: Shape | None) -> str:
    """Return a shape as it is typed at ``--shape``, "?" for what is unknown."""
    if shape is None:
        return "?"
    return "x".join("?" if dim is None else str(dim) for dim in shape) or "scalar"


def _group(whole: Row, profile: GraphProfile) -> tuple[Value, ...]:
    return (
        whole.nodes,
        whole.macs,
        whole.flops,
        whole.transcendentals,
        whole.params,
        whole.weight_bytes,
        whole.bytes_read,
        whole.bytes_written,
        intensity(whole.flops, whole.bytes_read, whole.bytes_written),
        _share(whole.macs, profile),
        whole.unknown,
    )


def _share(macs: Count, profile: GraphProfile) -> float | None:
    known = isinstance(macs, int) and isinstance(profile.macs, int) and profile.macs
    return macs / profile.macs if known else None  # type: ignore[operator]


def _weight(whole: Row) -> tuple[float, ...]:
    return size_of(whole.macs), size_of(whole.flops), size_of(whole.bytes_written), whole.nodes
