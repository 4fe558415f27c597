"""What native code says of a failure: it prints it, and returns a number."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from onnxbench.text import PARAGRAPH, safe_text

if TYPE_CHECKING:
    from collections.abc import Callable


def said_again(call: Callable[[], object]) -> str:
    """Repeat ``call``, which has just failed, and return the end of what it prints.

    The first attempt is not captured, so that the log has what was said before a crash.
    """
    with tempfile.TemporaryFile() as file:
        kept = [os.dup(1), os.dup(2)]
        _flush()
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            with contextlib.suppress(Exception):
                call()
        finally:
            _flush()
            for number, descriptor in zip((1, 2), kept, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)
        file.seek(0)
        return tail(file.read())


def _flush() -> None:
    """Write out what Python and C hold back: C's stdout is a buffer of its own on a pipe."""
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)


def tail(output: bytes) -> str:
    """Return the end of what a foreign program printed, on one line, safe to show."""
    return safe_text(output[-PARAGRAPH:].decode("utf-8", "replace").strip(), PARAGRAPH)
