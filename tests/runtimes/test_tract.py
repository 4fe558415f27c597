"""tract in real workers, against ONNX Runtime's answers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxbench.runtimes.tract import TRACT
from onnxbench.types import InputRecipe, Sampling
from onnxbench.worker.inputs import make_inputs
from onnxbench.worker.outputs import outputs_sha256
from tests.runtimes import models, nets
from tests.runtimes.running import error_of, facts_of, good, installed_environment, target_in
from tests.targets.child import job, run

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.protocols import Target

ADAPTER = "onnxbench.runtimes.tract:TRACT"
X = {"x": (1, 3, 8, 6)}


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Target:
    return target_in(installed_environment(monkeypatch, "tract"), cache)


@pytest.mark.parametrize("boundary", ["host", "device"])
@pytest.mark.parametrize("batch", [1, 8])
def test_its_answer_is_right(place: Target, tmp_path: Path, batch: int, boundary: str) -> None:
    nets.answers_right(place, ADAPTER, tmp_path, batch=batch, boundary=boundary)


def test_several_inputs_and_outputs_are_told_apart(place: Target, tmp_path: Path) -> None:
    nets.tells_outputs_apart(place, ADAPTER, tmp_path)


def test_dimensions_named_for_inner_tensors_are_fixed_too(place: Target, tmp_path: Path) -> None:
    inner = helper.make_tensor_value_info("xw", models.FLOAT, ["N", 2])
    model = models.linear(tmp_path / "m.onnx")
    proto = onnx.load(model)
    proto.graph.value_info.append(inner)
    onnx.save(proto, model)
    found = good(nets.checked(place, ADAPTER, model, {"x": (4, 3)}))
    assert found["parity"]["passed"] is True


@pytest.mark.parametrize("dims", [[None, 3], ["N + 1", 3], [1, 3]])
def test_dimensions_without_a_usable_name_are_fixed(
    place: Target, tmp_path: Path, dims: list[Any]
) -> None:
    model = models.linear(tmp_path / "m.onnx", batch=dims[0])
    proto = onnx.load(model)
    for value in (*proto.graph.input, *proto.graph.output):
        if dims[0] is None:
            value.type.tensor_type.shape.dim[0].Clear()
    onnx.save(proto, model)
    found = good(nets.checked(place, ADAPTER, model, {"x": (1, 3)}))
    assert found["parity"]["outputs"][0]["shape"] == [1, 2]


@pytest.mark.parametrize(
    ("dtype", "name"), [(TensorProto.FLOAT, "float32"), (TensorProto.DOUBLE, "float64")]
)
def test_it_computes_in_the_type_of_the_graph(
    place: Target, tmp_path: Path, dtype: int, name: str
) -> None:
    model = models.linear(tmp_path / "m.onnx", dtype)
    found = good(nets.checked(place, ADAPTER, model, {"x": (4, 3)}, dtype=name))
    assert found["precision_effective"] == name
    assert found["parity"]["passed"] is True, found["parity"]
    assert {output["dtype"] for output in found["parity"]["outputs"]} == {name}


def test_a_convolution_in_half_precision_is_right(place: Target, tmp_path: Path) -> None:
    model = nets.conv(tmp_path / "m.onnx", TensorProto.FLOAT16)
    found = good(nets.checked(place, ADAPTER, model, X, dtype="float16"))
    assert (found["precision_effective"], found["parity"]["passed"]) == ("float16", True)


def test_a_quantised_graph_is_computed_in_float32(place: Target, tmp_path: Path) -> None:
    model = nets.quantized(tmp_path / "m.onnx")
    found = good(nets.checked(place, ADAPTER, model, {"x": (1, 3, 8, 8)}, dtype="int8"))
    assert found["precision_effective"] == "float32"
    assert found["parity"]["passed"] is True, found["parity"]


def test_no_type_is_claimed_where_nothing_is_multiplied(place: Target, tmp_path: Path) -> None:
    found = good(facts_of(place, ADAPTER, models.chain(tmp_path / "m.onnx", "Relu"), {"x": (4,)}))
    assert found["precision_effective"] is None
    assert "multiplications" in found["facts"]["precision_from"]


def test_every_node_is_on_its_one_provider(place: Target, tmp_path: Path) -> None:
    model = nets.conv(tmp_path / "m.onnx")
    (row,) = good(facts_of(place, ADAPTER, model, X, provider=TRACT.provider))["placement"]
    assert row["provider"] == "tract CPU"
    assert row["nodes"] == sum(row["operators"].values())
    assert not {"Const", "Source"} & set(row["operators"])


@pytest.mark.parametrize("mode", ["facts", "op-times"])
def test_a_graph_without_nodes_is_placed_too(place: Target, tmp_path: Path, mode: str) -> None:
    model = models.identity(tmp_path / "m.onnx", TensorProto.FLOAT)
    changes: dict[str, Any] = {"provider": TRACT.provider, "mode": mode}
    found = good(facts_of(place, ADAPTER, model, {"x": (2, 3)}, **changes))
    assert found.get("op_times", []) == []


@pytest.mark.parametrize(
    "name", ["FLOAT", "DOUBLE", "FLOAT16", "INT8", "INT16", "INT64", "UINT32", "UINT64", "BOOL"]
)
def test_values_of_each_type_come_back(place: Target, tmp_path: Path, name: str) -> None:
    model = models.identity(tmp_path / "m.onnx", TensorProto.DataType.Value(name))
    given = InputRecipe("x", name.lower(), (2, 3), "uniform", 0.0, 1.0)
    found = good(facts_of(place, ADAPTER, model, {"x": (2, 3)}, inputs=(given,)))
    assert found["outputs_sha256"] == outputs_sha256({"y": make_inputs([given])[0].array})


@pytest.mark.parametrize("name", ["STRING", "BFLOAT16", "FLOAT8E4M3FN"])
def test_types_that_it_cannot_pass_on_are_refused(place: Target, tmp_path: Path, name: str) -> None:
    model = models.identity(tmp_path / "m.onnx", TensorProto.DataType.Value(name))
    refused = facts_of(place, ADAPTER, model, {"x": (2, 3)})
    assert refused.status == "unsupported"
    assert name.lower() in error_of(refused)["message"]


def test_indices_may_be_int64(place: Target, tmp_path: Path) -> None:
    node = helper.make_node("Gather", ["table", "ids"], ["y"])
    table = np.arange(40, dtype=np.float32).reshape(10, 4)
    x, y = ("ids", models.INT64, ("N",)), ("y", models.FLOAT, ("N", 4))
    model = models.save(tmp_path / "m.onnx", [node], [x], [y], [("table", table)])
    ids = InputRecipe("ids", "int64", (5,), "range")
    found = good(facts_of(place, ADAPTER, model, {"ids": (5,)}, inputs=(ids,)))
    assert found["outputs_sha256"] == outputs_sha256({"y": table[np.arange(5)]})


def test_one_thread_computes_and_it_says_so(place: Target, tmp_path: Path) -> None:
    sampling = Sampling(iterations=500, min_time_s=0.0)
    changes: dict[str, Any] = {"threads": 2, "mode": "timed", "sampling": sampling}
    facts = good(facts_of(place, ADAPTER, nets.conv(tmp_path / "m.onnx"), X, **changes))["facts"]
    assert (facts["threads_told"], facts["threads_found"], facts["threads_busy"]) == (2, 1, 1)
    assert "one thread" in facts["threads_control"]


def test_it_has_no_options(place: Target, tmp_path: Path) -> None:
    model = models.linear(tmp_path / "m.onnx")
    refused = facts_of(place, ADAPTER, model, {"x": (1, 3)}, options={"threads": "2"})
    assert refused.status == "unsupported"
    assert "'threads'" in error_of(refused)["message"]


def test_a_shape_that_does_not_fit_is_refused(place: Target, tmp_path: Path) -> None:
    refused = facts_of(place, ADAPTER, models.linear(tmp_path / "m.onnx"), {"x": (1, 5)})
    assert refused.status == "unsupported"
    message = error_of(refused)["message"]
    assert "MatMul" in message
    assert "backtrace" not in message


def test_a_type_that_does_not_fit_is_refused(place: Target, tmp_path: Path) -> None:
    model, wrong = models.linear(tmp_path / "m.onnx"), InputRecipe("x", "double", (1, 3), "uniform")
    refused = facts_of(place, ADAPTER, model, {"x": (1, 3)}, inputs=(wrong,))
    assert error_of(refused)["kind"] == "input-refused"
    assert "'x' takes 1,3,f32, given was 1,3,f64" in error_of(refused)["message"]


def test_a_truncated_file_is_refused(place: Target, tmp_path: Path) -> None:
    whole, cut = nets.conv(tmp_path / "m.onnx").read_bytes(), tmp_path / "cut.onnx"
    cut.write_bytes(whole[: len(whole) // 2])
    assert run(place, job(ADAPTER, str(cut))).status == "unsupported"


def test_nodes_are_timed(place: Target, tmp_path: Path) -> None:
    found = good(facts_of(place, ADAPTER, nets.conv(tmp_path / "m.onnx"), X, mode="op-times"))
    times = found["op_times"]
    assert sum(row["share"] for row in times) == pytest.approx(1.0)
    assert all(row["calls"] > 1 for row in times)
    assert 0 < sum(row["ns"] for row in times) < found["phases_ns"]["placement"]


def test_it_is_not_imported_to_be_looked_for() -> None:
    found = TRACT.probe()
    assert "tract" not in sys.modules
    assert found.available or found.hint == "onnxbench install tract"
