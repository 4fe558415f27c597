"""The one sanitizer for foreign strings: names from models, files and runtimes.

Everything that did not come from our own source passes `safe_text` before it reaches a terminal,
a log, a table or an exported file.
"""

from __future__ import annotations

import unicodedata

LIMIT = 200
"""Longest text that is shown of one name."""

PARAGRAPH = 2000
"""Longest text that is shown of a message or a note."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_INVISIBLE = frozenset(
    [
        *"\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0",
        *map(chr, range(0x180B, 0x1810)),
        *map(chr, range(0xFE00, 0xFE10)),
        *map(chr, range(0xE0100, 0xE01F0)),
    ]
)
"""Letters and marks that draw nothing although ``isprintable`` lets them pass: fillers, variation
selectors (Unicode's Default_Ignorable_Code_Point outside category Cf) and the braille blank."""


def _clean(char: str) -> str:
    # Not printable are Cc (C0, C1, ESC), Cf (bidi, zero-width, tags), Zl, Zp, Cs (lone
    # surrogates, which no encoder takes), Co, Cn, and every space but " ".
    if char.isprintable():
        return REPLACEMENT if char in _INVISIBLE else char
    return " " if char in "\n\t" or unicodedata.category(char) == "Zs" else REPLACEMENT


def shorten(text: str, limit: int) -> str:
    """Return at most ``limit`` (≥ 1) characters: the beginning and, half as long, the end."""
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def safe_text(text: str, limit: int | None = LIMIT) -> str:
    """Return ``text`` on one line, without control, bidi or invisible characters.

    Each unsafe character becomes U+FFFD, so that two different names stay visibly odd instead of
    looking equal; line breaks, tabs and odd spaces become a space. Text longer than ``limit``
    characters keeps its beginning and its end around an ellipsis; ``limit=None`` keeps all of it.
    The result encodes as UTF-8. Markup is the writer's business: give it to rich as ``Text``.
    """
    # Cut before cleaning: a 10 MB name must not cost 10 MB of work.
    if limit is not None:
        text = shorten(text, limit)
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_clean, text))


def safe_block(text: str, limit: int = 4000) -> str:
    """Return multi-line ``text`` with each line cleaned by `safe_text`; keeps the last lines."""
    if len(text) > limit:
        text = "…" + text[len(text) - limit + 1 :]
    return "\n".join(safe_text(line, None) for line in text.splitlines())
