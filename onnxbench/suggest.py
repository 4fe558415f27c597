"""The nearest valid name, for the end of an error message."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOWN = 12
"""Most names that one hint lists."""


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return a hint that names the nearest of the ``valid`` names, or lists them all."""
    names = sorted(valid)
    # A long name is never a typing error, and difflib's time grows with the square of its length.
    by_lower = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name[:100].lower(), by_lower, n=1, cutoff=0.6)
    if near:
        return f"did you mean {by_lower[near[0]]}?"
    if not names:
        return "there is none to choose from"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"one of: {', '.join(names[:SHOWN])}{more}"
