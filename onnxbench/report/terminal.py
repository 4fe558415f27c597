"""The console that results are printed on, on any stream.

rich honours NO_COLOR, FORCE_COLOR, TERM=dumb, COLUMNS and streams that are no terminal, and draws
boxes in ASCII where the stream cannot take more. What it does not do is survive a *character* that
the stream's encoding lacks: that is an error handler here.
"""

from __future__ import annotations

import codecs
import io
from typing import TextIO

from rich.console import Console

_ASCII = {"±": "~", "≈": "~", "…": "~", "×": "x", "µ": "u", "·": "|", "–": "-", "→": ">"}
"""One cell each, so that a fitted table stays fitted."""

_ERRORS = "onnxbench-ascii"


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_ASCII.get(char, "?") for char in lost), error.end


codecs.register_error(_ERRORS, _replace)


def console(stream: TextIO, *, width: int | None = None) -> Console:
    """Return a console on ``stream`` (``width``: columns, else the terminal's, else 80).

    A stream whose encoding is not UTF-8 gets "~" for "±", "u" for "µ" and "?" for foreign letters
    instead of raising UnicodeEncodeError. Markup, emoji codes and highlighting are off.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=_ERRORS)
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)
