"""Sheets of an analysis as tables: the costliest rows in a terminal, all of them in Markdown."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.cells import cell_len

from onnxbench.report import format as fmt
from onnxbench.report.analysis import DETAIL, Sheet, shape_text, size_of
from onnxbench.report.columns import GAP, Column, fitting, total_width
from onnxbench.report.markdown import literal
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.report.analysis import Field, Value

ROWS = 50
"""Rows in a terminal; what the others take together is said below."""

FORMULA = 40
NAME = 200

_NUMBERS = frozenset({"count", "bytes", "ratio", "share", "ns"})


def sheet_text(of: Sheet, width: int) -> str:
    """Return at most `ROWS` rows of a sheet in lines of at most ``width`` terminal cells."""
    if not of.rows:
        return f"no {of.noun}"
    shown = chosen(of)
    kept, dropped = fitting(_columns(shown), width)
    lines = [_line([column.title for column in kept], kept)]
    lines.append("─" * cell_len(lines[0].ljust(total_width(kept))))
    lines += [_line(cells, kept) for cells in zip(*(column.cells for column in kept), strict=True)]
    if len(shown.rows) < len(of.rows):
        lines += textwrap.wrap(_rest(of, shown), width)
    if dropped:
        lines += textwrap.wrap(f"no room for {', '.join(dropped)}; --csv has all", width)
    return "\n".join(line.rstrip() for line in lines)


def _line(cells: Sequence[str], columns: Sequence[Column]) -> str:
    padded = (
        cell + " " * (column.width - cell_len(cell))
        for cell, column in zip(cells, columns, strict=True)
    )
    return (" " * GAP).join(padded)


def sheet_markdown(of: Sheet) -> str:
    """Return every row of a sheet as a table in Markdown."""
    fields = _used(of)
    texts = [_texts(of.fields[i], [row[i] for row in of.rows]) for i in fields]
    titles = [of.fields[i].title for i in fields]
    rule = ["---:" if of.fields[i].kind in _NUMBERS else "---" for i in fields]
    rows = [[literal(text.strip()) for text in row] for row in zip(*texts, strict=True)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (titles, rule, *rows))


def chosen(of: Sheet) -> Sheet:
    """Return the rows of ``of`` that a terminal shows: all, or the costliest, most first.

    A tree of modules is cut at a depth instead, so that its rows still add up.
    """
    if len(of.rows) <= ROWS:
        return of
    if of.noun == "module":
        depths = _depths(of)
        deepest = next(
            (d for d in range(max(depths), 1, -1) if sum(x <= d for x in depths) <= ROWS), 1
        )
        rows = [row for row, d in zip(of.rows, depths, strict=True) if d <= deepest]
        return of._replace(rows=rows[:ROWS])
    names = [field.key for field in of.fields]
    by = [names.index(key) for key in ("macs", "flops", "bytes_written")]
    order = sorted(of.rows, key=lambda row: [-size_of(row[i]) for i in by])
    return of._replace(rows=order[:ROWS])


def _rest(of: Sheet, shown: Sheet) -> str:
    left = len(of.rows) - len(shown.rows)
    more = f"{left:,} more {of.noun}{'' if left == 1 else 's'}"
    if of.noun == "module":
        return f"{more}, deeper in the tree: --csv, --markdown or --json has all"
    macs = [field.key for field in of.fields].index("macs")
    all_macs = sum(size_of(row[macs]) for row in of.rows)
    if all_macs:
        left_out = max(0.0, 1 - sum(size_of(row[macs]) for row in shown.rows) / all_macs)
        more += f" with {fmt.percent(left_out)} of the MACs"
    return f"{more}; --csv, --markdown or --json has all"


def _columns(of: Sheet) -> list[Column]:
    found = []
    for i in _used(of):
        field = of.fields[i]
        texts = _texts(field, [row[i] for row in of.rows])
        if of.noun == "module" and field.key == "name":
            texts = [_branch(*pair) for pair in zip(texts, _depths(of), strict=True)]
        if field.kind in _NUMBERS and all(len(text) < FORMULA // 2 for text in texts):
            texts = fmt.align(texts)
        flexible = field.kind not in _NUMBERS or any(len(text) >= FORMULA // 2 for text in texts)
        found.append(Column(field.title, tuple(texts), field.rank, flexible))
    return found


def _depths(of: Sheet) -> list[int]:
    depth = [field.key for field in of.fields].index("depth")
    return [int(size_of(row[depth])) for row in of.rows]


def _branch(name: str, depth: int) -> str:
    """Return a module's name as far to the right as it lies deep."""
    return "  " * depth + (name if depth else "(model)")


_DULL: dict[str, Value] = {"status": "exact", "times": 1, "unknown_nodes": 0, "transcendentals": 0}
"""What is worth no column if it is all that a column says."""


def _used(of: Sheet) -> list[int]:
    """Return which fields tables show: those for people, where some row has something to tell."""
    found = []
    for i, field in enumerate(of.fields):
        if field.rank >= DETAIL:
            continue
        nothing = {None, "", (), _DULL.get(field.key)}
        if field.rank == 0 or any(row[i] not in nothing for row in of.rows):
            found.append(i)
    return found


def _texts(field: Field, values: Sequence[Value]) -> list[str]:
    return [_text(field, value) for value in values]


def _text(field: Field, value: Value) -> str:
    if value is None:
        return fmt.NOTHING
    if isinstance(value, tuple):
        return safe_text(" ".join(map(shape_text, value)), FORMULA)
    if isinstance(value, str):
        return safe_text(value, NAME)
    if not isinstance(value, int | float):
        return safe_text(value.pretty(), FORMULA)
    if field.kind == "bytes":
        return fmt.size(value)
    if field.kind == "share":
        return fmt.percent(value)
    if field.kind == "ns":
        return fmt.duration(value)
    if field.kind == "ratio":
        return fmt.significant(value)
    return fmt.decimal(value)
