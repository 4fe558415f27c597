"""The one sanitizer for foreign strings: names from models, files and runtimes.

Everything that did not come from our own source passes `safe_text` before it reaches a terminal,
a log, a table or an exported file.
"""

from __future__ import annotations

import unicodedata

LIMIT = 200
"""Longest text that is shown of one name."""

_KEEP = {"\n", "\t"}


def _is_unsafe(char: str) -> bool:
    # Cc: C0 and C1 controls (ESC among them). Cf: bidi overrides, zero-width characters, tags.
    # Zl/Zp: line and paragraph separators. Cs/Co/Cn: surrogates, private use, unassigned.
    return unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"}


def safe_text(text: str, limit: int | None = LIMIT) -> str:
    """Return ``text`` on one line, without control, bidi or invisible characters.

    Each unsafe character becomes U+FFFD, so that two different names stay visibly odd instead of
    looking equal. Text longer than ``limit`` characters keeps its beginning and its end around an
    ellipsis; ``limit=None`` keeps all of it.
    """
    # Cut before cleaning too: a 10 MB name must not cost 10 MB of work.
    if limit is not None and len(text) > limit:
        head = limit * 2 // 3
        text = text[:head] + "…" + text[-(limit - head - 1) :]
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        " " if char in _KEEP else "\N{REPLACEMENT CHARACTER}" if _is_unsafe(char) else char
        for char in text
    )


def safe_block(text: str, limit: int = 4000) -> str:
    """Return multi-line ``text`` with each line cleaned by `safe_text`; keeps the last lines."""
    if len(text) > limit:
        text = "…" + text[-(limit - 1) :]
    return "\n".join(safe_text(line, None) for line in text.splitlines())
