"""The results of one run as a table: a row for each record, what varies in columns.

Nothing is said by colour alone: the verdict is a word, a number that is no result stands in
brackets. A number is never wrapped or cut: a narrow table drops columns (and says which) and
shortens names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from onnxbench.report import columns, findings, layout, proof
from onnxbench.report import skipped as skips
from onnxbench.report.axes import split
from onnxbench.report.columns import Column
from onnxbench.report.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from onnxbench.types import Record


def results_table(
    records: Sequence[Record],
    skipped: Sequence[Mapping[str, object]] = (),
    *,
    width: int,
    reproduce: str | None = None,
) -> RenderableType:
    """Return the table of ``records`` for ``width`` terminal cells.

    ``skipped``: documents of `types.Skip`. ``reproduce``: the command that repeats the whole run;
    without it the records' own command is shown if they share one.
    """
    records, unplaced = skips.split(records, skipped)
    if not records:
        nothing = Finding("nothing", "no record: nothing was measured")
        return layout.definitions([nothing, *findings.skips(unplaced)], width)
    axes = split(records)
    reasons = ["" if findings.is_result(record) else findings.failure(record) for record in records]
    numbers = {reason: i + 1 for i, reason in enumerate(dict.fromkeys(filter(None, reasons)))}
    *measured, verdict = columns.metrics(records)
    everything = [*columns.names(records, axes.varying), *measured]
    shown, dropped = columns.fitting([*everything, _marked(verdict, reasons, numbers)], width)
    hidden = f"{', '.join(dropped)}: no room in {width} columns, but in -o FILE.csv"
    below = [
        *findings.legend(records, axes.varying),
        *proof.legend(records, axes.varying, dropped),
        *findings.doubts(records, axes.varying),
        *(Finding(f"[{i}]", reason) for reason, i in numbers.items()),
        *findings.skips(unplaced),
        *findings.notes(records, axes.varying),
        *([Finding("hidden", hidden)] if dropped else []),
    ]
    commands = [reproduce] if reproduce else findings.commands(records)
    return Group(
        layout.flow([*findings.run_facts(records), *axes.constants], width),
        Text(),
        layout.grid(shown, [_styles(record, shown) for record in records]),
        Text(),
        layout.definitions(below, width),
        *layout.reproduce(commands, width),
    )


def _marked(verdict: Column, reasons: Sequence[str], numbers: Mapping[str, int]) -> Column:
    """Return the verdicts with the numbers of their footnotes."""
    marks = [f" [{numbers[reason]}]" if reason else "" for reason in reasons]
    cells = (cell + mark for cell, mark in zip(verdict.cells, marks, strict=True))
    return Column(verdict.title, tuple(cells), verdict.rank)


def _styles(record: Record, shown: Sequence[Column]) -> list[str]:
    of_state = layout.state_style(findings.state(record))
    struck = layout.STRUCK if findings.is_struck(record) else ""
    return [{"verdict": of_state, "latency": struck}.get(c.title, "") for c in shown]
