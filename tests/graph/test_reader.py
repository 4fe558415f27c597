"""The reader drops what is big, keeps all else to the byte, and believes no length."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxbench.errors import RefusedInput
from onnxbench.graph.reader import KEEP_BYTES, Payload, Stripped, strip
from tests.corpus.case import field, model_of, relu, value, varint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.graph.conftest import RunChild

BIG = KEEP_BYTES // 4 + 1
"""Floats that are just too many to be kept."""

_PAYLOADS = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data",
             "string_data")  # fmt: skip


def _strip(path: Path) -> Stripped:
    fd = os.open(path, os.O_RDONLY)
    try:
        return strip(fd)
    finally:
        os.close(fd)


def _stripped(data: bytes, folder: Path) -> Stripped:
    path = folder / "model.onnx"
    path.write_bytes(data)
    return _strip(path)


def _floats(count: int, name: str = "w") -> TensorProto:
    return numpy_helper.from_array(np.arange(count, dtype=np.float32), name)


def _graph(*constants: TensorProto) -> onnx.GraphProto:
    node = helper.make_node("Identity", ["w"], ["y"])
    return helper.make_graph([node], "g", [], [value("y", None)], constants)


def _everywhere(tensor: TensorProto) -> onnx.ModelProto:
    """A model that holds ``tensor`` in each place that the format has for one."""
    model = model_of([], constants=[tensor])
    sparse = onnx.SparseTensorProto(values=tensor, indices=tensor, dims=[4])
    model.graph.sparse_initializer.append(sparse)
    node = model.graph.node.add(op_type="Custom", output=["y"])
    node.attribute.add(name="t").t.CopyFrom(tensor)
    node.attribute.add(name="tensors").tensors.extend([tensor, tensor])
    node.attribute.add(name="sparse").sparse_tensor.CopyFrom(sparse)
    node.attribute.add(name="sparses").sparse_tensors.append(sparse)
    node.attribute.add(name="g").g.CopyFrom(_graph(tensor))
    node.attribute.add(name="graphs").graphs.append(_graph(tensor))
    function = model.functions.add(name="f")
    function.node.append(node)
    function.attribute_proto.add(name="d").t.CopyFrom(tensor)
    training = model.training_info.add()
    training.initialization.CopyFrom(_graph(tensor))
    training.algorithm.CopyFrom(_graph(tensor))
    return model


def _without_payload(tensor: TensorProto) -> TensorProto:
    copy = TensorProto()
    copy.CopyFrom(tensor)
    for name in _PAYLOADS:
        copy.ClearField(name)
    return copy


def _without_segments(data: bytes) -> bytes:
    """Clear the marks in a stripped model that `_everywhere` made."""
    model = onnx.ModelProto.FromString(data)
    stack: list[object] = [model]
    while stack:
        message = stack.pop()
        if isinstance(message, TensorProto):
            message.ClearField("segment")
            continue
        for descriptor, found in message.ListFields():  # type: ignore[attr-defined]
            if descriptor.type == descriptor.TYPE_MESSAGE:
                stack += [found] if hasattr(found, "ListFields") else list(found)
    return model.SerializeToString(deterministic=True)


def test_small_model_is_kept_to_the_byte(tmp_path: Path) -> None:
    """A model without big payloads is not changed."""
    data = model_of([helper.make_node("Add", ["x", "w"], ["y"])], constants=[_floats(BIG - 1)])
    assert _stripped(data.SerializeToString(), tmp_path) == Stripped(data.SerializeToString(), {})


def test_light_models_are_kept_to_the_byte(light_model: Path) -> None:
    """They hold no big payload either."""
    stripped = _strip(light_model)
    assert stripped.model == light_model.read_bytes()
    assert not stripped.dropped


@pytest.mark.parametrize("count", [BIG, 5000, 100_000])
def test_payloads_are_dropped_everywhere(count: int, tmp_path: Path) -> None:
    """The rest of the model equals the model whose payloads were cleared by onnx itself."""
    tensor = _floats(count)
    stripped = _stripped(_everywhere(tensor).SerializeToString(), tmp_path)
    expected = _everywhere(_without_payload(tensor))
    assert _without_segments(stripped.model) == expected.SerializeToString(deterministic=True)
    assert {payload.bytes for payload in stripped.dropped.values()} == {4 * count}
    # 11 in the main graph and its node, 8 of them again in the function, and three more.
    places = _everywhere(tensor).SerializeToString().count(tensor.raw_data)
    assert len(stripped.dropped) == places


def test_a_dropped_payload_can_be_found_again(tmp_path: Path) -> None:
    """The mark in the tensor is the place of its bytes in the file; onnx refuses to read it."""
    tensor = _floats(5000)
    data = model_of([helper.make_node("Add", ["x", "w"], ["y"])], constants=[tensor])
    stripped = _stripped(data.SerializeToString(), tmp_path)
    (found,) = onnx.ModelProto.FromString(stripped.model).graph.initializer
    begin, end = found.segment.begin, found.segment.end
    assert stripped.dropped == {begin: Payload(begin, 20_000, raw=True)}
    assert (tmp_path / "model.onnx").read_bytes()[begin:end] == tensor.raw_data
    with pytest.raises(ValueError, match="segment"):
        numpy_helper.to_array(found)


@pytest.mark.parametrize(
    "make",
    [
        lambda: helper.make_tensor("w", TensorProto.FLOAT, [BIG], [0.5] * BIG),
        lambda: helper.make_tensor("w", TensorProto.INT64, [5000], [300] * 5000),
        lambda: helper.make_tensor("w", TensorProto.DOUBLE, [500], [0.5] * 500),
        lambda: TensorProto(name="w", data_type=8, dims=[500], string_data=[b"word"] * 500),
    ],
    ids=["float", "int64", "double", "string"],
)
def test_typed_lists_are_dropped(make: Callable[[], TensorProto], tmp_path: Path) -> None:
    """Values that are not raw_data count as payload too, strings one field each included."""
    stripped = _stripped(model_of([], constants=[make()]).SerializeToString(), tmp_path)
    (found,) = onnx.ModelProto.FromString(stripped.model).graph.initializer
    assert len(stripped.model) < 200
    assert found.dims == make().dims
    (payload,) = stripped.dropped.values()
    assert not payload.raw
    assert payload.bytes >= KEEP_BYTES


def test_unpacked_floats_are_dropped(tmp_path: Path) -> None:
    """Old writers give each float a field of its own."""
    tensor = b"\x08" + varint(3000) + b"\x10\x01" + b"\x25\x00\x00\x80\x3f" * 3000
    stripped = _stripped(b"\x08\x0a" + field(7, field(5, tensor)), tmp_path)
    (found,) = onnx.ModelProto.FromString(stripped.model).graph.initializer
    assert list(found.dims) == [3000]
    assert not found.float_data
    assert sum(payload.bytes for payload in stripped.dropped.values()) >= 12_000


def test_long_attribute_lists_are_dropped(tmp_path: Path) -> None:
    """As in tree ensembles, whose weights are attributes."""
    node = helper.make_node("Trees", ["x"], ["y"], short=[1.0] * 9, long=[1.0] * 50_000)
    stripped = _stripped(model_of([node]).SerializeToString(), tmp_path)
    (kept,) = onnx.ModelProto.FromString(stripped.model).graph.node
    assert {a.name: len(a.floats) for a in kept.attribute} == {"short": 9, "long": 0}


def test_a_foreign_mark_is_not_believed(tmp_path: Path) -> None:
    """A file that claims dropped payloads itself has no entry for them."""
    tensor = _floats(5000)
    tensor.segment.begin, tensor.segment.end = 0, 1 << 40
    small = _floats(2, "small")
    small.segment.begin, small.segment.end = 0, 1 << 40
    model = model_of([], constants=[tensor, small])
    stripped = _stripped(model.SerializeToString(), tmp_path)
    big = onnx.ModelProto.FromString(stripped.model).graph.initializer[0]
    assert big.segment.begin in stripped.dropped
    assert 0 not in stripped.dropped


@pytest.mark.parametrize("cut", range(1, 120))
def test_every_cut_is_noticed(cut: int, tmp_path: Path) -> None:
    """A file that lost its end is refused, or is whole at that point by chance of the format."""
    data = relu().SerializeToString()
    whole = {0, len(data)}
    at = 0
    while at < len(data):  # top-level fields of this model have one-byte tags and lengths
        at += 2 if data[at] & 7 == 0 else 2 + data[at + 1]
        whole.add(at)
    if cut in whole or cut > len(data):
        return
    with pytest.raises(RefusedInput) as caught:
        _stripped(data[:cut], tmp_path)
    assert caught.value.reason == "truncated"
    assert "byte" in caught.value.message


_SPARSE = """
import os, resource, sys
from onnxbench.graph.reader import strip
def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fd = os.open(sys.argv[1], os.O_RDONLY)
before = peak_kib()
stripped = strip(fd)
grown = (peak_kib() - before) * 1024
print(grown, len(stripped.model), sum(p.bytes for p in stripped.dropped.values()))
"""


@pytest.mark.parametrize("weight_bytes", [1_900_000_000, 5_000_000_000])
def test_memory_does_not_grow_with_weights(
    weight_bytes: int, tmp_path: Path, run_child: RunChild
) -> None:
    """Gigabytes of weights inside the file cost less than 8 MB of memory."""
    path = tmp_path / "model.onnx"
    tensor = b"\x08" + varint(weight_bytes // 4) + b"\x10\x01" + field(8, b"w")
    tensor += varint(9 << 3 | 2) + varint(weight_bytes)
    head = varint(5 << 3 | 2) + varint(len(tensor) + weight_bytes) + tensor
    with path.open("wb") as file:  # sparse: it takes no room on the disk
        file.write(b"\x08\x0a" + varint(7 << 3 | 2) + varint(len(head) + weight_bytes) + head)
        file.truncate(file.tell() + weight_bytes)
    grown, kept, dropped = map(int, run_child(_SPARSE, path).split())
    assert dropped == weight_bytes
    assert kept < 200
    assert grown < 8_000_000
