"""Small ONNX models that every runtime should know, made in code, and two that are made to fail."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxbench.graph.preflight import preflight
from onnxbench.types import InputRecipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from onnxbench.types import Artifact

    Array = np.ndarray[Any, np.dtype[Any]]

IR_VERSION = 8
OPSET = 17
"""Old enough for every converter that we know."""

HEAVY_SIDE = 4096
HEAVY_BYTES = 4 * HEAVY_SIDE**2
"""Weights of `heavy`: 64 MiB, far above what allocators keep for themselves."""


@dataclass(frozen=True)
class Model:
    """A file, and the shape that each input is to have; other inputs come with another ``seed``."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    seed: int = 0

    @cached_property
    def artifact(self) -> Artifact:
        """What pre-flight finds, as it hands it to every job."""
        return preflight(self.path)

    @property
    def recipes(self) -> tuple[InputRecipe, ...]:
        """Inputs in [-1, 1), in the types of the file."""
        types = {spec.name: spec.dtype for spec in self.artifact.inputs}
        return tuple(
            InputRecipe(name, types[name], shape, "uniform", -1.0, 1.0, self.seed)
            for name, shape in self.shapes.items()
        )


def convolution(path: Path, batch: int = 1) -> Model:
    """Conv, Relu, GlobalAveragePool, Flatten, Gemm on [batch, 3, 16, 16]: a network in little."""
    weights = {
        "kernel": _normal(0, (8, 3, 3, 3), scale=0.2),
        "bias": _normal(1, (8,)),
        "matrix": _normal(2, (10, 8), scale=0.4),
        "offset": _normal(3, (10,)),
    }
    nodes = [
        helper.make_node(
            "Conv", ["x", "kernel", "bias"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]
        ),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "matrix", "offset"], ["y"], transB=1),
    ]
    shape = (batch, 3, 16, 16)
    return _save(path, nodes, shape, (batch, 10), weights)


def products(path: Path, batch: int = 1, dtype: str = "float") -> Model:
    """MatMul, Relu, MatMul on [batch, 16]: what runtimes know in more types than float."""
    weights = {"first": _normal(5, (16, 32), scale=0.2), "second": _normal(6, (32, 10), scale=0.2)}
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["m"]),
        helper.make_node("Relu", ["m"], ["r"]),
        helper.make_node("MatMul", ["r", "second"], ["y"]),
    ]
    return _save(path, nodes, (batch, 16), (batch, 10), weights, dtype)


def heavy(path: Path) -> Model:
    """One matrix product with `HEAVY_BYTES` of weights, wide enough for several threads."""
    weights = {"matrix": _normal(4, (HEAVY_SIDE, HEAVY_SIDE), scale=HEAVY_SIDE**-0.5)}
    nodes = [
        helper.make_node("MatMul", ["x", "matrix"], ["m"]),
        helper.make_node("Relu", ["m"], ["y"]),
    ]
    shape = (1, 16, HEAVY_SIDE)
    return _save(path, nodes, shape, shape, weights)


def unknown_operator(path: Path) -> Model:
    """One operator of a domain that nobody implements."""
    node = helper.make_node("NoSuchOperator", ["x"], ["y"], domain="org.onnxbench.nowhere")
    return _save(path, [node], (1, 4), (1, 4), {}, domains=("org.onnxbench.nowhere",))


def _normal(seed: int, shape: tuple[int, ...], scale: float = 1.0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, np.float32) * np.float32(scale)


def _save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    shape: tuple[int, ...],
    output: tuple[int, ...],
    weights: Mapping[str, Array],
    dtype: str = "float",
    domains: tuple[str, ...] = (),
) -> Model:
    """Write a model with input ``x`` and output ``y`` of static shapes in type ``dtype``."""
    kind = TensorProto.DataType.Value(dtype.upper())
    in_numpy = helper.tensor_dtype_to_np_dtype(kind)
    graph = helper.make_graph(
        list(nodes),
        "contract",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, output)],
        [numpy_helper.from_array(array.astype(in_numpy), name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(each, 1) for each in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION), path)
    return Model(path, {"x": shape})
