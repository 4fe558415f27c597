"""Turns what people type into values: lists, ranges, durations, sizes, NAME=VALUE."""

import itertools
import math
import re
from collections.abc import Iterable

from onnxbench.errors import UsageError
from onnxbench.text import safe_text

_RANGE = re.compile(r"(\d+)-(\d+)(?:([*+])(\d+))?")
_STEPS = re.compile(r"\d+-\d+[*+]\d+")
"""A range that says how it goes on; ``1-8`` alone may be a name."""
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
    if step < 1 or (operator == "*" and (step < 2 or first < 1)):
        raise UsageError(f"{flag} {part}: this range never ends", f"{flag} 1-8*2")
    if first > last:
        raise UsageError(f"{flag} {part}: this range is empty", f"{flag} {last}-{first}")
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


def option_values(text: str, flag: str) -> tuple[str, ...]:
    """Return the values of one option: ``all``, ``disable,all``, ``1-8*2``, ``0-4+2``.

    A range has an operator, for ``1-8`` may be a value. What stands in double quotes is one value
    as it is, commas included.
    """
    if len(text) > 1 and text[0] == text[-1] == '"':
        return (text[1:-1],)
    found: list[str] = []
    for part in map(str.strip, text.split(",")):
        if not part and part != text:
            hint = f"{flag}=a,b, or quote a value that holds commas: {flag}='\"a,b\"'"
            raise UsageError(f"{flag} {safe_text(text)!r} has an empty value", hint)
        is_range = _STEPS.fullmatch(part) is not None
        found += map(str, _range(part, flag)) if is_range else [part]
        _refuse_many(len(found), f"{flag} {safe_text(text)}")
    if not found:
        raise UsageError(f"{flag} {safe_text(text)} is empty", f"{flag}=1-8*2")
    return tuple(dict.fromkeys(found))


def option_text(value: str) -> str:
    """Return ``value`` as `option_values` reads it back: in quotes where it would be more."""
    quoted = value.startswith('"') and value.endswith('"') and len(value) > 1
    special = quoted or "," in value or value != value.strip() or _STEPS.fullmatch(value)
    return f'"{value}"' if special else value


def dim_values(items: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return ``--dim NAME=N`` items, where N may be a list or a range: ``seq=128-512*2``."""
    return {
        name: whole_numbers(value, f"--dim {safe_text(name)}")
        for name, value in assignments(items, "--dim").items()
    }


def dims(items: Iterable[str]) -> dict[str, int]:
    """Return ``--dim NAME=N`` items of one number each."""
    found = dim_values(items)
    for name, numbers in found.items():
        if len(numbers) > 1:
            raise UsageError(f"--dim {safe_text(name)} takes one number", "--dim NAME=N")
    return {name: numbers[0] for name, numbers in found.items()}


def shape_values(items: Iterable[str]) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Return ``--shape NAME:1x3x224x224`` items; a name may hold colons, a scalar is ``NAME:``.

    Several shapes stand between commas (``x:1x3x224x224,1x3x160x160``) or in several items, and a
    dim may be a range with an operator (``x:1x3x128-256*2x224``). Without an ``x`` commas separate
    the dims of one shape: ``x:1,3,224,224``.
    """
    found: dict[str, tuple[tuple[int, ...], ...]] = {}
    for item in items:
        name, colon, text = item.rpartition(":")
        if not colon or not name:
            raise _no_shape(item)
        several = re.search("[x×]", text) is not None
        texts = [part for part in text.split(",") if part.strip()] if several else [text]
        shapes_here = [shape for part in texts for shape in _shapes_of(part, item)]
        found[name] = tuple(dict.fromkeys([*found.get(name, ()), *shapes_here]))
        _refuse_many(len(found[name]), f"--shape {safe_text(name)}")
    return found


def shapes(items: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return ``--shape`` items of one shape for each input."""
    found = shape_values(items)
    for name, of_input in found.items():
        if len(of_input) > 1:
            raise UsageError(f"--shape {safe_text(name)} is given twice", "give it once")
    return {name: of_input[0] for name, of_input in found.items()}


def _shapes_of(text: str, item: str) -> list[tuple[int, ...]]:
    """Return the shapes of one text; dims that are ranges are crossed."""
    sizes: list[list[int]] = []
    for part in filter(None, map(str.strip, re.split("[x,×]", text))):
        if _STEPS.fullmatch(part):
            sizes.append(list(_range(part, "--shape")))
        elif part.isdecimal() and len(part) < 19:
            sizes.append([int(part)])
        else:
            raise _no_shape(item)
    _refuse_many(math.prod(map(len, sizes)), f"--shape {safe_text(item)}")
    if not all(sizes):
        raise _no_shape(item)
    return list(itertools.product(*sizes))


def _no_shape(item: str) -> UsageError:
    message = f"--shape {safe_text(item)!r} is not NAME:1x3x224x224"
    return UsageError(message, "--shape NAME:1x3x224x224 or NAME:1x3x128-256*2x224")


def _refuse_many(count: int, what: str) -> None:
    if count > MAX_VALUES:
        raise UsageError(f"{what} has more than {MAX_VALUES} values", "shorten it")
