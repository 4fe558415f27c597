"""The nearest valid name, for the end of an error message."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOWN = 12
"""Most names that one hint lists."""

_OFFERED = 3
"""Most names that one hint offers as equally near."""

_LEAST_RATIO = 0.6
_LEAST_BEGINNING = 3
"""Letters that make a beginning: fewer begin too much."""


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return a hint that names the nearest of the ``valid`` names, or lists them all.

    Letters and digits alone are compared, without case: nobody remembers where a hyphen stands.
    """
    names = sorted(valid)
    # A long name is never a typing error, and difflib's time grows with the square of its length.
    if near := _nearest(_bare(name[:100]), {each: _bare(each) for each in names}):
        *others, last = near
        return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?"
    if not names:
        return "there is none to choose from"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"one of: {', '.join(names[:SHOWN])}{more}"


def _nearest(typed: str, names: dict[str, str]) -> list[str]:
    """Return the best of the names whose bare form is like ``typed``: equal, begun, or mistyped."""
    if equal := [name for name, bare in names.items() if bare == typed]:
        return equal[:_OFFERED]
    begun = [name for name, bare in names.items() if bare.startswith(typed)]
    if begun and len(typed) >= _LEAST_BEGINNING:
        return sorted(begun, key=len)[:_OFFERED]
    # difflib prepares its second text once; its ratio depends on the order.
    matcher = difflib.SequenceMatcher(b=typed, autojunk=False)
    best = _LEAST_RATIO
    nearest: list[str] = []
    for name, bare in names.items():
        matcher.set_seq1(bare)
        if min(matcher.real_quick_ratio(), matcher.quick_ratio()) < best:
            continue
        ratio = matcher.ratio()
        if ratio > best:
            best, nearest = ratio, []
        if ratio == best:
            nearest.append(name)
    return nearest[:_OFFERED]


def _bare(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))
