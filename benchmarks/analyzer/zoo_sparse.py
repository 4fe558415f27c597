"""ONNX files whose weights take no room: dims and types are right, contents were never written.

A static analyzer reads shapes, types and offsets, never weights. So every large float tensor is
stored as external data in one file that is as long as the weights would be and is one hole.
Integer tensors and small ones stay inside with their values, because shapes are computed from them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

INLINE_BYTES = 1024  # what is smaller stays in the file
ALIGNMENT_BYTES = 4096  # a page, so that a runtime could map each tensor
PAYLOADS = ("raw_data", "float_data", "double_data", "int32_data", "external_data")
FLOATS = frozenset(
    {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
)


def stored_bytes(dims: tuple[int, ...], data_type: int) -> int:
    """Return the bytes that a dense tensor's contents take."""
    return math.prod(dims) * int(helper.tensor_dtype_to_np_dtype(data_type).itemsize)


def is_weight(dims: tuple[int, ...], data_type: int) -> bool:
    """Return whether a tensor's contents are left out."""
    return data_type in FLOATS and stored_bytes(dims, data_type) >= INLINE_BYTES


def hollow(name: str, dims: tuple[int, ...], data_type: int) -> TensorProto:
    """Return a tensor without contents; `save` gives it its place in the data file."""
    tensor = TensorProto(name=name, data_type=data_type)
    tensor.dims.extend(dims)
    return tensor


def save(model: onnx.ModelProto, path: Path) -> int:
    """Write `model` to `path` and a sparse ``.data`` file beside it; return that file's length.

    Weights lose their contents, in place, wherever they are: initializers, the values of Constant
    nodes, subgraphs and functions. A network without large weights gets no data file.
    """
    data = path.with_suffix(".data")
    end = 0
    for tensor in _tensors(model):
        dims = tuple(tensor.dims)
        if not is_weight(dims, tensor.data_type):
            continue
        length = stored_bytes(dims, tensor.data_type)
        offset = -(-end // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
        _point_at(tensor, data.name, offset, length)
        end = offset + length
    if end:
        with data.open("wb") as file:
            file.truncate(end)
    path.write_bytes(model.SerializeToString())
    return end


def _point_at(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    for field in PAYLOADS:
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    yield from _tensors_of_graph(model.graph)
    for function in model.functions:
        yield from _tensors_of_nodes(function.node)


def _tensors_of_graph(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("g"):
                yield from _tensors_of_graph(attribute.g)
            for graph in attribute.graphs:
                yield from _tensors_of_graph(graph)
