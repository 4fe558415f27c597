"""Small networks with the layers that tell runtimes apart, and their answer by ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

from onnxbench.targets.local import LocalTarget
from onnxbench.worker.job import Reference
from tests.runtimes.models import FLOAT, Value, save
from tests.runtimes.running import declared, facts_of, good, recipes
from tests.targets.child import LONG, job, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from onnxbench.protocols import Target
    from onnxbench.types import ChildResult

    Array = np.ndarray[Any, np.dtype[Any]]

ORT = "onnxbench.runtimes.onnxruntime:CPU"


def conv(path: Path, dtype: int = FLOAT, opset: int = 18) -> Path:
    """x [N, 3, 8, 6] → y [N, 4, 8, 6], a feature map, and mean [N, 4]."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["y"], name="relu"),
        helper.make_node("ReduceMean", ["y", "axes"], ["mean"], name="mean", keepdims=0),
    ]
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    weights = [
        ("w", _normal(4, 3, 3, 3).astype(kind)),
        ("b", _normal(4).astype(kind)),
        ("axes", np.array([2, 3], np.int64)),
    ]
    outputs: list[Value] = [("y", dtype, ["N", 4, 8, 6]), ("mean", dtype, ["N", 4])]
    return save(path, nodes, [("x", dtype, ["N", 3, 8, 6])], outputs, weights, opset)


def two_inputs(path: Path) -> Path:
    """a [N, 3, 8, 8] and b [N, 5] → sum [N, 5] and the halves of a, which Split makes."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["a"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["dense"]),
        helper.make_node("Sub", ["b", "dense"], ["sum"]),
        helper.make_node("Split", ["a"], ["upper", "lower"], axis=2, num_outputs=2),
    ]
    outputs: list[Value] = [
        ("lower", FLOAT, ["N", 3, 4, 8]),
        ("sum", FLOAT, ["N", 5]),
        ("upper", FLOAT, ["N", 3, 4, 8]),
    ]
    inputs: list[Value] = [("a", FLOAT, ["N", 3, 8, 8]), ("b", FLOAT, ["N", 5])]
    return save(path, nodes, inputs, outputs, [("w", _normal(3, 5))], opset=18)


def quantized(path: Path) -> Path:
    """A convolution in INT8 between QuantizeLinear and DequantizeLinear: x [N, 3, 8, 8]."""
    weights: list[tuple[str, Array]] = [
        ("s", np.array(0.02, np.float32)),
        ("z", np.array(0, np.int8)),
        ("w", (_normal(4, 3, 3, 3) * 50).round().clip(-127, 127).astype(np.int8)),
        ("sw", np.full(4, 0.02, np.float32)),
        ("zw", np.zeros(4, np.int8)),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["wd"], axis=0),
        helper.make_node("Conv", ["xd", "wd"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["cq"]),
        helper.make_node("DequantizeLinear", ["cq", "s", "z"], ["y"]),
    ]
    shape: list[int | str] = ["N", 4, 8, 8]
    return save(path, nodes, [("x", FLOAT, ["N", 3, 8, 8])], [("y", FLOAT, shape)], weights, 18)


def old_softmax(path: Path) -> Path:
    """Softmax as it was before opset 13, over all axes from the first: x [1, 5, 4, 4].

    Converters that read it as today's, over the last axis of size 1, answer 1 everywhere.
    """
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Softmax", ["pooled"], ["y"]),
    ]
    inputs, outputs = [("x", FLOAT, [1, 5, 4, 4])], [("y", FLOAT, [1, 5, 1, 1])]
    return save(path, nodes, inputs, outputs, opset=9)


def determinant(path: Path) -> Path:
    """An operator that few runtimes have: y = det(x), x [2, 2]."""
    node = helper.make_node("Det", ["x"], ["y"])
    return save(path, [node], [("x", FLOAT, [2, 2])], [("y", FLOAT, [])])


def checked(
    target: Target, adapter: str, model: Path, shapes: Mapping[str, Sequence[int]], **changes: Any
) -> ChildResult:
    """Run a facts child against ONNX Runtime's answer for its inputs and for others, as a run does.

    ``dtype``: the type that the graph declares, float32 unless told. The reference lies beside the
    model.
    """
    dtype = changes.pop("dtype", "float32")
    reference = Reference(str(model.with_suffix(".npz")), "onnxruntime-cpu", dtype, 1)
    asked = {"limits": LONG, **declared(model), "inputs": recipes(model, shapes)}
    here = LocalTarget(cache=model.parent / "reference-worker")
    found = run(here, job(ORT, str(model), mode="reference", reference=reference, **asked))
    assert found.status == "ok", found
    judged = {"reference": reference, "declared": dtype, **changes}
    return facts_of(target, adapter, model, shapes, **judged)


def answers_right(target: Target, adapter: str, folder: Path, *, batch: int, boundary: str) -> None:
    """Assert that ``adapter`` computes `conv`, for two inputs, as ONNX Runtime does."""
    model = conv(folder / "m.onnx")
    found = good(checked(target, adapter, model, {"x": (batch, 3, 8, 6)}, boundary=boundary))
    assert found["parity"]["passed"] is True, found["parity"]
    assert found["parity"]["input_sensitive"] is True
    assert found["parity"]["deterministic"] is True
    shapes = [output["shape"] for output in found["parity"]["outputs"]]
    assert shapes == [[batch, 4, 8, 6], [batch, 4]]


def tells_outputs_apart(target: Target, adapter: str, folder: Path) -> None:
    """Assert that each input and output of `two_inputs` is the one of its name."""
    model = two_inputs(folder / "m.onnx")
    found = good(checked(target, adapter, model, {"a": (2, 3, 8, 8), "b": (2, 5)}))
    assert found["parity"]["passed"] is True, found["parity"]
    assert [output["name"] for output in found["parity"]["outputs"]] == ["lower", "sum", "upper"]


def _normal(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).standard_normal(shape, np.float32)
