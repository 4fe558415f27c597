"""Models × (device, runtime): the same file and the same workload side by side, with ratios.

Two numbers stand in one row only if the artifact's SHA-256 and everything of the cell but device,
host, runtime, its options and threads are equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from onnxbench.report import columns, findings, layout
from onnxbench.report import format as fmt
from onnxbench.report.axes import (
    DERIVED,
    DEVICE,
    HOST,
    MODEL,
    OPTIONS,
    RUNTIME,
    THREADS,
    WORKLOAD,
    at,
    split,
)
from onnxbench.report.columns import Column
from onnxbench.report.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from onnxbench.report.axes import Axis
    from onnxbench.types import Record

    Slots = dict[tuple[str, ...], dict[tuple[str, ...], Record]]

_PLACE = (DEVICE, RUNTIME, THREADS, OPTIONS, HOST)
"""What a column stands for."""

_SUBJECT = (MODEL, *WORKLOAD, *DERIVED)
"""What a row stands for."""

_TITLE = 22
"""Cells of a column's title: processors have long names."""

_GLOSSARY = "to the first column: below 1 is faster; ≈ where the 95 % intervals overlap"
_DOUBT = "noisy or unreliable, onnxbench show RECORD says why"
_UNPAIRED = "across runs, so unpaired: to compare two cells, measure both in one run"


def model_by_runtime(records: Sequence[Record], *, width: int) -> RenderableType:
    """Return the matrix for ``width`` cells; of several records for one place the newest counts.

    Places that do not fit side by side follow in further blocks, the first one repeated.
    """
    if not records:
        return Text("no record: nothing was measured")
    subject, place = split(records, _SUBJECT), split(records, _PLACE, always=(RUNTIME,))
    slots, older = _slots(records)
    places = list(dict.fromkeys(key for row in slots.values() for key in row))
    newest = [record for row in slots.values() for record in row.values()]
    rows = [next(iter(row.values())) for row in slots.values()]
    heads = columns.names(rows, subject.varying)
    blocks = _blocks(heads, [_place_column(slots, places, p, place.varying) for p in places], width)
    several = len(places) > 1
    unpaired = several and len({record.get("run_id") for record in newest}) > 1
    old = f"{fmt.plural(older, 'record')} of the same cells not shown" if older else ""
    notes = [
        Finding("latency", findings.measured(newest, interval=False)),
        Finding("ratio", _GLOSSARY if several else ""),
        Finding("ratio", _UNPAIRED if unpaired else ""),
        Finding("?", _DOUBT if any(map(_is_doubtful, newest)) else ""),
        Finding("older", old),
    ]
    return Group(
        layout.flow([*findings.run_facts(newest), *place.constants, *subject.constants], width),
        *(part for block in blocks for part in (Text(), layout.grid(block, _styles(block)))),
        Text(),
        layout.definitions([note for note in notes if note.text], width),
    )


def _slots(records: Sequence[Record]) -> tuple[Slots, int]:
    """Return the newest record of each subject and place, and how many older ones there are."""
    slots: Slots = {}
    older = 0
    for record in sorted(records, key=lambda r: str(r.get("created"))):
        row = slots.setdefault(_key(record, _SUBJECT, at(record, "cell.model.sha256")), {})
        place = _key(record, _PLACE)
        older += place in row
        row[place] = record
    order = [_key(record, _SUBJECT, at(record, "cell.model.sha256")) for record in records]
    return {key: slots[key] for key in dict.fromkeys(order)}, older


def _key(record: Record, axes: Sequence[Axis], *more: object) -> tuple[str, ...]:
    return (*(axis.text(record) for axis in axes), *map(str, more))


def _place_column(
    slots: Slots,
    places: Sequence[tuple[str, ...]],
    place: tuple[str, ...],
    varying: Sequence[Axis],
) -> Column:
    cells = [row.get(place) for row in slots.values()]
    sample = next(record for record in cells if record is not None)
    lines = (
        axis.text(sample) if axis in {DEVICE, RUNTIME} else f"{axis.title} {axis.text(sample)}"
        for axis in varying
    )
    title = "\n".join(fmt.fit(line, _TITLE) for line in lines)
    values = [at(r, "latency.median_ns") if r and findings.is_ok(r) else None for r in cells]
    medians = fmt.align(fmt.durations(values))
    is_first = place == places[0]
    ratios = fmt.align(
        ["" if is_first else _ratio(row.get(place), row.get(places[0])) for row in slots.values()]
    )
    texts = [
        _cell(record, median, ratio)
        for record, median, ratio in zip(cells, medians, ratios, strict=True)
    ]
    return Column(title, tuple(texts), rank=0)


def _cell(record: Record | None, median: str, ratio: str) -> str:
    if record is None:
        return fmt.NOTHING
    if not findings.is_ok(record):
        return findings.state(record)
    return f"{median}{'?' if _is_doubtful(record) else ' '} {ratio}".rstrip()


def _is_doubtful(record: Record) -> bool:
    return findings.is_ok(record) and at(record, "verdict.grade") in findings.DOUBTFUL


def _ratio(record: Record | None, base: Record | None) -> str:
    if record is None or base is None or not (findings.is_ok(record) and findings.is_ok(base)):
        return ""
    median, reference = at(record, "latency.median_ns"), at(base, "latency.median_ns")
    if not median or not reference:
        return ""
    mine, theirs = at(record, "latency.ci95_ns"), at(base, "latency.ci95_ns")
    overlap = not (mine and theirs) or (mine[0] <= theirs[1] and theirs[0] <= mine[1])
    return ("≈" if overlap else "") + fmt.ratio(median / reference)


def _blocks(heads: list[Column], places: list[Column], width: int) -> list[list[Column]]:
    """Put as many places into a block as fit beside shortened names; the first is in each."""
    first, *others = places
    blocks: list[list[Column]] = [[first]]
    for column in others:
        wider = [*blocks[-1], column]
        fits = columns.total_width([*columns.narrowest(heads), *wider]) <= width
        if fits or len(blocks[-1]) == 1:
            blocks[-1] = wider
        else:
            blocks.append([first, column])
    return [columns.fitting([*heads, *block], width)[0] for block in blocks]


def _styles(block: Sequence[Column]) -> list[list[str]]:
    return [
        [layout.FAILED if cell in layout.FAILURES else "" for cell in row]
        for row in zip(*(column.cells for column in block), strict=True)
    ]
