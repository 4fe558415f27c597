"""The measured columns of a results table, and which of them a width has room for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

from onnxbench.report import axes, findings, proof
from onnxbench.report import format as fmt
from onnxbench.report.axes import at, text_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxbench.types import Record

GAP = 2
"""Cells between two columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """A laid-out column: aligned cell texts under a title.

    ``rank`` says when a narrow table drops it: the highest first, 0 never. A ``flexible`` column
    holds names, which may be shortened; numbers never are.
    """

    title: str
    cells: tuple[str, ...]
    rank: int
    flexible: bool = False

    @property
    def width(self) -> int:
        """Cells that the widest text takes."""
        return max(_title_width(self), *map(cell_len, self.cells))

    def narrowed(self, by: int) -> Column:
        """Return the column ``by`` cells narrower, its texts shortened in the middle."""
        cells = tuple(fmt.fit(cell, self.width - by) for cell in self.cells)
        return Column(self.title, cells, self.rank, self.flexible)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it to show."""
        return all(cell.strip() in {"", fmt.NOTHING} for cell in self.cells)


def _numbers(record: Record, path: str) -> float | None:
    value = at(record, path)
    return value if isinstance(value, int | float) and findings.is_result(record) else None


def _formatted(path: str, show: Callable[[float], str]) -> Callable[[Sequence[Record]], list[str]]:
    def texts(records: Sequence[Record]) -> list[str]:
        values = (_numbers(record, path) for record in records)
        return fmt.align([fmt.NOTHING if value is None else show(value) for value in values])

    return texts


def _durations(path: str) -> Callable[[Sequence[Record]], list[str]]:
    return lambda records: fmt.align(fmt.durations([_numbers(r, path) for r in records]))


def half_width(record: Record) -> float | None:
    """Return half of the 95 % interval's width relative to the median, None without one."""
    interval, median = at(record, "latency.ci95_ns"), at(record, "latency.median_ns")
    return (interval[1] - interval[0]) / (2.0 * median) if interval and median else None


def latency(records: Sequence[Record]) -> list[str]:
    """Return "20.9 ms ± 0.4 %" for each record, decimal points in line; "-" where there is none.

    In brackets: a number that is no result (wrong output, fallback).
    """
    shown = [findings.is_ok(r) or findings.is_struck(r) for r in records]
    values = [
        at(record, "latency.median_ns") if show else None
        for record, show in zip(records, shown, strict=True)
    ]
    halves = [half_width(record) for record in records]
    around = fmt.align(["?" if half is None else fmt.percent(half) for half in halves])
    texts = []
    for record, value, median, half in zip(
        records, values, fmt.durations(values), around, strict=True
    ):
        if value is None:
            texts.append(fmt.NOTHING)
        elif findings.is_result(record):
            texts.append(f"{median} ± {half}")
        else:
            texts.append(f"({median})")
    return [text.rstrip() for text in fmt.align(texts)]


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quantity: how its column is made from the records."""

    title: str
    texts: Callable[[Sequence[Record]], list[str]]
    rank: int
    flexible: bool = False


def _counts(path: str) -> Callable[[Sequence[Record]], list[str]]:
    """Return a column of counted figures, which a record has whatever its latency came to."""

    def texts(records: Sequence[Record]) -> list[str]:
        found = []
        for record in records:
            count = at(record, path)
            bound = at(record, "static.exact") is False and path != "static.params"
            text = fmt.decimal(count) if isinstance(count, int) else fmt.NOTHING
            found.append(f"≥{text}" if bound and text != fmt.NOTHING else text)
        return fmt.align(found)

    return texts


METRICS = (
    Metric("type", proof.precisions, 0, flexible=True),
    Metric("told→found", proof.threads, 1),
    Metric("latency", latency, 0),
    Metric("min", _durations("latency.min_ns"), 10),
    Metric("p90", _durations("latency.p90_ns"), 6),
    Metric("throughput", _formatted("throughput_per_s", fmt.rate), 5),
    Metric("max error", proof.errors, 2),
    Metric("placement", proof.placements, 3),
    Metric("MACs", _counts("static.macs_least"), 7),
    Metric("params", _counts("static.params"), 8),
    Metric("model RSS", _formatted("memory.model_rss_bytes", fmt.size), 9),
    Metric("peak RSS", _formatted("memory.peak_rss_bytes", fmt.size), 4),
    Metric("load", _durations("phases_ns.load"), 11),
    Metric(
        "record", lambda records: [text_at(r, "record_id")[:8] or fmt.NOTHING for r in records], 12
    ),
    Metric("verdict", lambda records: [findings.state(r) for r in records], 0),
)
_ALWAYS = ("latency", "verdict")


def names(records: Sequence[Record], varying: Sequence[axes.Axis]) -> list[Column]:
    """Return the columns that tell the rows apart; the version stands beside the runtime."""
    versions = axes.RUNTIME in varying and axes.RUNTIME_VERSION not in varying
    return [
        Column(
            axis.title,
            tuple(
                _with_version(record) if versions and axis is axes.RUNTIME else text or fmt.NOTHING
                for record in records
                for text in [axis.text(record)]
            ),
            rank=0,
            flexible=not all(axis.text(record).isdecimal() for record in records),
        )
        for axis in varying
    ]


def _with_version(record: Record) -> str:
    both = (axes.RUNTIME.text(record), axes.RUNTIME_VERSION.text(record))
    return " ".join(filter(None, both)) or fmt.NOTHING


def metrics(records: Sequence[Record]) -> list[Column]:
    """Return the measured columns that have anything to show, latency and verdict always."""
    columns = [Column(m.title, tuple(m.texts(records)), m.rank, m.flexible) for m in METRICS]
    return [column for column in columns if column.title in _ALWAYS or not column.is_empty]


def total_width(columns: Sequence[Column]) -> int:
    """Return the cells that ``columns`` take side by side."""
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


LEAST_NAME = 20
"""Cells of a shortened name that are kept before a measured column is dropped instead."""


def fitting(columns: Sequence[Column], width: int) -> tuple[list[Column], list[str]]:
    """Return the columns that fit ``width``, names shortened, and the titles of those dropped."""
    kept, dropped = list(columns), []
    while total_width(_shortened(kept, width, LEAST_NAME)) > width:
        least = max(kept, key=lambda column: column.rank)
        if least.rank == 0:
            break
        kept.remove(least)
        dropped.append(least.title)
    return _shortened(kept, width, 1), [c.title for c in columns if c.title in dropped]


def _title_width(column: Column) -> int:
    return max(map(cell_len, column.title.split("\n")))


def narrowest(columns: Sequence[Column]) -> list[Column]:
    """Return ``columns`` with names no longer than `LEAST_NAME`."""
    return _shortened(columns, 0, LEAST_NAME)


def _shortened(columns: Sequence[Column], width: int, least: int) -> list[Column]:
    """Shorten the widest names first until ``columns`` fit, none below ``least`` cells."""
    shortened = list(columns)
    while (excess := total_width(shortened) - width) > 0:
        room = [c.width - max(least, _title_width(c)) if c.flexible else 0 for c in shortened]
        widths = [c.width if spare > 0 else 0 for c, spare in zip(shortened, room, strict=True)]
        second, most = sorted([0, *widths])[-2:]
        if most == 0:
            break
        widest = widths.index(most)
        # Down to the next widest name first, so that equally long names share the loss.
        by = min(room[widest], excess, max(1, most - second))
        shortened[widest] = shortened[widest].narrowed(by)
    return shortened
