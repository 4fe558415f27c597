"""Models × (device, runtime): the same file and the same workload side by side, with ratios.

Two numbers stand in one row only if the artifact's SHA-256 and everything of the cell but device,
host, runtime, its options and threads are equal. A ratio between two types says so; what ran
elsewhere than asked, gave wrong outputs or ran on an emulated device gets none and is never its
base.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from onnxbench.report import columns, findings, layout, proof
from onnxbench.report import format as fmt
from onnxbench.report.axes import (
    DERIVED,
    DEVICE,
    HOST,
    MODEL,
    OPTIONS,
    RUNTIME,
    RUNTIME_VERSION,
    THREADS,
    WORKLOAD,
    at,
    split,
    text_at,
)
from onnxbench.report.columns import Column
from onnxbench.report.findings import Finding
from onnxbench.report.skipped import is_row
from onnxbench.report.skipped import split as with_skips

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from rich.console import RenderableType

    from onnxbench.report.axes import Axis
    from onnxbench.types import Record

    Slots = dict[tuple[str, ...], dict[tuple[str, ...], Record]]

_PLACE = (DEVICE, RUNTIME, THREADS, OPTIONS, HOST)
"""What a column stands for; the host is the last."""

_SUBJECT = (MODEL, *WORKLOAD, *DERIVED)
"""What a row stands for."""

_TITLE = 22
"""Cells of a column's title: processors have long names."""

_GLOSSARY = "to the first column: below 1 is faster; ≈ where the 95 % intervals overlap"
_OTHER_TYPE = "followed by a type: computed in that type, the first column in another"
_UNKNOWN_TYPE = "type?"
_DOUBT = "noisy or unreliable, onnxbench show RECORD says why"
_UNPAIRED = "across runs, so unpaired: to compare two cells, measure both in one run"
_EMULATED = "emulated devices: their times say nothing of real ones"


def model_by_runtime(
    records: Sequence[Record], skipped: Sequence[Mapping[str, Any]] = (), *, width: int
) -> RenderableType:
    """Return the matrix for ``width`` cells; of several records for one place the newest counts.

    Places that do not fit side by side follow in further blocks, the first one repeated.
    ``skipped``: documents of `types.Skip`.
    """
    records, unplaced = with_skips(records, skipped)
    if not records:
        return Text("no record: nothing was measured")
    subject = split(records, _SUBJECT)
    place = split(records, _PLACE, always=(RUNTIME,))
    slots, older = _slots(records)
    places = _base_first(slots)
    newest = [record for row in slots.values() for record in row.values()]
    rows = [next(iter(row.values())) for row in slots.values()]
    numbers = _footnotes(newest)
    heads = columns.names(rows, subject.varying)
    cells = [_place_column(slots, places, p, place.varying, numbers) for p in places]
    blocks = _blocks(heads, cells, width)
    measured = [record for record in newest if not is_row(record)]
    old = f"{fmt.plural(older, 'record')} of the same cells not shown" if older else ""
    notes = [
        Finding("latency", findings.measured(measured, interval=False) if measured else ""),
        *(Finding("ratio", text) for text in _about_ratios(slots, places, measured)),
        Finding("?", _DOUBT if any(map(_is_doubtful, newest)) else ""),
        *_types(newest),
        Finding(
            "emulated",
            _EMULATED if any(at(record, "cell.device.emulated") for record in newest) else "",
        ),
        *(Finding(f"[{number}]", reason) for reason, number in numbers.items()),
        *findings.skips(unplaced),
        Finding("older", old),
    ]
    return Group(
        layout.flow([*findings.run_facts(measured), *place.constants, *subject.constants], width),
        *(part for block in blocks for part in (Text(), layout.grid(block, _styles(block)))),
        Text(),
        layout.definitions([note for note in notes if note.text], width),
    )


def _slots(records: Sequence[Record]) -> tuple[Slots, int]:
    """Return the newest record of each subject and place, and how many older ones there are."""
    slots: Slots = {}
    older = 0
    known = dict.fromkeys(_key(record, _PLACE) for record in records if not is_row(record))
    # What was skipped once and measured later was measured.
    for record in sorted(records, key=lambda r: (not is_row(r), str(r.get("created")))):
        row = slots.setdefault(_key(record, _SUBJECT, at(record, "cell.model.sha256")), {})
        for place in _places(record, known):
            older += place in row and not is_row(record) and not is_row(row[place])
            row[place] = record
    order = [_key(record, _SUBJECT, at(record, "cell.model.sha256")) for record in records]
    return {key: slots[key] for key in dict.fromkeys(order)}, older


def _places(record: Record, known: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return where a record stands. A skip knows no host: it stands at all that fit otherwise."""
    place = _key(record, _PLACE)
    fitting = [each for each in known if each[:-1] == place[:-1]] if is_row(record) else []
    return fitting or [place]


def _base_first(slots: Slots) -> list[tuple[str, ...]]:
    """Return the places: the one to which a ratio can be taken in most rows, others that have
    ratios, the rest.

    A place of one cell, such as an option that was tried once, is no measure for the others.
    """
    places = dict.fromkeys(key for row in slots.values() for key in row)
    usable = Counter(key for row in slots.values() for key in row if proof.comparable(row[key]))
    base = max(places, key=lambda place: usable[place])
    return sorted(places, key=lambda place: (place != base, not usable[place]))


def _footnotes(records: Sequence[Record]) -> dict[str, int]:
    """Return the reasons why cells hold no result, numbered."""
    reasons = (_reason(record) for record in records if not findings.is_result(record))
    return {reason: i + 1 for i, reason in enumerate(dict.fromkeys(reasons))}


def _reason(record: Record) -> str:
    return f"{findings.state(record)}: {findings.failure(record)}"


def _about_ratios(
    slots: Slots, places: Sequence[tuple[str, ...]], measured: Sequence[Record]
) -> list[str]:
    """Return what has to be said of the ratios; nothing where there is none."""
    ratios = [
        ratio
        for row in slots.values()
        for place in places[1:]
        if (ratio := _ratio(row.get(place), row.get(places[0])))
    ]
    several = len({record.get("run_id") for record in measured}) > 1
    return [
        text
        for text, holds in (
            (_GLOSSARY, bool(ratios)),
            (_OTHER_TYPE, any(" " in ratio for ratio in ratios)),
            (_UNPAIRED, bool(ratios) and several),
        )
        if holds
    ]


def _types(records: Sequence[Record]) -> list[Finding]:
    """Return which types were computed in, where they differ or are not those of the model."""
    if not proof.precisions_vary(records):
        return []
    by_type: dict[str, list[str]] = {}
    for record in records:
        if findings.is_result(record) and (found := proof.precision(record)):
            name = RUNTIME.text(record)
            asked = text_at(record, "cell.precision")
            by_type.setdefault(found, []).append(name if asked == "model" else f"{name} {asked}")
    return [
        Finding("computed in", f"{found}: {findings.names(names)}")
        for found, names in by_type.items()
    ]


def _key(record: Record, axes: Sequence[Axis], *more: object) -> tuple[str, ...]:
    return (*(axis.text(record) for axis in axes), *map(str, more))


def _place_column(
    slots: Slots,
    places: Sequence[tuple[str, ...]],
    place: tuple[str, ...],
    varying: Sequence[Axis],
    numbers: Mapping[str, int],
) -> Column:
    cells = [row.get(place) for row in slots.values()]
    values = [at(r, "latency.median_ns") if r and _has_number(r) else None for r in cells]
    medians = fmt.align(fmt.durations(values))
    is_first = place == places[0]
    ratios = fmt.align(
        ["" if is_first else _ratio(row.get(place), row.get(places[0])) for row in slots.values()]
    )
    texts = [
        _cell(record, median, ratio, numbers)
        for record, median, ratio in zip(cells, medians, ratios, strict=True)
    ]
    return Column(_title([r for r in cells if r is not None], varying), tuple(texts), rank=0)


def _title(records: Sequence[Record], varying: Sequence[Axis]) -> str:
    """Return what a place is, line by line: device, runtime and version, what else varies."""
    sample = records[0]
    lines = []
    for axis in varying:
        if axis is DEVICE:
            lines.append(text_at(sample, "cell.device.name"))
        elif axis is RUNTIME:
            versions = dict.fromkeys(RUNTIME_VERSION.text(record) for record in records)
            lines += [RUNTIME.text(sample), ", ".join(filter(None, versions))]
        else:
            lines.append(f"{axis.title} {axis.text(sample)}")
    lines.append("emulated" if at(sample, "cell.device.emulated") else "")
    return "\n".join(fmt.fit(line, _TITLE) for line in lines if line)


def _has_number(record: Record) -> bool:
    return findings.is_ok(record) or findings.is_struck(record)


def _cell(record: Record | None, median: str, ratio: str, numbers: Mapping[str, int]) -> str:
    """Return "20.9 ms  0.52× bf16"; what is no result in brackets or as "-", with its footnote."""
    if record is None:
        return fmt.NOTHING
    if findings.is_result(record):
        return f"{median}{'?' if _is_doubtful(record) else ' '} {ratio}".rstrip()
    number = median.strip()
    shown = fmt.NOTHING if number in {"", fmt.NOTHING} else f"({number})"
    return f"{shown} [{numbers[_reason(record)]}]"


def _is_doubtful(record: Record) -> bool:
    return findings.is_result(record) and at(record, "verdict.grade") in findings.DOUBTFUL


def _ratio(record: Record | None, base: Record | None) -> str:
    """Return the ratio to ``base``, with the type where the two were computed in different ones."""
    if record is None or base is None or not (proof.comparable(record) and proof.comparable(base)):
        return ""
    median, reference = at(record, "latency.median_ns"), at(base, "latency.median_ns")
    if not median or not reference:
        return ""
    mine, theirs = at(record, "latency.ci95_ns"), at(base, "latency.ci95_ns")
    overlap = not (mine and theirs) or (mine[0] <= theirs[1] and theirs[0] <= mine[1])
    same_type = proof.precision(record) == proof.precision(base)
    of_type = "" if same_type else f" {proof.brief(proof.precision(record)) or _UNKNOWN_TYPE}"
    return ("≈" if overlap else "") + fmt.ratio(median / reference) + of_type


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
        [_style(cell) for cell in row]
        for row in zip(*(column.cells for column in block), strict=True)
    ]


def _style(cell: str) -> str:
    """Return the style of a cell that is no result; colour repeats what the brackets say."""
    if not cell.endswith("]"):
        return ""
    return layout.STRUCK if cell.startswith("(") else layout.FAILED
