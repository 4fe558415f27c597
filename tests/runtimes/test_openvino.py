"""OpenVINO's CPU plug-in in real workers, against ONNX Runtime's answers."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxbench.runtimes.openvino import OPENVINO
from onnxbench.types import InputRecipe, Sampling
from onnxbench.worker.agreement import save_reference
from onnxbench.worker.inputs import make_inputs, other_inputs
from onnxbench.worker.job import Reference
from onnxbench.worker.outputs import outputs_sha256
from tests.runtimes import models, nets
from tests.runtimes.running import (
    error_of,
    facts_of,
    good,
    installed_environment,
    recipes,
    target_in,
)
from tests.targets.child import job, run

if TYPE_CHECKING:
    from onnxbench.protocols import Target
    from onnxbench.types import Measurement

ADAPTER = "onnxbench.runtimes.openvino:OPENVINO"
X = {"x": (1, 3, 8, 6)}


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Target:
    return target_in(installed_environment(monkeypatch, "openvino"), cache)


@pytest.mark.parametrize("boundary", ["host", "device"])
@pytest.mark.parametrize("batch", [1, 8])
def test_its_answer_is_right(place: Target, tmp_path: Path, batch: int, boundary: str) -> None:
    nets.answers_right(place, ADAPTER, tmp_path, batch=batch, boundary=boundary)


def test_several_inputs_and_outputs_are_told_apart(place: Target, tmp_path: Path) -> None:
    nets.tells_outputs_apart(place, ADAPTER, tmp_path)


def test_it_computes_float32_as_declared_and_bfloat16_by_its_own_default(
    place: Target, tmp_path: Path
) -> None:
    model = nets.conv(tmp_path / "m.onnx")
    asked = good(nets.checked(place, ADAPTER, model, X))
    native = good(nets.checked(place, ADAPTER, model, X, precision="native"))
    assert asked["precision_effective"] == "float32"
    assert asked["facts"]["options"]["INFERENCE_PRECISION_HINT"] == "f32"
    default = native["facts"]["options"]["INFERENCE_PRECISION_HINT"]
    names = {"bf16": "bfloat16", "f32": "float32"}  # by what the processor can
    assert native["precision_effective"] == names[default]
    if default == "bf16":
        assert _off(native) > 100 * _off(asked)


def test_a_precision_below_the_declared_one_is_refused(place: Target, tmp_path: Path) -> None:
    model, options = nets.conv(tmp_path / "m.onnx"), {"INFERENCE_PRECISION_HINT": "bf16"}
    found = nets.checked(place, ADAPTER, model, X, options=options)
    assert found.measurement is not None
    if found.measurement["precision_effective"] == "bfloat16":
        assert (found.status, found.error and found.error["kind"]) == (
            "wrong-output",
            "precision-lowered",
        )


def test_a_truth_value_is_no_precision(place: Target, tmp_path: Path) -> None:
    """The comparison of a condition is in OpenVINO's u8; nothing is computed in it."""

    def branch(name: str, operator: str) -> Any:
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4])
        return helper.make_graph([helper.make_node(operator, ["x"], [name])], name, [], [out])

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Greater", ["s", "zero"], ["c"]),
        helper.make_node(
            "If", ["c"], ["y"], then_branch=branch("t", "Relu"), else_branch=branch("e", "Neg")
        ),
    ]
    values = [("x", models.FLOAT, [4, 4])], [("y", models.FLOAT, [4, 4])]
    zero = [("zero", np.array(0, np.float32))]
    model = models.save(tmp_path / "if.onnx", nodes, *values, zero, 17)
    found = good(nets.checked(place, ADAPTER, model, {"x": (4, 4)}))
    assert found["precision_effective"] == "float32"


@pytest.mark.parametrize(
    ("dtype", "wider"),
    [
        (TensorProto.FLOAT16, {"float16", "float32"}),
        (TensorProto.BFLOAT16, {"bfloat16", "float32"}),
    ],
)
def test_a_narrower_graph_is_computed_in_no_less(
    place: Target, tmp_path: Path, dtype: int, wider: set[str]
) -> None:
    found = good(facts_of(place, ADAPTER, nets.conv(tmp_path / "m.onnx", dtype), X))
    assert found["precision_effective"] in wider
    assert found["facts"]["options"]["INFERENCE_PRECISION_HINT"] == "dynamic"


def test_a_half_precision_graph_answers_in_half_precision(place: Target, tmp_path: Path) -> None:
    model = nets.conv(tmp_path / "m.onnx", TensorProto.FLOAT16)
    found = good(nets.checked(place, ADAPTER, model, X, dtype="float16"))
    assert found["parity"]["passed"] is True, found["parity"]
    assert {output["dtype"] for output in found["parity"]["outputs"]} == {"float16"}


@pytest.mark.parametrize("precision", ["model", "native"])
def test_a_quantised_graph_is_computed_in_int8(
    place: Target, tmp_path: Path, precision: str
) -> None:
    model = nets.quantized(tmp_path / "m.onnx")
    changes: dict[str, Any] = {"dtype": "int8", "precision": precision}
    found = good(nets.checked(place, ADAPTER, model, {"x": (1, 3, 8, 8)}, **changes))
    assert found["precision_effective"] == "int8"
    assert found["parity"]["passed"] is True, found["parity"]


def test_activations_before_quantised_weights_stay_as_declared(
    place: Target, tmp_path: Path
) -> None:
    weight = np.random.default_rng(0).integers(-127, 128, (256, 256), np.int8)
    weights = [("w", weight), ("s", np.array(0.01, np.float32)), ("z", np.array(0, np.int8))]
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wide"]),
        helper.make_node("MatMul", ["x", "wide"], ["y"]),
    ]
    x, y = ("x", models.FLOAT, ("N", 256)), ("y", models.FLOAT, ("N", 256))
    model = models.save(tmp_path / "m.onnx", nodes, [x], [y], weights)
    given = recipes(model, {"x": (4, 256)})
    truth = [
        {"y": (make(given)[0].array @ (weight * 0.01)).astype(np.float32)}
        for make in (make_inputs, other_inputs)
    ]
    reference = Reference(str(tmp_path / "truth.npz"), "numpy", "float32", 1)
    save_reference(reference.path, *truth)
    changes: dict[str, Any] = {"inputs": given, "reference": reference}
    found = good(facts_of(place, ADAPTER, model, {"x": (4, 256)}, **changes))
    # ONNX Runtime itself rounds them: 4e-3. So does OpenVINO where it is let.
    assert _off(found) < 1e-5
    assert found["precision_effective"] == "float32"
    let = good(facts_of(place, ADAPTER, model, {"x": (4, 256)}, precision="native"))
    if let["facts"]["options"]["DYNAMIC_QUANTIZATION_GROUP_SIZE"]:
        assert let["precision_effective"] == "int8"


def test_every_layer_is_on_its_one_provider(place: Target, tmp_path: Path) -> None:
    model = nets.conv(tmp_path / "m.onnx")
    (row,) = good(facts_of(place, ADAPTER, model, X, provider=OPENVINO.provider))["placement"]
    assert row["provider"] == "OpenVINO CPU"
    assert row["operators"]["Convolution"] == 1
    assert row["nodes"] == sum(row["operators"].values())


def test_a_graph_without_layers_is_placed_too(place: Target, tmp_path: Path) -> None:
    model = models.identity(tmp_path / "m.onnx", TensorProto.FLOAT)
    good(facts_of(place, ADAPTER, model, {"x": (2, 3)}, provider=OPENVINO.provider))


@pytest.mark.parametrize(
    ("name", "boundary"),
    [
        *((name, "host") for name in ("DOUBLE", "FLOAT16", "BFLOAT16", "FLOAT8E4M3FN", "INT8")),
        *((name, "host") for name in ("INT16", "INT64", "UINT32", "UINT64", "BOOL")),
        *((name, "device") for name in ("FLOAT", "FLOAT16", "BFLOAT16", "FLOAT8E5M2", "INT64")),
    ],
)
def test_values_of_each_type_come_back(
    place: Target, tmp_path: Path, name: str, boundary: str
) -> None:
    model = models.identity(tmp_path / "m.onnx", TensorProto.DataType.Value(name))
    given = InputRecipe("x", name.lower(), (2, 3), "uniform", 0.0, 1.0)
    changes: dict[str, Any] = {"inputs": (given,), "boundary": boundary}
    found = good(facts_of(place, ADAPTER, model, {"x": (2, 3)}, **changes))
    assert found["outputs_sha256"] == outputs_sha256({"y": make_inputs([given])[0].array})


def test_text_is_refused(place: Target, tmp_path: Path) -> None:
    model = models.identity(tmp_path / "m.onnx", TensorProto.STRING)
    assert facts_of(place, ADAPTER, model, {"x": (2, 3)}).status == "unsupported"


def test_indices_may_be_int64(place: Target, tmp_path: Path) -> None:
    node = helper.make_node("Gather", ["table", "ids"], ["y"])
    table = np.arange(40, dtype=np.float32).reshape(10, 4)
    model = models.save(
        tmp_path / "m.onnx",
        [node],
        [("ids", models.INT64, ["N"])],
        [("y", models.FLOAT, ["N", 4])],
        [("table", table)],
    )
    ids = InputRecipe("ids", "int64", (5,), "range")
    found = good(facts_of(place, ADAPTER, model, {"ids": (5,)}, inputs=(ids,)))
    assert found["outputs_sha256"] == outputs_sha256({"y": table[np.arange(5)]})


@pytest.mark.parametrize("threads", [1, 2])
def test_as_many_threads_compute_as_were_told(place: Target, tmp_path: Path, threads: int) -> None:
    available = len(os.sched_getaffinity(0))
    found = good(facts_of(place, ADAPTER, nets.conv(tmp_path / "m.onnx"), X, threads=threads))
    took = found["facts"]["options"]["INFERENCE_NUM_THREADS"]
    assert took == min(threads, available)
    assert found["facts"]["threads_control"] == (
        "exact" if took == threads else f"OpenVINO took {took}"
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_no_other_threads_are_busy(place: Target, tmp_path: Path, threads: int) -> None:
    model, sampling = nets.conv(tmp_path / "m.onnx"), Sampling(iterations=2000, min_time_s=0.0)
    changes: dict[str, Any] = {"threads": threads, "mode": "timed", "sampling": sampling}
    busy = good(facts_of(place, ADAPTER, model, {"x": (8, 3, 8, 6)}, **changes))["facts"]
    assert 1 <= busy["threads_busy"] <= threads


def test_more_threads_than_processors_are_named(place: Target, tmp_path: Path) -> None:
    found = good(facts_of(place, ADAPTER, nets.conv(tmp_path / "m.onnx"), X, threads=999))
    took = found["facts"]["options"]["INFERENCE_NUM_THREADS"]
    assert took < 999
    assert found["facts"]["threads_control"] == f"OpenVINO took {took}"


def test_options_take_effect_and_are_asked_back(place: Target, tmp_path: Path) -> None:
    model, told = nets.conv(tmp_path / "m.onnx"), {"ENABLE_CPU_PINNING": "NO"}
    options = good(facts_of(place, ADAPTER, model, X, options=told))["facts"]["options"]
    assert options["ENABLE_CPU_PINNING"] is False
    assert options["NUM_STREAMS"] == 1
    assert options["EXECUTION_DEVICES"] == ["CPU"]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("ENABLE_CPU_PINING", "NO", "ENABLE_CPU_PINNING=…?"),
        ("enable_cpu_pinning", "NO", "ENABLE_CPU_PINNING=…?"),
        ("CACHE_DIR", "cache", ""),
        ("ENABLE_CPU_PINNING", "maybe", "check --set ENABLE_CPU_PINNING"),
        ("INFERENCE_NUM_THREADS", "1", "--threads"),
        ("PERF_COUNT", "YES", "--op-times"),
    ],
)
def test_unknown_options_and_values_are_refused(
    place: Target, tmp_path: Path, option: str, value: str, expected: str
) -> None:
    model = models.linear(tmp_path / "m.onnx")
    refused = facts_of(place, ADAPTER, model, {"x": (1, 3)}, options={option: value})
    assert refused.status == "unsupported"
    assert refused.error is not None
    assert option in refused.error["message"]
    assert expected in refused.error["hint"]


def test_a_shape_that_does_not_fit_is_refused(place: Target, tmp_path: Path) -> None:
    refused = facts_of(place, ADAPTER, models.linear(tmp_path / "m.onnx"), {"x": (1, 5)})
    assert refused.status == "unsupported"
    assert "MatMul" in error_of(refused)["message"]


def test_a_type_that_does_not_fit_is_refused(place: Target, tmp_path: Path) -> None:
    model, wrong = models.linear(tmp_path / "m.onnx"), InputRecipe("x", "double", (1, 3), "uniform")
    refused = facts_of(place, ADAPTER, model, {"x": (1, 3)}, inputs=(wrong,))
    assert error_of(refused)["kind"] == "input-refused"
    assert "'x' takes f32[1, 3], given was f64[1, 3]" in error_of(refused)["message"]


def test_a_truncated_file_is_refused(place: Target, tmp_path: Path) -> None:
    whole, cut = nets.conv(tmp_path / "m.onnx").read_bytes(), tmp_path / "cut.onnx"
    cut.write_bytes(whole[: len(whole) // 2])
    assert run(place, job(ADAPTER, str(cut))).status == "unsupported"


def test_layers_are_timed_without_the_first_run(place: Target, tmp_path: Path) -> None:
    found = good(facts_of(place, ADAPTER, nets.conv(tmp_path / "m.onnx"), X, mode="op-times"))
    times = found["op_times"]
    assert sum(row["share"] for row in times) == pytest.approx(1.0)
    assert {row["calls"] for row in times} == {10}
    wall = found["phases_ns"]["profiled_runs"]
    assert 0 < sum(row["ns"] for row in times) < wall


SPY = """
class Telemetry:
    def __init__(self, *args, **kwargs):
        print("telemetry")
    def send_event(self, *args, **kwargs):
        pass
"""


@pytest.mark.parametrize(("first", "said"), [("", "telemetry"), ("quiet", "")])
def test_no_usage_data_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: str, said: str
) -> None:
    environment = installed_environment(monkeypatch, "openvino")
    backend = tmp_path / "openvino_telemetry/backend"
    backend.mkdir(parents=True)
    (backend.parent / "__init__.py").write_text(SPY)
    (backend / "__init__.py").write_text("backend_ga4 = None")
    quiet = importlib.util.find_spec("onnxbench.runtimes._openvino_quiet")
    assert quiet is not None
    assert quiet.origin is not None
    (tmp_path / "quiet.py").write_bytes(Path(quiet.origin).read_bytes())
    steps = ["import sys", f"sys.path.insert(0, {str(tmp_path)!r})", f"import {first or 'sys'}"]
    code = "; ".join([*steps, "import openvino"])
    argv = [str(environment.interpreter), "-I", "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == said


def test_workers_import_openvino_quietly(place: Target, tmp_path: Path) -> None:
    found = facts_of(place, ADAPTER, models.linear(tmp_path / "m.onnx"), {"x": (1, 3)})
    assert good(found)["facts"]["telemetry"] == "off"
    assert OPENVINO.modules[0].endswith("_openvino_quiet")


def test_it_is_not_imported_to_be_looked_for() -> None:
    found = OPENVINO.probe()
    assert "openvino" not in sys.modules
    assert found.available or found.hint == "onnxbench install openvino"


def _off(found: Measurement) -> float:
    largest = found["parity"]["max_rel"]
    assert largest is not None
    return largest
