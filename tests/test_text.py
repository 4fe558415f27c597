from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbench.text import REPLACEMENT, safe_block, safe_text, shorten

# Any code point at all, lone surrogates included.
ANY_TEXT = st.text(st.characters(exclude_categories=()))

UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b[31mred",
        "\x1b]0;title\x07",
        "\x9b31m",
        "a\x00b",
        "a\u202eb",
        "a\u2066b",
        "a\u200bb",
        "a\u2028b",
        "a\u2029b",
        "a\ud800b",
        "a\U000e0041b",
        "a\ue000b",
        "a\u3164b",
        "a\ufe0fb",
        "a\u2800b",
        "a\rb",
        "a\x08b",
        "a\x7fb",
    ],
)
def test_every_kind_of_unsafe_character_is_replaced(hostile: str) -> None:
    clean = safe_text(hostile)
    assert REPLACEMENT in clean
    assert clean.isprintable()
    clean.encode()


@given(ANY_TEXT)
def test_what_comes_out_is_one_printable_encodable_line(text: str) -> None:
    clean = safe_text(text)
    assert not {unicodedata.category(char) for char in clean} & UNSAFE
    assert len(clean.splitlines()) <= 1
    assert len(clean) <= 200
    clean.encode("utf-8")


@given(ANY_TEXT)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert safe_text(safe_text(text)) == safe_text(text)


@given(st.text(st.characters(categories=("Lu", "Ll", "Nd", "Pd", "Po"), max_codepoint=0x1FFF)))
def test_honest_text_stays_as_it_is(text: str) -> None:
    assert safe_text(text, None) == text


def test_line_breaks_tabs_and_odd_spaces_become_a_space() -> None:
    assert safe_text("a\nb\tc\u00a0d\u3000e") == "a b c d e"


def test_a_line_break_is_no_replacement_character() -> None:
    assert REPLACEMENT not in safe_text("a\nb\tc")


@given(ANY_TEXT, st.integers(1, 50))
def test_shortening_keeps_both_ends_and_never_exceeds_the_limit(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) <= limit
    if len(text) > limit:
        head, _, tail = short.partition("…") if "…" not in text else (short[:0], "", "")
        assert text.startswith(head)
        assert text.endswith(tail)


def test_ten_megabytes_cost_no_more_than_their_ends() -> None:
    huge = "é" * 10_000_000
    begin = time.perf_counter()
    safe_text(huge)
    cut = time.perf_counter() - begin
    begin = time.perf_counter()
    safe_text(huge[:100_000], None)
    assert cut < time.perf_counter() - begin, "the whole name was cleaned"


def test_a_block_keeps_its_lines_and_its_end() -> None:
    assert safe_block("a\x1b\nb\r\nc") == f"a{REPLACEMENT}\nb\nc"
    assert safe_block("x" * 10 + "end", limit=4) == "…end"
    assert safe_block("long", limit=1) == "…"
