"""What a runtime attains: ceilings of arithmetic by precision, and of memory by working set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from onnxbench.report import format as fmt
from onnxbench.report import layout
from onnxbench.report.columns import Column, fitting
from onnxbench.report.findings import Finding
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from onnxbench.types import JsonObject

BUSY_CORES = 0.1
"""Cores that others may keep busy before a ceiling is doubted."""

_WHAT = {"matmul": "matrix products", "conv": "convolutions"}


def calibrations(documents: Sequence[JsonObject], *, width: int) -> RenderableType:
    """Return calibrations one below the other."""
    parts: list[RenderableType] = []
    for document in documents:
        parts += [Text(""), *_one(document, width)] if parts else _one(document, width)
    return Group(*parts)


def _one(document: JsonObject, width: int) -> list[RenderableType]:
    phrases = [
        safe_text(document["runtime"]),
        safe_text(document["build"]),
        fmt.plural(document["threads"], "thread"),
        fmt.timestamp(document["created"]),
    ]
    parts: list[RenderableType] = [layout.flow(phrases, width)]
    ceilings = list(_ceilings(document))
    if ceilings:
        what, rates, intervals, cases, records = zip(*ceilings, strict=True)
        columns = [
            Column("ceiling", what, 0),
            Column("rate", tuple(fmt.align(rates)), 0),
            Column("95 % interval", tuple(fmt.align(intervals)), 1),
            Column("network", cases, 2, flexible=True),
            Column("record", records, 3),
        ]
        shown, _ = fitting(columns, width)
        parts.append(layout.grid(shown, [[""] * len(shown)] * len(ceilings)))
    notes = [*_disturbed(document), *_missing(document)]
    if notes:
        parts.append(layout.definitions(notes, width))
    return parts


def _ceilings(document: JsonObject) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield name, rate, interval, network and record of each ceiling."""
    for effective, kinds in document["compute"].items():
        for kind, rate in kinds.items():
            name = f"{_WHAT.get(kind, safe_text(kind))} in {safe_text(effective)}"
            yield name, *_told(rate, "FLOP/s")
    largest = document["bandwidth"][-1:]
    for rate in document["bandwidth"]:
        size = fmt.size(rate["working_set_bytes"])
        name = f"main memory ({size})" if rate in largest else f"working set of {size}"
        yield name, *_told(rate, "B/s")


def _told(rate: JsonObject, unit: str) -> tuple[str, str, str, str]:
    interval = rate["ci95_per_second"]
    low_high = " to ".join(fmt.amount(end, unit) for end in interval) if interval else fmt.NOTHING
    return (
        fmt.amount(rate["per_second"], unit), low_high, safe_text(rate["case"]),
        safe_text(rate["record_id"]),
    )  # fmt: skip


def _disturbed(document: JsonObject) -> Iterator[Finding]:
    """Yield a warning if others computed beside a network that set a ceiling."""
    rates = [
        *document["bandwidth"],
        *(r for of in document["compute"].values() for r in of.values()),
    ]
    most = max((rate["foreign_cores"] for rate in rates), default=0.0)
    if most > BUSY_CORES:
        busy = f"other processes kept {fmt.significant(most, 2)} cores busy meanwhile: "
        yield Finding("noisy", f"{busy}ceilings may be too low; calibrate again on a quiet machine")


def _missing(document: JsonObject) -> list[Finding]:
    """Return why networks gave no rate, those of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for each in document["missing"]:
        by_reason.setdefault(each["reason"], []).append(each["case"])
    return [
        Finding("no rate", safe_text(f"{', '.join(cases)}: {reason}", 600))
        for reason, cases in by_reason.items()
    ]
