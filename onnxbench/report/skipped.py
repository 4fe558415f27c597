"""What was asked for and not measured, as rows beside the records: `-` with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxbench.report.axes import MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxbench.types import Record


def row(skip: Mapping[str, Any]) -> Record:
    """Return a skip (`types.Skip.document`) as a record without figures and without an id."""
    reason = str(skip.get("reason", ""))
    cell = skip.get("cell")
    found: Any = {
        "record_id": None,
        "status": skip.get("status"),
        "error": {"kind": "", "message": reason, "hint": str(skip.get("hint", "")), "phase": None},
        "cell": cell if isinstance(cell, dict) else _cell(skip),
        "latency": {"median_ns": None, "reason": reason},
    }
    return found  # type: ignore[no-any-return]


def _cell(skip: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a skip without a cell, such as that of a missing runtime, tells of it."""
    return {"model": {"id": skip.get("model")}, "runtime": skip.get("runtime")}


def is_row(record: Mapping[str, Any]) -> bool:
    """Say whether ``record`` is one that `row` made."""
    return record.get("record_id") is None


def split(
    records: Sequence[Record], skipped: Sequence[Mapping[str, Any]]
) -> tuple[list[Record], list[Mapping[str, Any]]]:
    """Return the rows of a table, and the skips that are said below it.

    A skip that names its cell is a row after those of its model. One that does not, such as a
    runtime that is not installed, would add a row for every model, so that it is said once.
    """
    placed = [row(skip) for skip in skipped if isinstance(skip.get("cell"), dict)]
    order: dict[str, int] = {}
    for record in (*records, *placed):
        order.setdefault(MODEL.text(record), len(order))
    rows = sorted([*records, *placed], key=lambda record: order[MODEL.text(record)])
    return rows, [skip for skip in skipped if not isinstance(skip.get("cell"), dict)]
