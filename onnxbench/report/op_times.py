"""Where the time goes inside a model: the hot operators of a profiled run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from onnxbench.report import format as fmt
from onnxbench.report import layout
from onnxbench.report.columns import Column, fitting
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

    from onnxbench.types import OpTime

TOP = 20
"""Operators in the table; what the others take together is said below it."""


def op_times_table(op_times: Sequence[OpTime], *, width: int) -> RenderableType:
    """Return the `TOP` operators by kernel time, with their share and the share so far."""
    hottest = sorted(op_times, key=lambda op: -op["ns"])[:TOP]
    if not hottest:
        return Text("no operator was timed", style=layout.QUIET)
    cumulative, so_far = [], 0.0
    for op in hottest:
        so_far += op["share"]
        cumulative.append(fmt.percent(so_far))
    providers = (op["provider"].removesuffix("ExecutionProvider") for op in hottest)
    columns = [
        _column("operator", (op["name"] for op in hottest), rank=0, flexible=True),
        _column("type", (op["op"] for op in hottest), rank=0, flexible=True),
        _column("provider", providers, rank=2),
        _column("calls", fmt.align([fmt.count(op["calls"]) for op in hottest]), rank=1),
        _column("time", fmt.align(fmt.durations([op["ns"] for op in hottest])), rank=0),
        _column("share", fmt.align([fmt.percent(op["share"]) for op in hottest]), rank=0),
        _column("cumulative", fmt.align(cumulative), rank=0),
    ]
    shown, _ = fitting(columns, width)
    table = layout.grid(shown, [[""] * len(shown)] * len(hottest))
    rest = len(op_times) - len(hottest)
    if not rest:
        return table
    line = f"{fmt.count(rest)} more: {fmt.percent(max(0.0, 1.0 - so_far))}"
    return Group(table, Text(line, style=layout.QUIET))


def _column(title: str, texts: Iterable[str], *, rank: int, flexible: bool = False) -> Column:
    return Column(title, tuple(map(safe_text, texts)), rank, flexible)
