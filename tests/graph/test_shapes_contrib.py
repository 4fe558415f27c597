"""Shapes of com.microsoft operators on which the symbolic engine is wrong.

The truth is what ONNX Runtime gave for such inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
import pytest
from onnx import TensorProto, helper

from onnxbench.graph.analysis import analyze

if TYPE_CHECKING:
    from pathlib import Path

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8


def shape_of(folder: Path, op: str, inputs: dict[str, Any], **attributes: Any) -> tuple[Any, ...]:
    """The shape that the one output of a com.microsoft operator gets."""
    infos = [
        helper.make_tensor_value_info(name, UINT8 if op.startswith("QL") else FLOAT, shape)
        for name, shape in inputs.items()
    ]
    node = helper.make_node(op, list(inputs), ["y"], domain="com.microsoft", **attributes)
    out = helper.make_tensor_value_info("y", FLOAT, None)
    graph = helper.make_graph([node], "one", infos, [out])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    path = folder / "one.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    found = analyze(path).outputs[0].shape
    assert found is not None
    return tuple(each if isinstance(each, int) else str(each) for each in found)


QUANTIZED = {"x": ["N", 8, 6, 4], "s": [], "z": [], "t": [], "u": []}


@pytest.mark.parametrize(
    ("op", "attributes", "expected"),
    [
        ("QLinearGlobalAveragePool", {"channels_last": 0}, ("N", 8, 1, 1)),
        ("QLinearGlobalAveragePool", {"channels_last": 1}, ("N", 1, 1, 4)),
        ("QLinearAveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}, ("N", 8, 3, 2)),
        ("QLinearReduceMean", {"axes": [2, 3], "keepdims": 0}, ("N", 8)),
        ("QLinearReduceMean", {"axes": [-1], "keepdims": 1}, ("N", 8, 6, 1)),
    ],
)
def test_quantized_pools_and_means_shrink(
    tmp_path: Path, op: str, attributes: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    assert shape_of(tmp_path, op, QUANTIZED, **attributes) == expected


def test_a_fused_product_moves_the_batch_before_it_multiplies(tmp_path: Path) -> None:
    """A [4, 3, 5] with its batch moved is three matrices of 4 × 5."""
    inputs = {"a": [4, 3, 5], "b": ["N", 5, 7]}
    assert shape_of(tmp_path, "FusedMatMul", inputs, transBatchA=1) == (3, 4, 7)
    inputs = {"a": ["N", 5, 4], "b": ["N", 7, 5]}
    found = shape_of(tmp_path, "FusedMatMul", inputs, transA=1, transB=1)
    assert found == ("N", 4, 7)
