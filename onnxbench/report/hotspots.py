"""Where time is lost inside a model: kernels beside their bounds, the largest gap first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from onnxbench.report import format as fmt
from onnxbench.report import layout
from onnxbench.report.columns import Column, fitting
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import RenderableType

    from onnxbench.types import JsonObject

TOP = 20
"""Kernels in the table; how much of the time the others take is said below it."""

NODES = 3
"""Nodes of a fused kernel that are named; the others are counted."""


def hot_spots_table(found: JsonObject, *, width: int) -> RenderableType:
    """Return the kernels that are furthest above their bound, and how much has none.

    ``found``: ``hot_spots`` of a record.
    """
    bounded = [row for row in found["rows"] if row["gap_ns"] is not None][:TOP]
    if not bounded:
        return Text(_why_none(found), style=layout.QUIET)
    columns = [
        _column("kernel", (row["name"] for row in bounded), rank=0, flexible=True),
        _column("type", (row["op"] for row in bounded), rank=2, flexible=True),
        _column("nodes", map(_nodes, bounded), rank=6, flexible=True),
        _durations("time", [row["ns"] for row in bounded], rank=0),
        _numbers("share", bounded, "share", fmt.percent, rank=1),
        _numbers("achieved", bounded, "flops_per_s", _rate, rank=4),
        _durations("bound", [row["bound_ns"] for row in bounded], rank=3),
        _column("by", (row["bound"] for row in bounded), rank=5),
        _numbers("of bound", bounded, "fraction", fmt.percent, rank=2),
        _durations("gap", [row["gap_ns"] for row in bounded], rank=0),
    ]
    shown, _ = fitting(columns, width)
    table = layout.grid(shown, [[""] * len(shown)] * len(bounded))
    return Group(table, *(Text(fmt.fit(line, width), style=layout.QUIET) for line in _rest(found)))


def _rest(found: JsonObject) -> list[str]:
    """Return what the table does not show, in time."""
    others = [row for row in found["rows"] if row["gap_ns"] is not None][TOP:]
    lines = []
    if others:
        share = sum(row["share"] for row in others)
        lines.append(f"{fmt.plural(len(others), 'kernel')} more: {fmt.percent(share)}")
    unmatched = [row for row in found["rows"] if not row["nodes"]]
    if unmatched:
        names = ", ".join(safe_text(row["name"], 30) for row in unmatched[:NODES])
        lines.append(
            f"{fmt.percent(found['unmatched_share'])} of the time in "
            f"{fmt.plural(len(unmatched), 'kernel')} of no known node: {names}"
        )
    return lines


def _why_none(found: JsonObject) -> str:
    reasons = (row.get("reason") for row in found["rows"] if row["nodes"])
    reason = found.get("reason") or next(filter(None, reasons), "no kernel is a known node")
    return safe_text(f"no bounds: {reason}")


def _nodes(row: JsonObject) -> str:
    names = [safe_text(name, 40) for name in row["nodes"][:NODES]]
    more = len(row["nodes"]) - NODES
    return " ".join([*names, f"+{more}"] if more > 0 else names)


def _rate(flops_per_s: float) -> str:
    return fmt.amount(flops_per_s, "FLOP/s")


def _column(title: str, texts: Iterable[str], *, rank: int, flexible: bool = False) -> Column:
    return Column(title, tuple(map(safe_text, texts)), rank, flexible)


def _durations(title: str, values: list[float], *, rank: int) -> Column:
    return Column(title, tuple(fmt.align(fmt.durations(values))), rank)


def _numbers(
    title: str, rows: list[JsonObject], key: str, show: Callable[[float], str], *, rank: int
) -> Column:
    texts = [fmt.NOTHING if row[key] is None else show(row[key]) for row in rows]
    return Column(title, tuple(fmt.align(texts)), rank)
