"""How many bytes a tensor must have, and whether it has them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from onnxbench.errors import RefusedInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import TensorProto

    from onnxbench.graph.reader import Payload

_STRING = 8

BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64,
    15: 128, 16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2, 27: 6,
    28: 6,
}  # fmt: skip
"""Bits of one element by TensorProto.DataType; elements below a byte are packed (onnx.proto)."""

_FLOAT_DATA = frozenset({1, 14})
_DOUBLE_DATA = frozenset({11, 15})
_COMPLEX = frozenset({14, 15})
_UINT64_DATA = frozenset({12, 13})
_PACKED_IN_INT32 = frozenset({21, 22, 23, 25, 26})
_INT64 = 7


def check_tensor(tensor: TensorProto, dropped: Mapping[int, Payload], where: str) -> int:
    """Return the bytes of the data of ``tensor``, which must fit its type and dims.

    ``dropped``: payloads that `onnxbench.graph.reader.strip` left in the file. Data that lies in
    another file is not looked at here. Raises RefusedInput: ``unknown-dtype``, ``bad-dims``,
    ``tensor-size``.
    """
    expected_bytes = raw_bytes(tensor, where)
    if tensor.data_location == tensor.EXTERNAL:
        return expected_bytes
    payload = dropped.get(tensor.segment.begin) if tensor.HasField("segment") else None
    if payload is not None and payload.raw:
        found, needed, unit = payload.bytes, expected_bytes, "bytes"
    elif tensor.HasField("raw_data"):
        found, needed, unit = len(tensor.raw_data), expected_bytes, "bytes"
    else:
        needed, least_bytes, entries = _typed(tensor)
        unit = "values"
        # Of a dropped list only the bytes are known: enough to see that it is too short.
        found = entries if payload is None else min(needed, payload.bytes // least_bytes)
    if found != needed or (tensor.data_type == _STRING and unit == "bytes"):
        raise RefusedInput(
            "tensor-size",
            f"{where} has {found:,} {unit}; its type and dims need {needed:,}",
            "the file is damaged: download or export it anew",
        )
    if tensor.data_type != _STRING:
        return expected_bytes
    return payload.bytes if payload else sum(len(text) for text in tensor.string_data)


def raw_bytes(tensor: TensorProto, where: str) -> int:
    """Return the bytes of ``tensor`` as raw_data or in an external file; 0 for strings.

    Raises RefusedInput: ``unknown-dtype``, ``bad-dims``.
    """
    bits = 0 if tensor.data_type == _STRING else BITS.get(tensor.data_type)
    if bits is None:
        raise RefusedInput(
            "unknown-dtype",
            f"{where} has the unknown element type {tensor.data_type}",
            "the installed onnx knows no such type: pip install -U onnx",
        )
    dims = tensor.dims[:]  # a list is gone through faster than the field
    if dims and min(dims) < 0:
        msg = f"{where} has a negative dim"
        raise RefusedInput("bad-dims", msg, "the file is damaged: export it anew")
    elements: int = prod(dims)
    return (elements * bits + 7) // 8


def _typed(tensor: TensorProto) -> tuple[int, int, int]:
    """Return for the list that ``tensor``'s type uses: entries needed, least bytes each, found."""
    dtype = tensor.data_type
    needed = prod(tensor.dims) * (2 if dtype in _COMPLEX else 1)
    if dtype in _FLOAT_DATA:
        return needed, 4, len(tensor.float_data)
    if dtype in _DOUBLE_DATA:
        return needed, 8, len(tensor.double_data)
    if dtype in _UINT64_DATA:
        return needed, 1, len(tensor.uint64_data)
    if dtype == _INT64:
        return needed, 1, len(tensor.int64_data)
    if dtype == _STRING:
        return needed, 1, len(tensor.string_data)
    if dtype in _PACKED_IN_INT32:
        needed = (needed * BITS[dtype] + 7) // 8
    return needed, 1, len(tensor.int32_data)
