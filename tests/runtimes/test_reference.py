"""The reference evaluator, the oracle beside ONNX Runtime, in real workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxbench.runtimes.reference import REFERENCE
from onnxbench.worker.inputs import make_inputs
from onnxbench.worker.job import Reference
from tests.runtimes import models, nets
from tests.runtimes.running import declared, facts_of, good, recipes
from tests.targets.child import job, run

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.protocols import Target

ADAPTER = "onnxbench.runtimes.reference:REFERENCE"


def written(
    target: Target, model: Path, shapes: dict[str, tuple[int, ...]]
) -> tuple[Any, dict[str, Any]]:
    """Run a reference child; return its result and the outputs that it wrote, by name."""
    reference = Reference(str(model.with_suffix(".npz")), "onnx-reference", "float32", 1)
    fields = {**declared(model), "inputs": recipes(model, shapes), "reference": reference}
    result = run(target, job(ADAPTER, str(model), mode="reference", **fields))
    with np.load(reference.path) as file:
        return result, {str(name): file[f"0.{i}"] for i, name in enumerate(file["names"])}


def test_it_is_an_oracle_and_probes_without_importing() -> None:
    found = REFERENCE.probe()
    assert (found.available, found.distribution) == (True, "onnx")


@pytest.mark.parametrize("batch", [1, 8])
def test_its_answer_is_exact(target: Target, tmp_path: Path, batch: int) -> None:
    model = models.linear(tmp_path / "linear.onnx", TensorProto.DOUBLE)
    result, outputs = written(target, model, {"x": (batch, 3)})
    x = make_inputs(recipes(model, {"x": (batch, 3)}))[0].array
    expected = np.maximum(x @ models.WEIGHT.astype(float) + models.BIAS.astype(float), 0)
    assert good(result)["mode"] == "reference"
    assert np.array_equal(outputs["y"], expected)


@pytest.mark.parametrize(
    ("make", "shapes", "dtype"),
    [
        (nets.conv, {"x": (8, 3, 8, 6)}, "float32"),
        (nets.two_inputs, {"a": (2, 3, 8, 8), "b": (2, 5)}, "float32"),
        (nets.quantized, {"x": (1, 3, 8, 8)}, "int8"),
    ],
)
def test_it_agrees_with_onnx_runtime(
    target: Target, tmp_path: Path, make: Any, shapes: dict[str, tuple[int, ...]], dtype: str
) -> None:
    found = good(nets.checked(target, ADAPTER, make(tmp_path / "m.onnx"), shapes, dtype=dtype))
    assert found["parity"]["passed"] is True
    assert found["parity"]["input_sensitive"] is True
    assert found["parity"]["deterministic"] is True


def test_half_precision_is_computed_as_declared(target: Target, tmp_path: Path) -> None:
    model = nets.conv(tmp_path / "half.onnx", TensorProto.FLOAT16)
    shapes = {"x": (1, 3, 8, 6)}
    found = good(nets.checked(target, ADAPTER, model, shapes, dtype="float16"))
    assert found["parity"]["passed"] is True
    assert [output["dtype"] for output in found["parity"]["outputs"]] == ["float16", "float16"]


def test_types_that_numpy_lacks_come_back_as_raw_bits(target: Target, tmp_path: Path) -> None:
    model = models.identity(tmp_path / "bits.onnx", TensorProto.BFLOAT16)
    result, outputs = written(target, model, {"x": (2, 3)})
    given = make_inputs(recipes(model, {"x": (2, 3)}))[0].array
    assert good(result)["status"] == "ok"
    assert np.array_equal(outputs["y"], given)


def test_weights_beside_the_model_are_read(target: Target, tmp_path: Path) -> None:
    model = onnx.load(nets.conv(tmp_path / "inside.onnx"))
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0)
    inside = written(target, tmp_path / "inside.onnx", {"x": (1, 3, 8, 6)})[1]
    beside = written(target, tmp_path / "m.onnx", {"x": (1, 3, 8, 6)})[1]
    assert (tmp_path / "m.onnx").stat().st_size < (tmp_path / "inside.onnx").stat().st_size
    assert np.array_equal(inside["y"], beside["y"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": {"optimized": "1"}}, "has no option 'optimized'"),
        ({"boundary": "device"}, "takes arrays alone"),
    ],
)
def test_what_it_lacks_is_refused(
    target: Target, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    result = facts_of(target, ADAPTER, model, {"x": (1, 3)}, **changes)
    assert result.status == "unsupported"
    assert result.error is not None
    assert message in result.error["message"]


def test_an_unknown_operator_is_unsupported(target: Target, tmp_path: Path) -> None:
    node = helper.make_node("Nonsense", ["x"], ["y"], domain="nobody")
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([node], "g", [value], [out])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("nobody", 1)]
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=opsets).SerializeToString())
    result = facts_of(target, ADAPTER, path, {"x": (1,)})
    assert result.status == "unsupported"
    assert result.error is not None
    assert "Nonsense" in result.error["message"]


def test_a_missing_input_is_named(target: Target, tmp_path: Path) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    result = facts_of(target, ADAPTER, model, {})
    assert result.error is not None
    assert (result.error["kind"], result.error["message"]) == (
        "input-refused", "input 'x' is not given"
    )  # fmt: skip


def test_weights_that_are_listed_as_inputs_need_not_be_given(
    target: Target, tmp_path: Path
) -> None:
    model = onnx.load(models.linear(tmp_path / "linear.onnx"))
    for weight in model.graph.initializer:
        array = numpy_helper.to_array(weight)
        model.graph.input.append(
            helper.make_tensor_value_info(weight.name, weight.data_type, array.shape)
        )
    onnx.save(model, tmp_path / "m.onnx")
    assert good(written(target, tmp_path / "m.onnx", {"x": (1, 3)})[0])["status"] == "ok"
