"""Reads the structure of an ONNX file without reading its weights.

An ONNX file is one protobuf message, most of whose bytes are usually tensor payloads. `strip`
walks the messages that can hold a payload on the wire, jumps over each big one by its declared
length, and returns what is left: a small ModelProto that the onnx library parses quickly. Time
and memory depend on the number of nodes and tensors, never on the bytes of the weights.

A message that is no longer than `KEEP_BYTES` can hide no payload that would be dropped, so it is
copied without a look inside: that is nearly every node. Field numbers: onnx/onnx.proto.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

from onnxbench.errors import RefusedInput
from onnxbench.graph.wire import BYTES, MAX_READ_BYTES, Field, WireFile, too_large, varint

KEEP_BYTES = 1024
"""Payloads up to this size are kept: shapes, axes, scales, which shape inference reads."""

KEEP_LIST_BYTES = 64 * 1024
"""Attribute lists and strings up to this size are kept; tree ensembles have far bigger ones."""

MAX_DEPTH = 100
"""Nested messages; the limit of protobuf's own parsers."""

MAX_NAME_BYTES = 64 * 1024

_RAW_DATA = 9
_SEGMENT = 3


class _Kind(NamedTuple):
    """What `strip` looks at in one message type, by field number.

    ``payloads`` are dropped when they have more than ``keep_bytes`` together.
    """

    name: str
    messages: dict[int, str]
    names: frozenset[int]
    payloads: frozenset[int] = frozenset()
    keep_bytes: int = 0

    @property
    def tags(self) -> frozenset[int]:
        """What ``messages`` begin with on the wire, where that is one byte."""
        return frozenset(number << 3 | BYTES for number in self.messages if number < 16)


_KINDS = {
    kind.name: kind
    for kind in (
        _Kind("ModelProto", {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
              frozenset({2, 3, 4})),
        _Kind("GraphProto", {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto",
                             11: "ValueInfoProto", 12: "ValueInfoProto", 13: "ValueInfoProto"},
              frozenset({2})),
        _Kind("NodeProto", {5: "AttributeProto"}, frozenset({1, 2, 3, 4, 7, 8})),
        _Kind("AttributeProto", {5: "TensorProto", 10: "TensorProto", 6: "GraphProto",
                                 11: "GraphProto", 22: "SparseTensorProto",
                                 23: "SparseTensorProto"},
              frozenset({1, 21}), frozenset({4, 7, 8, 9}), KEEP_LIST_BYTES),
        _Kind("TensorProto", {}, frozenset({8}), frozenset({4, 5, 6, 7, 9, 10, 11}), KEEP_BYTES),
        _Kind("SparseTensorProto", {1: "TensorProto", 2: "TensorProto"}, frozenset()),
        _Kind("FunctionProto", {7: "NodeProto", 11: "AttributeProto", 12: "ValueInfoProto"},
              frozenset({1, 4, 5, 6, 10, 13})),
        _Kind("TrainingInfoProto", {1: "GraphProto", 2: "GraphProto"}, frozenset()),
        _Kind("ValueInfoProto", {}, frozenset({1})),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Payload:
    """Tensor data that was left in the file. ``bytes``: its size there; ``raw``: it is raw_data."""

    offset: int
    bytes: int
    raw: bool


@dataclass(frozen=True, slots=True)
class Stripped:
    """A model without its big payloads.

    ``model``: serialized ModelProto. ``dropped``: payloads left in the file, by offset. A tensor
    that lost its payload carries ``segment {begin, end}``, the place of the payload in the file:
    a field that nothing writes, and with which `onnx.numpy_helper` refuses to read the tensor.
    """

    model: bytes
    dropped: dict[int, Payload]


class _Cut(NamedTuple):
    """Bytes ``start``..``end`` of the file are replaced by ``by``."""

    start: int
    end: int
    by: bytes


def strip(fd: int, size_bytes: int | None = None) -> Stripped:
    """Return the model in the open regular file ``fd`` without its big payloads.

    Raises RefusedInput with reason ``truncated``, ``malformed``, ``nested-too-deep``,
    ``name-too-long``, ``too-many-fields``, ``structure-too-large`` or ``changed-while-read``.
    """
    if size_bytes is None:
        size_bytes = os.fstat(fd).st_size
    # Read-ahead would load the weights that the walk jumps over.
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    file = WireFile(fd, size_bytes)
    stripper = _Stripper(file)
    model = stripper.message(_KINDS["ModelProto"], 0, size_bytes, 1)
    return Stripped(file.read(0, size_bytes) if model is None else model, stripper.dropped)


class _Stripper:
    """One pass over a file."""

    def __init__(self, file: WireFile) -> None:
        self.dropped: dict[int, Payload] = {}
        self._file = file

    def message(self, kind: _Kind, start: int, end: int, depth: int) -> bytes | None:
        """Return the message at ``start``..``end`` without big payloads; None: as it stands."""
        if depth > MAX_DEPTH:
            raise RefusedInput(
                "nested-too-deep",
                f"messages are nested more than {MAX_DEPTH} deep at byte {start:,}",
                "no runtime reads such a model; export it anew",
            )
        cuts: list[_Cut] = []
        payloads: list[Field] = []
        # A message so short hides nothing that would be dropped.
        for field in self._file.fields(start, end, kind.tags, KEEP_BYTES):
            if field.number in kind.messages:
                self._expect_bytes(kind, field)
                if field.end - field.value <= KEEP_BYTES:
                    continue
                inner = _KINDS[kind.messages[field.number]]
                shorter = self.message(inner, field.value, field.end, depth + 1)
                if shorter is not None:
                    by = _encode(field.number, shorter)
                    cuts.append(_Cut(field.start, field.end, by))
            elif field.number in kind.payloads:
                _append_merged(payloads, field)
            elif field.number in kind.names:
                self._expect_bytes(kind, field)
                _check_name(kind, field)
        payload_bytes = sum(field.end - field.value for field in payloads)
        if payload_bytes > kind.keep_bytes:
            cuts += [_Cut(field.start, field.end, b"") for field in payloads]
            if kind.name == "TensorProto":
                cuts.append(_Cut(end, end, self._drop(payloads, payload_bytes)))
        return self._without(cuts, start, end) if cuts else None

    def _drop(self, payloads: list[Field], payload_bytes: int) -> bytes:
        """Note what a tensor loses and return the ``segment`` field that says so."""
        offset = payloads[0].value
        raw = all(field.number == _RAW_DATA for field in payloads)
        self.dropped[offset] = Payload(offset, payload_bytes, raw)
        # At the end of the tensor, where it overrides a segment that the file has.
        segment = b"\x08" + varint(offset) + b"\x10" + varint(offset + payload_bytes)
        return _encode(_SEGMENT, segment)

    def _without(self, cuts: list[_Cut], start: int, end: int) -> bytes:
        pieces = []
        size_bytes = 0
        for cut in sorted(cuts):
            pieces += [self._file.read(start, cut.start), cut.by]
            size_bytes += cut.start - start + len(cut.by)
            if size_bytes > MAX_READ_BYTES:
                raise too_large(start)
            start = cut.end
        pieces.append(self._file.read(start, end))
        return b"".join(pieces)

    def _expect_bytes(self, kind: _Kind, field: Field) -> None:
        if field.wire != BYTES:
            what = f"field {field.number} of {kind.name} has wire type {field.wire}"
            raise self._file.malformed(field.start, what)


def _check_name(kind: _Kind, field: Field) -> None:
    size_bytes = field.end - field.value
    if size_bytes > MAX_NAME_BYTES:
        raise RefusedInput(
            "name-too-long",
            f"a name in {kind.name} at byte {field.value:,} has {size_bytes:,} bytes",
            f"names may have {MAX_NAME_BYTES:,} bytes",
        )


def _append_merged(fields: list[Field], field: Field) -> None:
    """Append ``field``, or lengthen the last one: unpacked lists have a field per element."""
    if fields and fields[-1].end == field.start and fields[-1].number == field.number:
        fields[-1] = fields[-1]._replace(end=field.end)
    else:
        fields.append(field)


def _encode(number: int, value: bytes) -> bytes:
    """Return a length-delimited field."""
    return varint(number << 3 | BYTES) + varint(len(value)) + value
