"""Tiny ONNX models, built in code, each for one question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL

Value = tuple[str, int, "Sequence[int | str]"]


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Value],
    outputs: Sequence[Value | onnx.ValueInfoProto],
    weights: Sequence[tuple[str, Any]] = (),
    opset: int = 17,
) -> Path:
    """Write a model of ``nodes`` to ``path`` and return it."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [v if isinstance(v, onnx.ValueInfoProto) else helper.make_tensor_value_info(*v)
         for v in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path)
    return path


def linear(path: Path, dtype: int = FLOAT, batch: int | str = "N") -> Path:
    """``y = relu(x @ w + b)`` with x [N, 3] and y [N, 2]."""
    numpy_type = helper.tensor_dtype_to_np_dtype(dtype)
    weights = [("w", WEIGHT.astype(numpy_type)), ("b", BIAS.astype(numpy_type))]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"]),
        helper.make_node("Add", ["xw", "b"], ["z"]),
        helper.make_node("Relu", ["z"], ["y"]),
    ]
    return save(path, nodes, [("x", dtype, [batch, 3])], [("y", dtype, [batch, 2])], weights)


WEIGHT = np.arange(6, dtype=np.float32).reshape(3, 2) / 4 - 0.5
BIAS = np.array([0.25, -0.125], dtype=np.float32)


def identity(path: Path, dtype: int, shape: Sequence[int | str] = (2, 3)) -> Path:
    """``y = x``."""
    node = helper.make_node("Identity", ["x"], ["y"])
    return save(path, [node], [("x", dtype, shape)], [("y", dtype, shape)], opset=19)


def chain(path: Path, *operators: str, dtype: int = FLOAT) -> Path:
    """Unary operators one after another on [4]."""
    names = ["x", *(f"t{i}" for i in range(1, len(operators))), "y"]
    nodes = [
        helper.make_node(op, [names[i]], [names[i + 1]], name=f"node_{i}")
        for i, op in enumerate(operators)
    ]
    return save(path, nodes, [("x", dtype, [4])], [("y", dtype, [4])])


def endless(path: Path) -> Path:
    """A Loop that never ends."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c_in"], ["c_out"]),
            helper.make_node("Add", ["a_in", "one"], ["a_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("c_in", BOOL, []),
            helper.make_tensor_value_info("a_in", FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("c_out", BOOL, []),
            helper.make_tensor_value_info("a_out", FLOAT, []),
        ],
        [numpy_helper.from_array(np.array(1, np.float32), "one")],
    )
    node = helper.make_node("Loop", ["", "true", "x"], ["y"], body=body)
    return save(path, [node], [("x", FLOAT, [])], [("y", FLOAT, [])], [("true", np.array(True))])
