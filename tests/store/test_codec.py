"""What goes in comes out; what was not put in does not come out."""

from __future__ import annotations

import contextlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbench.store import codec


@given(st.binary(max_size=4000))
def test_samples_round_trip_whatever_their_length(samples: bytes) -> None:
    assert codec.expand(codec.compress(samples)) == samples


@given(st.binary(min_size=1, max_size=400), st.data())
def test_a_flipped_bit_is_refused_or_harmless(samples: bytes, data: st.DataObject) -> None:
    blob = bytearray(codec.compress(samples))
    bit = data.draw(st.integers(0, len(blob) * 8 - 1))
    blob[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(ValueError):
        assert codec.expand(bytes(blob)) == samples  # a bit of zlib's header that means nothing


def test_samples_are_cut_off_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = codec.compress(bytes(100_000))
    monkeypatch.setattr(codec, "MAX_SAMPLES_BYTES", 99_999)
    with pytest.raises(ValueError, match="too large"):
        codec.expand(bomb)
    with pytest.raises(ValueError, match="100000 bytes"):
        codec.compress(bytes(100_000))


@pytest.mark.parametrize(
    "blob", [b"", b"no zlib", zlib.compress(b"x")[:-1], zlib.compress(b"") + b"x"]
)
def test_other_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(ValueError):
        codec.expand(blob)


def test_a_million_alike_samples_take_a_fifth_of_their_size() -> None:
    samples = b"".join((2_000_000 + i * i % 9973).to_bytes(8, "little") for i in range(1 << 17))
    assert len(codec.compress(samples)) < len(samples) / 5


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "{", "", "[" * 200_000])
def test_only_json_is_parsed(text: str) -> None:
    with pytest.raises(ValueError):
        codec.parse_json(text)


@given(st.lists(st.text() | st.integers() | st.binary(), max_size=4), st.data())
def test_columns_that_differ_have_different_checksums(
    columns: list[str | int | bytes], data: st.DataObject
) -> None:
    assert codec.checksum(columns) == codec.checksum(list(columns))
    others = data.draw(st.lists(st.text() | st.integers() | st.binary(), max_size=4))
    assert (codec.checksum(columns) == codec.checksum(others)) is (columns == others)


def test_a_boundary_between_columns_counts() -> None:
    assert codec.checksum(["ab", "c"]) != codec.checksum(["a", "bc"])
    assert codec.checksum(["1"]) != codec.checksum([1]) != codec.checksum([b"1"])
