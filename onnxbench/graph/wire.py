"""Protobuf's wire format in a file, field by field, without trust.

A `WireFile` is read with ``pread`` rather than mapped, so that a file which shrinks under us gives
an error and not SIGBUS. Every length is checked against the message around it. Format:
protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from onnxbench.errors import RefusedInput

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

MAX_FIELDS = 20_000_000
"""Fields that are looked at in one file: a bound on time, some ten seconds."""

MAX_READ_BYTES = 256 * 1024 * 1024
"""Longest piece that is copied out of a file."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types. Groups (3 and 4) are not used by ONNX and are refused."""

_HEADER_BYTES = 20  # a tag and a length, at most ten bytes each
_MIN_WINDOW_BYTES = 4 * 1024
_MAX_WINDOW_BYTES = 256 * 1024
_CONTINUES = 0x80
_MAX_FIELD_NUMBER = (1 << 29) - 1


class Field(NamedTuple):
    """One field on the wire: its tag is at ``start``, its value at ``value``..``end``."""

    number: int
    wire: int
    start: int
    value: int
    end: int


class WireFile:
    """An open file of ``size_bytes`` that holds one protobuf message."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._fd = fd
        self._fields = 0

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes ``start``..``end``."""
        if end - start > MAX_READ_BYTES:
            raise too_large(start)
        data = os.pread(self._fd, end - start, start)
        if len(data) != end - start:
            raise RefusedInput(
                "changed-while-read",
                f"the file shrank while it was read (at byte {start + len(data):,})",
                "wait until it is complete",
            )
        return data

    def fields(
        self, start: int, end: int, dull: Container[int] = (), most_bytes: int = -1
    ) -> Iterator[Field]:
        """Yield the fields of the message at ``start``..``end``; values are jumped over.

        ``dull``: one-byte tags of lengths whose fields are not yielded if they have at most
        ``most_bytes`` (below 16 KiB): of 100,000 nodes, hardly any is worth a `Field`.
        Raises RefusedInput: ``malformed``, ``truncated``, ``too-many-fields``.
        """
        window, base, window_end = b"", start, start
        window_bytes = _MIN_WINDOW_BYTES // 2
        at = start
        while at < end:
            if at + _HEADER_BYTES > window_end and window_end < end:
                # Grow while short fields follow one another, start small again after a jump.
                near = at - window_end < window_bytes
                window_bytes = (
                    min(window_bytes * 2, _MAX_WINDOW_BYTES) if near else _MIN_WINDOW_BYTES
                )
                base, window_end = at, min(at + window_bytes, end)
                window = self.read(base, window_end)
            index = at - base
            try:
                if window[index] in dull:
                    value, length = 2, window[index + 1]
                    if length >= _CONTINUES:  # two bytes of seven bits, or more than is dull
                        value, length = 3, length & 0x7F | window[index + 2] << 7
                    if length <= most_bytes and at + value + length <= end:
                        at += value + length
                        self._count(at)
                        continue
                tag, value, length = _header(window, index)
            except IndexError:
                raise self._past_end(at, end) from None
            except ValueError as error:
                raise self.malformed(at, str(error)) from None
            field = Field(tag >> 3, tag & 7, at, base + value, base + value + length)
            if field.end > end:
                raise self._past_end(at, end)
            at = field.end
            self._count(at)
            yield field

    def _count(self, at: int) -> None:
        """Count a field that ends at ``at``. Raises RefusedInput ``too-many-fields``."""
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise RefusedInput(
                "too-many-fields",
                f"the file has more than {MAX_FIELDS:,} fields (at byte {at:,})",
                "store big tensors as raw_data",
            )

    def malformed(self, at: int, what: str) -> RefusedInput:
        """Return the refusal of a file whose bytes at ``at`` are not as ONNX has them."""
        return RefusedInput(
            "malformed",
            f"not an ONNX file: {what} (at byte {at:,} of {self.size_bytes:,})",
            "download or export the model anew",
        )

    def _past_end(self, at: int, end: int) -> RefusedInput:
        if end != self.size_bytes:
            return self.malformed(at, "a field ends beyond the message that holds it")
        return RefusedInput(
            "truncated",
            f"the file ends inside the field that starts at byte {at:,} of {self.size_bytes:,}",
            "the file is incomplete or no ONNX file: download or export it anew",
        )


def fields_of(data: bytes, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message at ``start``..``end`` of ``data``, which was read before."""
    while start < end:
        tag, value, length = _header(data, start)
        yield Field(tag >> 3, tag & 7, start, value, value + length)
        start = value + length


def too_large(at: int) -> RefusedInput:
    """Return the refusal of a model whose structure alone fills memory."""
    return RefusedInput(
        "structure-too-large",
        f"without its weights the model still has more than {MAX_READ_BYTES:,} bytes "
        f"(near byte {at:,})",
        "remove documentation strings and metadata, or store big constants as tensors",
    )


def varint(value: int) -> bytes:
    """Return ``value`` as a varint."""
    encoded = bytearray()
    while value >= _CONTINUES:
        encoded.append(value & 0x7F | _CONTINUES)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _header(data: bytes, index: int) -> tuple[int, int, int]:
    """Return tag, index of the value and length of the value of the field at ``index``.

    Raises IndexError at the end of ``data``, ValueError for what no ONNX file has.
    """
    tag = data[index]
    index += 1
    if tag >= _CONTINUES:
        tag, index = _varint_at(data, index - 1)
    if not 0 < tag >> 3 <= _MAX_FIELD_NUMBER:
        msg = f"field number {tag >> 3} is not possible"
        raise ValueError(msg)
    wire = tag & 7
    if wire == BYTES:
        length = data[index]
        if length >= _CONTINUES:
            length, index = _varint_at(data, index)
        else:
            index += 1
        return tag, index, length
    if wire == VARINT:
        return tag, index, _varint_at(data, index)[1] - index
    if wire == FIXED32:
        return tag, index, 4
    if wire == FIXED64:
        return tag, index, 8
    msg = f"wire type {wire} is not used"
    raise ValueError(msg)


def _varint_at(data: bytes, index: int) -> tuple[int, int]:
    """Return the varint at ``index`` and the index behind it. Raises IndexError, ValueError."""
    value = shift = 0
    while True:
        byte = data[index]
        index += 1
        value |= (byte & 0x7F) << shift
        if byte < _CONTINUES:
            break
        shift += 7
        if shift > 63:  # ten bytes of seven bits
            msg = "a varint has more than ten bytes"
            raise ValueError(msg)
    if value >> 64:
        msg = "a varint has more than 64 bits"
        raise ValueError(msg)
    return value, index
