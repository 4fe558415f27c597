"""Exported models as a table: a row for each, what failed with its reason below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from onnxbench.report import columns, layout
from onnxbench.report import format as fmt
from onnxbench.report.columns import Column
from onnxbench.report.findings import Finding
from onnxbench.text import PARAGRAPH, safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

    from onnxbench.types import JsonObject

NOTHING = fmt.NOTHING


def artifacts_table(rows: Sequence[JsonObject], *, width: int, seconds: float) -> RenderableType:
    """Return the table of ``rows``, documents of `onnxbench.exporting.Exported`.

    ``seconds``: what the whole command took.
    """
    reasons = [_reason(row) for row in rows]
    numbers = {reason: i + 1 for i, reason in enumerate(dict.fromkeys(filter(None, reasons)))}
    marks = [f" [{numbers[reason]}]" if reason else "" for reason in reasons]
    everything = [
        Column("model", tuple(safe_text(row["id"]) for row in rows), 0, flexible=True),
        _column("exporter", rows, _exporter, 5, numbers=False),
        _column("weights", rows, lambda row: str(row.get("weights") or NOTHING), 6, numbers=False),
        _column("seconds", rows, lambda row: f"{row['seconds']:.1f}", 3),
        _column("nodes", rows, lambda row: _count(row, "nodes"), 7),
        _column("params", rows, lambda row: _amount(row, "params"), 2),
        _column("MACs", rows, lambda row: _amount(row, "macs"), 1),
        _column("size", rows, _size, 4),
        _column("parity", rows, _parity, 2),
        Column("status", tuple(f"{_status(r)}{m}" for r, m in zip(rows, marks, strict=True)), 0),
    ]
    shown, dropped = columns.fitting(everything, width)
    below = [Finding(f"[{number}]", reason) for reason, number in numbers.items()]
    if any(row.get("parity") for row in rows):
        text = "largest difference from the source framework by its largest output value"
        below.append(Finding("parity", text))
    if dropped:
        text = f"{', '.join(dropped)}: no room in {width} columns, but in --json"
        below.append(Finding("hidden", text))
    return Group(
        layout.grid(shown, [_styles(row, shown) for row in rows]),
        Text(),
        Text(_summary(rows, seconds), style=layout.QUIET),
        *([layout.definitions(below, width)] if below else []),
    )


def one_line(row: JsonObject) -> str:
    """Return what is said of a model on stderr as soon as it has ended."""
    if row["status"] != "ok":
        return f"{row['id']}: {row['status']}: {_reason(row)}"
    if row["cached"]:
        return f"{row['id']}: unchanged"
    return f"{row['id']}: ok, {row['seconds']:.1f} s, {_size(row)}, parity {_parity(row)}"


def _summary(rows: Sequence[JsonObject], seconds: float) -> str:
    good = [row for row in rows if row["status"] == "ok"]
    unchanged = sum(row["cached"] for row in good)
    parts = [f"{len(good)} of {fmt.plural(len(rows), 'model')} ok"]
    if unchanged:
        parts.append(f"{unchanged} unchanged")
    return ", ".join([*parts, fmt.time_span(seconds)])


def _reason(row: JsonObject) -> str:
    error = row["error"]
    if error is not None:
        hint = f" ({error['hint']})" if error["hint"] else ""
        return safe_text(f"{error['message']}{hint}", PARAGRAPH)
    counts = row.get("counts", {})
    return "" if counts.get("agree", True) else f"counts differ: {counts['reason']}"


def _status(row: JsonObject) -> str:
    return "unchanged" if row["status"] == "ok" and row["cached"] else str(row["status"])


def _exporter(row: JsonObject) -> str:
    return str(row.get("route") or row.get("exporter") or row["source"].partition(":")[0])


def _count(row: JsonObject, name: str) -> str:
    return NOTHING if row[name] is None else fmt.count(row[name])


def _amount(row: JsonObject, name: str) -> str:
    return NOTHING if row[name] is None else fmt.amount(row[name], "")


def _size(row: JsonObject) -> str:
    size_bytes = row.get("bytes")
    return NOTHING if size_bytes is None else fmt.size(size_bytes)


def _parity(row: JsonObject) -> str:
    error = (row.get("parity") or {}).get("max_rel")
    return NOTHING if error is None else f"{error:.1e}"


def _column(
    title: str,
    rows: Sequence[JsonObject],
    text: Callable[[JsonObject], str],
    rank: int,
    *,
    numbers: bool = True,
) -> Column:
    cells = [safe_text(text(row)) for row in rows]
    return Column(title, tuple(fmt.align(cells) if numbers else cells), rank)


def _styles(row: JsonObject, shown: Sequence[Column]) -> list[str]:
    state = "ok" if row["status"] == "ok" else str(row["status"])
    return [layout.state_style(state) if c.title == "status" else "" for c in shown]
