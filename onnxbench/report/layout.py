"""How a report is laid out: caption, columns side by side, findings below. No line is too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Column as RichColumn
from rich.table import Table
from rich.text import Text

from onnxbench.report import format as fmt
from onnxbench.report.columns import GAP
from onnxbench.report.command import pasteable
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from onnxbench.report.columns import Column
    from onnxbench.report.findings import Finding

STYLES = {"stable": "green", "noisy": "yellow", "unreliable": "red", "usable": "", "ok": "green"}
"""Colour only repeats what the word says."""

FAILED = "bold red"
QUIET = "dim"
STRUCK = "strike dim"
"""A number that is no result; it stands in brackets too."""


def state_style(state: str) -> str:
    """Return the colour of a grade or status."""
    return STYLES.get(state, FAILED)


def flow(phrases: Sequence[str], width: int) -> Text:
    """Return phrases between middle dots, broken only between them (a longer one is shortened)."""
    lines: list[str] = []
    for phrase in (fmt.fit(phrase, width) for phrase in phrases):
        joined = f"{lines[-1]} · {phrase}" if lines else phrase
        if lines and cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(phrase)
    return Text("\n".join(lines), style=QUIET)


def grid(columns: Sequence[Column], styles: Sequence[Sequence[str]]) -> Table:
    """Return ``columns`` as a table with one rule; ``styles``: of each cell, row by row.

    Texts are set exactly as they are: aligned columns to the left, for `format.align` has padded.
    """
    table = Table(
        *(
            RichColumn(Text(column.title), width=column.width, no_wrap=True, overflow="ellipsis")
            for column in columns
        ),
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),
        header_style="bold",
        border_style=QUIET,
    )
    for row, row_styles in zip(zip(*(c.cells for c in columns), strict=True), styles, strict=True):
        table.add_row(*(Text(t, style=s) for t, s in zip(row, row_styles, strict=True)))
    return table


def definitions(
    findings: Sequence[Finding], width: int, *, indent: int = 0, label_width: int = 0
) -> Table:
    """Return labels and their texts in two columns, the texts wrapped.

    ``label_width``: at least so many cells for the labels, to align several blocks.
    """
    label_width = min(max([label_width, *(cell_len(f.label) for f in findings)]), width // 3)
    table = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    table.add_column(width=indent + label_width, no_wrap=True)
    table.add_column(max_width=max(1, width - indent - label_width - GAP), overflow="fold")
    last = ""
    for finding in findings:
        label = (
            fmt.fit(finding.label, label_width) if finding.label and finding.label != last else ""
        )
        style = STYLES.get(finding.label, "bold" if not indent else QUIET)
        # Whoever made the finding has cut it to size; what is foreign in it is cleaned here.
        table.add_row(
            Text(" " * indent + safe_text(label), style=style), Text(safe_text(finding.text, None))
        )
        last = finding.label
    return table


def reproduce(commands: Sequence[str], width: int) -> list[RenderableType]:
    """Return the one command that repeats what is shown, or how to find the one of each row."""
    if not commands:
        return []
    if len(commands) > 1:
        return [Text(fmt.fit("reproduce a row: onnxbench show RECORD", width), style=QUIET)]
    command = pasteable(commands[0], width)
    return [Text("reproduce:", style="bold"), Text(command, overflow="fold")]
