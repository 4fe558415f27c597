"""Turns what people type into values: lists, ranges, durations, sizes, NAME=VALUE."""

import re
from collections.abc import Iterable

from onnxbench.errors import UsageError
from onnxbench.text import safe_text

_RANGE = re.compile(r"(\d+)-(\d+)(?:([*+])(\d+))?")
_NUMBER = r"(\d{1,15}(?:\.\d{1,15})?)"  # more digits could only overflow
_DURATION = re.compile(_NUMBER + r"\s*(ms|s|m|min|h)?")
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, None: 1.0}
_SIZE = re.compile(_NUMBER + r"\s*([kKmMgG]?)(i?)[bB]?")
_SIZES = {"": 0, "k": 1, "m": 2, "g": 3}
MAX_VALUES = 1000


def names(text: str) -> tuple[str, ...]:
    """Return the names of a comma list, each once, in order."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def whole_numbers(text: str, flag: str) -> tuple[int, ...]:
    """Return the numbers of a list with ranges: ``1,8``, ``1-8*2`` (1 2 4 8), ``1-7+2``."""
    found: list[int] = []
    for part in text.split(","):
        found += _range(part.strip(), flag)
        if len(found) > MAX_VALUES:
            raise UsageError(f"{flag} {safe_text(text)} has more than {MAX_VALUES} values")
    if not found or min(found) < 1:
        raise UsageError(f"{flag} {safe_text(text)}: numbers start at 1", f"{flag} 1,8")
    return tuple(dict.fromkeys(found))


def _range(part: str, flag: str) -> Iterable[int]:
    if part.isdecimal() and len(part) < 19:
        return [int(part)]
    match = _RANGE.fullmatch(part)
    if match is None:
        message = f"{flag} {safe_text(part)!r} is not a whole number or a range"
        raise UsageError(message, f"{flag} 1,8 or {flag} 1-8*2 or {flag} 1-8+1")
    first, last, operator, step = int(match[1]), int(match[2]), match[3] or "+", int(match[4] or 1)
    if first < 1 or (operator == "*" and step < 2) or step < 1:
        raise UsageError(f"{flag} {part}: this range never ends", f"{flag} 1-8*2")
    values: list[int] = []
    while first <= last and len(values) <= MAX_VALUES:
        values.append(first)
        first = first * step if operator == "*" else first + step
    return values


def seconds(text: str, flag: str) -> float:
    """Return a duration in seconds: ``2``, ``500ms``, ``2s``, ``10m``, ``1h``."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{flag} {safe_text(text)!r} is not a duration", f"{flag} 2s")
    return float(match[1]) * _SECONDS[match[2]]


def share(text: str, flag: str) -> float:
    """Return a share: ``1%`` is 0.01; a plain number is a percentage too."""
    number = text.strip().removesuffix("%").strip()
    try:
        value = float(number) / 100
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise UsageError(f"{flag} {safe_text(text)!r} is not a percentage", f"{flag} 1%")
    return value


def size_bytes(text: str, flag: str) -> int:
    """Return a size in bytes: ``500MB``, ``2GiB``, ``4G`` (decimal unless an i says otherwise)."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{flag} {safe_text(text)!r} is not a size", f"{flag} 2GB")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** _SIZES[match[2].lower()])


def assignments(items: Iterable[str], flag: str) -> dict[str, str]:
    """Return NAME=VALUE items as a mapping. Raises UsageError for a name that comes twice."""
    found: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{flag} {safe_text(item)!r} is not NAME=VALUE", f"{flag} NAME=VALUE")
        if found.setdefault(name.strip(), value.strip()) != value.strip():
            raise UsageError(f"{flag} {safe_text(name)} is given twice", "give it once")
    return found


def dims(items: Iterable[str]) -> dict[str, int]:
    """Return ``--dim NAME=N`` items."""
    found: dict[str, int] = {}
    for name, value in assignments(items, "--dim").items():
        numbers = whole_numbers(value, f"--dim {safe_text(name)}")
        if len(numbers) > 1:
            raise UsageError(f"--dim {safe_text(name)} takes one number", "--dim NAME=N")
        found[name] = numbers[0]
    return found


def shapes(items: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return ``--shape NAME:1x3x224x224`` items; a name may hold colons, a scalar is ``NAME:``."""
    found: dict[str, tuple[int, ...]] = {}
    for item in items:
        name, colon, text = item.rpartition(":")
        sizes = [part for part in re.split(r"[x,×]", text.strip()) if part]
        if not colon or not name or not all(part.isdecimal() and len(part) < 19 for part in sizes):
            message = f"--shape {safe_text(item)!r} is not NAME:1x3x224x224"
            raise UsageError(message, "--shape NAME:1x3x224x224")
        shape = tuple(int(part) for part in sizes)
        if found.setdefault(name, shape) != shape:
            raise UsageError(f"--shape {safe_text(name)} is given twice", "give it once")
    return found
