"""The result channel: length-prefixed frames from a child to its parent.

A frame is a header (magic, length of the JSON text, length of the blob, CRC-32 over both), a JSON
object and a blob of raw bytes. The channel is a pipe of its own: whatever a native library prints
goes to stdout and cannot spoil it, and if something is written onto the pipe all the same, the
magic, the lengths or the checksum give it away.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from onnxbench.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"OBW1"
HEADER = struct.Struct("<4sIQI")
MAX_JSON_BYTES = 16 << 20
MAX_BLOB_BYTES = 64 << 20
"""Room for 8 Mi samples; a child that claims more is lying."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of a child: a JSON object and a blob."""

    document: dict[str, Any]
    blob: bytes


def write_frame(fd: int, document: dict[str, Any], blob: bytes = b"") -> None:
    """Write one frame to ``fd``, all of it. Raises OSError when the parent is gone."""
    text = json.dumps(document, allow_nan=False).encode()
    body = text + blob
    data = memoryview(HEADER.pack(MAGIC, len(text), len(blob), zlib.crc32(body)) + body)
    while data:
        data = data[os.write(fd, data) :]


class FrameReader:
    """Collects bytes from a channel and cuts them into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take more bytes; yield the frames that are now complete.

        Raises WorkerError on anything that is not a frame, after those that came before it; the
        reader is then spent.
        """
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    @property
    def pending_bytes(self) -> int:
        """Bytes of a frame that has not arrived in full."""
        return len(self._buffer)

    def _next(self) -> Frame | None:
        start = bytes(self._buffer[: len(MAGIC)])
        if start != MAGIC[: len(start)]:
            raise _garbage(f"expected a frame, found {start!r}")
        if len(self._buffer) < HEADER.size:
            return None
        _, json_length, blob_length, checksum = HEADER.unpack_from(self._buffer)
        if json_length > MAX_JSON_BYTES or blob_length > MAX_BLOB_BYTES:
            raise _garbage(f"a frame claims {json_length} + {blob_length} bytes")
        end = HEADER.size + json_length + blob_length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[HEADER.size : end])
        del self._buffer[:end]
        if zlib.crc32(body) != checksum:
            raise _garbage("the checksum of a frame is wrong")
        return Frame(_parse(body[:json_length]), body[json_length:])


def _parse(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise _garbage(f"a frame is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise _garbage("a frame is not a JSON object")
    return document


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):  # 1e999 is JSON, yet no number that could be written again
        _refuse_constant(digits)
    return number


def _garbage(what: str) -> WorkerError:
    return WorkerError(
        f"garbage on the result channel: {what}",
        "a native library may have written to a file descriptor it does not own",
    )
