"""A published figure: what is promised, what was measured, and the data behind it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxbench.types import JsonObject

Table = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. ``table``: its parts, the first row the header; ``raw``: all that was measured,
    in SI units with the unit in the name."""

    title: str
    target: str
    measured: str
    met: bool
    table: Table
    raw: JsonObject


def progress(text: str) -> None:
    """Say on stderr how far a measurement is."""
    print(text, file=sys.stderr, flush=True)
