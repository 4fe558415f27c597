"""The console that results are printed on, on any stream.

rich honours NO_COLOR, FORCE_COLOR, TERM=dumb, COLUMNS and streams that are no terminal, and draws
boxes in ASCII where the stream cannot take more. What it does not do is survive a *character* that
the stream's encoding lacks: that is an error handler here.
"""

from __future__ import annotations

import codecs
import io
import re
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_ASCII = {
    "±": "~", "≈": "~", "…": "~", "×": "x", "µ": "u", "·": "|", "–": "-", "→": ">", "≥": ">",
    "─": "-",
}  # fmt: skip
"""One cell each, so that a fitted table stays fitted."""

_POWER = re.compile("[⁰¹²³⁴-⁹]+")
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")

_ERRORS = "onnxbench-ascii"


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    lost = _POWER.sub(lambda power: f"^{power[0].translate(_DIGITS)}", lost)
    return "".join(char if char < "\x80" else _ASCII.get(char, "?") for char in lost), error.end


codecs.register_error(_ERRORS, _replace)


def tolerant(stream: TextIO) -> TextIO:
    """Return ``stream``, which from now on takes every text, whatever its encoding.

    One that is not UTF-8 gets "~" for "±", "u" for "µ" and "?" for foreign letters instead of
    raising UnicodeEncodeError.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=_ERRORS)
    return stream


def console(stream: TextIO, *, width: int | None = None) -> Console:
    """Return a `tolerant` console on ``stream`` (``width``: columns, else the terminal's, else 80).

    Markup, emoji codes and highlighting are off.
    """
    from rich.console import Console  # noqa: PLC0415 - half of what a short command takes

    return Console(file=tolerant(stream), width=width, markup=False, emoji=False, highlight=False)
