"""The walk over protobuf's wire format: what is dull is passed over, and nothing else."""

from __future__ import annotations

import tempfile

import pytest

from onnxbench.errors import RefusedInput
from onnxbench.graph.wire import BYTES, Field, WireFile, varint

DULL = frozenset({1 << 3 | BYTES})
MOST_BYTES = 200


def field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def walked(data: bytes, dull: frozenset[int]) -> list[Field]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        wire = WireFile(file.fileno(), len(data))
        return list(wire.fields(0, len(data), dull, MOST_BYTES))


def test_only_short_fields_with_a_dull_tag_are_passed_over() -> None:
    # The tag of field 17 begins with the byte 0x8A, its continuation: no tag of one byte.
    fields = [(1, 0), (1, 127), (2, 5), (1, 128), (17, 3), (1, 200), (1, 201), (1, 20_000), (3, 0)]
    data = b"".join(field(number, b"x" * size) for number, size in fields)
    everything = walked(data, frozenset())
    assert [(each.number, each.end - each.value) for each in everything] == fields
    seen = [each for each in everything if each.number != 1 or each.end - each.value > MOST_BYTES]
    assert walked(data, DULL) == seen


@pytest.mark.parametrize("length", [b"\x05", b"\x85", b"\x85\x01", b"\xff\xff\xff", b""])
def test_a_dull_field_that_ends_behind_the_file_is_refused(length: bytes) -> None:
    with pytest.raises(RefusedInput, match="ends inside the field"):
        walked(b"\x0a" + length + b"abc"[: len(length) - 1 if length else 0], DULL)
