"""Numbers as people read them: the only place where pretty units exist.

Data is in SI base units everywhere else. Here: durations in the unit that gives 1–999, with three
significant digits (a benchmark's interval is rarely narrower than 0.1 %, so more would be noise);
sizes in *binary* units, labelled so (1 MiB = 1,048,576 B), because that is what `ps`, cgroup limits
and GPU tools count in; shares and relative half-widths in per cent.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGITS = 3
NOTHING = "-"

_TIME_UNITS = (("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1.0))
_SIZE_UNITS = (("TiB", 2.0**40), ("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10), ("B", 1.0))
_SI_PREFIXES = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))

_COMMON_UNIT_SPAN = (1e-2, 1e5)
"""A column shares one unit while every value in it reads as 0.01 … 99999."""


def significant(value: float, digits: int = DIGITS) -> str:
    """Return ``value`` in fixed-point with ``digits`` significant digits; whole digits all stay."""
    if value == 0:
        return "0"
    # Round first: 9.996 has its leading digit in the tens once it is rounded.
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    return f"{value:.{max(0, digits - 1 - exponent)}f}"


def _unit_of(value: float, units: Sequence[tuple[str, float]]) -> tuple[str, float]:
    return next(
        (unit for unit in units if float(f"{abs(value) / unit[1]:.{DIGITS - 1}e}") >= 1), units[-1]
    )


def _scaled(value: float, units: Sequence[tuple[str, float]]) -> str:
    name, size = _unit_of(value, units)
    number = f"{value:.0f}" if size == 1.0 and value == int(value) else significant(value / size)
    return f"{number} {name}".rstrip()


def duration(ns: float) -> str:
    """Return nanoseconds as "1.23 ms"."""
    return _scaled(ns, _TIME_UNITS)


def size(n_bytes: float) -> str:
    """Return bytes in binary units: "312 MiB"."""
    return _scaled(n_bytes, _SIZE_UNITS)


def count(n: int) -> str:
    """Return a whole number with thousands separated: "12,345"."""
    return f"{n:,}"


def amount(value: float, unit: str) -> str:
    """Return a large quantity with an SI prefix: "1.82 GMAC"."""
    name, scale = _unit_of(value, _SI_PREFIXES)
    number = f"{value:.0f}" if scale == 1.0 and value == int(value) else significant(value / scale)
    return f"{number} {name}{unit}".rstrip()


def decimal(value: float) -> str:
    """Return a count with an SI prefix and three decimals: "4.089 G"; below 1,000 as it is."""
    name, scale = next((unit for unit in _SI_PREFIXES if abs(value) >= unit[1]), ("", 1.0))
    if scale == 1.0:
        return f"{value:.0f}" if value == int(value) else f"{value:.3f}"
    if abs(value) >= 999_999.5 * scale:  # beyond tera
        return f"{value:.3e}"
    number = f"{value / scale:.3f}"
    if number.lstrip("-") == "1000.000":  # 999,999.9 k
        return decimal(round(value / scale) * scale)
    return f"{number} {name}"


def rate(per_second: float) -> str:
    """Return a throughput in items per second: "47.8/s"."""
    return f"{significant(per_second)}/s"


def percent(share: float) -> str:
    """Return a share as "0.4 %", "12 %"; below 0.05 % as "<0.1 %" unless it is exactly 0."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    return f"{share * 100:.{0 if share >= 0.0995 else 1}f} %"


def ratio(value: float) -> str:
    """Return a ratio as "1.84×"."""
    return f"{significant(value)}×"


def shape(dims: Sequence[object]) -> str:
    """Return a tensor shape as it is typed at ``--shape``: "1x3x224x224"; "scalar" without dims."""
    return "x".join(map(str, dims)) or "scalar"


def time_span(seconds: float) -> str:
    """Return a span for people who wait: "8 s", "1 min 40 s", "2 h 5 min"."""
    whole = max(0, math.ceil(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def timestamp(iso: str) -> str:
    """Return an ISO 8601 instant as "2026-11-22 14:03 UTC"; text that is none, unchanged."""
    try:
        moment = dt.datetime.fromisoformat(iso)
    except ValueError:
        return iso
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC)
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def plural(n: int, noun: str) -> str:
    """Return "1 process", "5 processes", "2 threads"."""
    ending = "" if n == 1 else "es" if noun.endswith(("s", "x")) else "s"
    return f"{count(n)} {noun}{ending}"


# ---------------------------------------------------------------------------------- whole columns


def durations(column: Sequence[float | None]) -> list[str]:
    """Return a column of nanoseconds in one shared unit where that stays readable.

    None becomes "-". The unit is that of the median value.
    """
    known = sorted(value for value in column if value is not None)
    if not known:
        return [NOTHING] * len(column)
    name, scale = _unit_of(known[len(known) // 2], _TIME_UNITS)
    low, high = _COMMON_UNIT_SPAN
    if low <= known[0] / scale and known[-1] / scale < high:
        return [
            NOTHING if value is None else f"{significant(value / scale)} {name}" for value in column
        ]
    return [NOTHING if value is None else duration(value) for value in column]


def align(column: Sequence[str]) -> list[str]:
    """Return the texts of a column padded so that numbers end, and units begin, in one line."""
    parts = [re.fullmatch(r"([^\d]*[\d.,]*)(.*)", text, re.DOTALL) for text in column]
    numbers, units = zip(*(part.groups() if part else ("", "") for part in parts), strict=True)
    left, right = max(map(len, numbers)), max(map(len, units))
    return [f"{n:>{left}}{unit:<{right}}" for n, unit in zip(numbers, units, strict=True)]


def fit(text: str, width: int) -> str:
    """Return ``text`` in at most ``width`` (≥ 1) terminal cells, shortened in the middle.

    Names of models differ at both ends: "mobilenetv3_large_100.ra_in1k".
    """
    if cell_len(text) <= width:
        return text
    head, tail = "", ""
    for char in text:
        if cell_len(head + char) > width * 3 // 5:
            break
        head += char
    for char in reversed(text):
        if cell_len(head + tail + char) > width - 1:
            break
        tail = char + tail
    return f"{head}…{tail}"
