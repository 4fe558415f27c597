"""Rewrites an ONNX file so that pnnx reads it: one file, with no weight among its inputs.

pnnx aborts at weights that lie in a file of their own, and takes weights that are listed among the
inputs, as every file of IR version 3 lists them, for inputs. The environment has no ``onnx``
package, so the file is rewritten field by field. Numbers of fields: onnx.proto3 of ONNX 1.23.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Rewrite = Callable[[bytes], bytes | None]

LIMIT = (1 << 31) - 1
"""Most bytes that a protobuf message may have."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def write_plain(model: str, path: Path) -> None:
    """Write the file ``model`` to ``path``: weights inside, and out of the list of inputs.

    Raises Unsupported where that would be too large for one file, or the file is no ONNX.
    """
    folder = Path(model).parent

    def tensor(data: bytes) -> bytes:
        return _tensor(data, folder)

    def attribute(data: bytes) -> bytes:
        # AttributeProto: t = 5, g = 6, tensors = 10, graphs = 11.
        return _map(data, {5: tensor, 6: graph, 10: tensor, 11: graph})

    def node(data: bytes) -> bytes:
        return _map(data, {5: attribute})

    def graph(data: bytes) -> bytes:
        # GraphProto: node = 1, initializer = 5, input = 11; TensorProto.name = 8, ValueInfo's 1.
        weights = {_text(weight, 8) for number, weight in _messages(data) if number == 5}

        def declared(value: bytes) -> bytes | None:
            return None if _text(value, 1) in weights else value

        return _map(data, {1: node, 5: tensor, 11: declared})

    def function(data: bytes) -> bytes:
        return _map(data, {7: node})

    try:
        # ModelProto: graph = 7, functions = 25.
        plain = _map(Path(model).read_bytes(), {7: graph, 25: function})
    except (IndexError, ValueError) as error:
        raise Unsupported(
            f"the file is not ONNX: {error}", "run `onnxbench inspect` on it"
        ) from error
    path.write_bytes(plain)


def _tensor(data: bytes, folder: Path) -> bytes:
    """Return the TensorProto with its external bytes as raw_data (9).

    external_data = 13 (key = 1, value = 2), data_location = 14. That the file lies below
    ``folder`` was checked by pre-flight, which hashed it.
    """
    entries = [entry for number, entry in _messages(data) if number == 13]
    if not entries:
        return data
    told = {_text(entry, 1): _text(entry, 2) for entry in entries}
    with (folder / told["location"]).open("rb") as file:
        file.seek(int(told.get("offset", "0")))
        raw = file.read(int(told["length"]) if "length" in told else -1)
    kept = b"".join(whole for number, whole, _ in _fields(data) if number not in (9, 13, 14))
    return kept + _encode(9, raw)


def _map(data: bytes, rewrites: Mapping[int, Rewrite]) -> bytes:
    """Return the message with the fields in ``rewrites`` rewritten; None drops one."""
    parts = []
    for number, whole, body in _fields(data):
        if body is None or number not in rewrites:
            parts.append(whole)
        elif (changed := rewrites[number](body)) is not None:
            parts.append(whole if changed is body else _encode(number, changed))
    size = sum(map(len, parts))
    if size > LIMIT:
        raise Unsupported(
            f"pnnx reads one file of at most 2 GiB; this model has {size} bytes with its weights",
            "choose another runtime for it",
        )
    return b"".join(parts)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    return ((number, body) for number, _, body in _fields(data) if body is not None)


def _text(data: bytes, wanted: int) -> str:
    found = (body for number, body in _messages(data) if number == wanted)
    return next(found, b"").decode("utf-8", "surrogateescape")


def _fields(data: bytes) -> Iterator[tuple[int, bytes, bytes | None]]:
    """Yield number, all bytes, and, where it has a length, the body of each field.

    Raises ValueError or IndexError on what is not a message.
    """
    start = 0
    while start < len(data):
        key, at = _varint(data, start)
        body = None
        if key & 7 == _VARINT:
            _, end = _varint(data, at)
        elif key & 7 == _BYTES:
            length, at = _varint(data, at)
            end = at + length
            body = data[at:end]
        elif key & 7 in (_FIXED64, _FIXED32):
            end = at + (8 if key & 7 == _FIXED64 else 4)
        else:
            message = f"a field of wire type {key & 7}"
            raise ValueError(message)
        if end > len(data):
            message = "a field ends behind its message"
            raise ValueError(message)
        yield key >> 3, data[start:end], body
        start = end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at


def _encode(number: int, body: bytes) -> bytes:
    return _as_varint(number << 3 | _BYTES) + _as_varint(len(body)) + body


def _as_varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
