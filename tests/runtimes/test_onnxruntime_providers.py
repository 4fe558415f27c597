"""The fallback corpus: what ONNX Runtime would run on the CPU without a word is refused or named.

Real wheels, each in the environment that `onnxbench install` makes; no device is needed for any.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxbench.runtimes import onnxruntime as adapter
from onnxbench.worker.job import Reference
from tests.runtimes import models
from tests.runtimes.running import facts_of, good, installed_environment, target_in

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.environments import Installed
    from onnxbench.protocols import Target
    from onnxbench.types import ChildResult

LINEAR = {"x": (2, 3)}
SQUARE = {"x": (2, 4)}


def reference(name: str) -> str:
    return f"{adapter.__name__}:{name}"


def run(target: Target, name: str, model: Path, shapes: Any, **changes: Any) -> ChildResult:
    """Run a facts child as a run of onnxbench does: with the gate on the adapter's provider."""
    provider = getattr(adapter, name).provider
    return facts_of(target, reference(name), model, shapes, provider=provider, **changes)


def refused(target: Target, name: str, model: Path, shapes: Any, **changes: Any) -> dict[str, Any]:
    result = run(target, name, model, shapes, **changes)
    assert result.error is not None, result
    assert result.exit_code == 0, "said by the child, no crash"
    return {"status": result.status, **result.error}


@pytest.fixture
def gpu_wheel(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Target:
    """The wheel with CUDA and TensorRT, and none of the libraries that they need."""
    return target_in(installed_environment(monkeypatch, "onnxruntime-gpu"), cache)


@pytest.fixture
def openvino(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Target:
    return target_in(installed_environment(monkeypatch, "onnxruntime-openvino"), cache)


@pytest.fixture
def qnn(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Target:
    if platform.machine() != "x86_64":
        pytest.skip("Qualcomm's emulator is for x86-64")
    return target_in(installed_environment(monkeypatch, "onnxruntime-qnn"), cache)


@pytest.fixture
def ggml(monkeypatch: pytest.MonkeyPatch) -> Installed:
    return installed_environment(monkeypatch, "onnxruntime-ggml")


def ggml_library(environment: Installed) -> str:
    (path,) = environment.interpreter.parents[1].glob(
        "lib/python*/site-packages/onnxruntime_ggml/lib/libonnxruntime_ggml.so"
    )
    return str(path)


def split(path: Path) -> Path:
    """Two halves that OpenVINO takes, and between them an operator that it does not know."""
    weight = np.linspace(-1, 1, 16, dtype=np.float32).reshape(4, 4)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Binarizer", ["b"], ["c"], domain="ai.onnx.ml", threshold=0.5),
        helper.make_node("MatMul", ["c", "w"], ["d"]),
        helper.make_node("Relu", ["d"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "split",
        [helper.make_tensor_value_info("x", models.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("y", models.FLOAT, [2, 4])],
        [numpy_helper.from_array(weight, "w")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


# ------------------------------------------------------------- CUDA and TensorRT without libraries


@pytest.mark.parametrize(
    ("name", "library"),
    [("CUDA", "libcublasLt.so.13"), ("TENSORRT", "libcublas.so.13")],
)
def test_without_its_libraries_a_provider_is_missing_and_they_are_named(
    gpu_wheel: Target, tmp_path: Path, name: str, library: str
) -> None:
    model = models.linear(tmp_path / "m.onnx")
    error = refused(gpu_wheel, name, model, LINEAR)
    assert (error["status"], error["kind"]) == ("provider-missing", "not-installed")
    assert error["message"].startswith(f"{library} not found")
    assert f"needed by {getattr(adapter, name).provider}" in error["message"]
    assert "libcudnn.so.9" in error["message"], "all that is missing is said at once"
    assert "onnxbench install cuda" in error["hint"]


@pytest.mark.parametrize("device", ["5", "-1", "x"])
def test_a_device_that_is_not_there_gives_no_session(
    gpu_wheel: Target, tmp_path: Path, device: str
) -> None:
    model = models.linear(tmp_path / "m.onnx")
    error = refused(gpu_wheel, "CUDA", model, LINEAR, options={"device_id": device})
    assert error["status"] in ("provider-missing", "unsupported")
    assert error["phase"] == "load"


def test_what_one_wheel_lacks_is_no_number_of_its_cpu(gpu_wheel: Target, tmp_path: Path) -> None:
    model = models.linear(tmp_path / "m.onnx")
    for name in ("XNNPACK", "OPENVINO_EP", "MIGRAPHX"):
        error = refused(gpu_wheel, name, model, LINEAR)
        assert error["status"] == "provider-missing"
        assert f"does not have {getattr(adapter, name).provider}" in error["message"]
    for name in ("QNN", "WEBGPU"):
        error = refused(gpu_wheel, name, model, LINEAR)
        assert error["status"] == "provider-missing"
        assert "onnxbench install" in error["hint"]


def test_the_same_wheel_still_serves_the_cpu(gpu_wheel: Target, tmp_path: Path) -> None:
    found = good(run(gpu_wheel, "CPU", models.linear(tmp_path / "m.onnx"), LINEAR))
    assert [row["provider"] for row in found["placement"]] == ["CPUExecutionProvider"]


# ------------------------------------------------------------------------------ OpenVINO: a split


def test_a_whole_graph_on_openvino_is_on_openvino(openvino: Target, tmp_path: Path) -> None:
    model = models.linear(tmp_path / "m.onnx")
    found = good(run(openvino, "OPENVINO_EP", model, LINEAR, threads=2))
    (row,) = found["placement"]
    assert row["provider"] == "OpenVINOExecutionProvider"
    assert (row["node_share"], row["time_share"]) == (1.0, 1.0)
    assert sum(row["operators"].values()) == row["nodes"]
    assert found["precision_effective"] == "float32"
    assert found["facts"]["provider_options_told"] == {"num_of_threads": "2", "precision": "FP32"}
    assert found["facts"]["threads_control"] == "exact"
    assert found["facts"]["options"]["intra_op_num_threads"] == 1, "one pool, not two"


def test_a_split_graph_is_a_fallback_that_names_what_was_left(
    openvino: Target, tmp_path: Path
) -> None:
    error = refused(openvino, "OPENVINO_EP", split(tmp_path / "m.onnx"), SQUARE)
    assert (error["status"], error["kind"]) == ("fallback", "fallback")
    assert "took 4 of 5 nodes" in error["message"]
    assert "ai.onnx.ml::Binarizer" in error["message"]


def test_a_split_that_is_allowed_is_measured_with_both_shares(
    openvino: Target, tmp_path: Path
) -> None:
    model = split(tmp_path / "m.onnx")
    found = good(run(openvino, "OPENVINO_EP", model, SQUARE, allow_fallback=True))
    rows = {row["provider"]: row for row in found["placement"]}
    assert rows["OpenVINOExecutionProvider"]["operators"] == {"MatMul": 2, "Relu": 2}
    assert rows["CPUExecutionProvider"]["operators"] == {"ai.onnx.ml::Binarizer": 1}
    assert sum(row["time_share"] or 0 for row in rows.values()) == pytest.approx(1.0)
    assert found["fallback"]


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ({"device_type": "GPU"}, "provider-missing", "GPU is not available"),
        ({"device_type": "NONSENSE"}, "unsupported", "no one device of OpenVINO"),
        ({"device_type": "AUTO:GPU,CPU"}, "unsupported", "no one device of OpenVINO"),
        ({"precision": "BF16"}, "unsupported", "CPU only supports FP32"),
        ({"num_of_threads": "4"}, "unsupported", "has no option 'num_of_threads'"),
        ({"device_typ": "CPU"}, "unsupported", "has no option 'device_typ'"),
    ],
)
def test_devices_and_options_that_openvino_has_not_are_refused(
    openvino: Target, tmp_path: Path, options: dict[str, str], status: str, said: str
) -> None:
    model = models.linear(tmp_path / "m.onnx")
    error = refused(openvino, "OPENVINO_EP", model, LINEAR, options=options)
    assert (error["status"], error["phase"]) == (status, "load")
    assert said in error["message"]


@pytest.mark.parametrize("name", ["OPENVINO_EP", "CPU"])
@pytest.mark.parametrize("boundary", ["host", "device"])
def test_what_was_bound_is_what_is_computed(
    openvino: Target, tmp_path: Path, boundary: str, name: str
) -> None:
    """An IO-binding of 1.24 does not keep alive the arrays that it reads from."""
    shape = (64, 512)  # large enough for its memory to be used again at once
    weight = np.linspace(-1, 1, 512 * 512, dtype=np.float32).reshape(512, 512)
    model = models.save(
        tmp_path / "m.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [("x", models.FLOAT, shape)],
        [("y", models.FLOAT, shape)],
        [("w", weight)],
    )
    truth = Reference(str(tmp_path / "truth.npz"), "onnxruntime-cpu", "float32", 1)
    good(facts_of(openvino, reference("CPU"), model, {"x": shape}, mode="reference",
                  reference=truth))  # fmt: skip
    found = good(run(openvino, name, model, {"x": shape}, boundary=boundary, reference=truth))
    assert found["parity"]["passed"], found["parity"]
    assert found["parity"]["input_sensitive"]


def test_a_precision_that_is_not_told_is_not_known(openvino: Target, tmp_path: Path) -> None:
    model = models.linear(tmp_path / "m.onnx")
    found = good(run(openvino, "OPENVINO_EP", model, LINEAR, precision="native"))
    assert found["precision_effective"] is None
    assert "does not say in which type" in found["facts"]["precision_reason"]


def test_cuda_is_not_what_the_openvino_wheel_has(openvino: Target, tmp_path: Path) -> None:
    error = refused(openvino, "CUDA", models.linear(tmp_path / "m.onnx"), LINEAR)
    assert error["status"] == "provider-missing"
    assert "onnxruntime-openvino" in error["message"]


# ---------------------------------------------------------------- QNN, on Qualcomm's own emulator


def test_open_dims_are_fixed_for_qnn_and_its_emulator_is_named(qnn: Target, tmp_path: Path) -> None:
    model = models.linear(tmp_path / "m.onnx")
    found = good(run(qnn, "QNN", model, LINEAR, options={"backend_type": "htp"}))
    (row,) = found["placement"]
    assert (row["provider"], row["time_share"]) == ("QNNExecutionProvider", 1.0)
    assert found["facts"]["fixed_dims"] == {"N": 2}
    assert "emulator" in found["facts"]["emulated"]
    assert found["precision_effective"] is None


@pytest.mark.parametrize(
    ("options", "status", "kind"),
    [
        ({}, "unsupported", "unsupported"),  # the emulator's device has no default backend
        ({"backend_type": "gpu"}, "provider-missing", "no-node"),
    ],
)
def test_a_backend_that_does_not_start_is_no_number(
    qnn: Target, tmp_path: Path, options: dict[str, str], status: str, kind: str
) -> None:
    error = refused(qnn, "QNN", models.linear(tmp_path / "m.onnx"), LINEAR, options=options)
    assert (error["status"], error["kind"]) == (status, kind)


# ------------------------------------------------------------------------ a plugin given by path


def test_a_plugin_that_takes_no_node_is_missing(
    ggml: Installed, cache: Path, tmp_path: Path
) -> None:
    model = models.chain(tmp_path / "m.onnx", "Exp", "Sigmoid", "Tan")
    options = {"library": ggml_library(ggml)}
    target = target_in(ggml, cache)
    error = refused(target, "PLUGIN", model, {"x": (4,)}, options=options)
    assert (error["status"], error["kind"]) == ("provider-missing", "no-node")
    assert "took 0 of 3 nodes" in error["message"]
    for operator in ("Exp", "Sigmoid", "Tan"):
        assert operator in error["message"]


def test_a_plugin_that_takes_all_is_named_with_its_hash(
    ggml: Installed, cache: Path, tmp_path: Path
) -> None:
    options = {"library": ggml_library(ggml), "provider_name": "ggml", "ep.weights": "f32"}
    model = models.linear(tmp_path / "m.onnx")
    found = good(run(target_in(ggml, cache), "PLUGIN", model, LINEAR, options=options))
    assert [(row["provider"], row["nodes"]) for row in found["placement"]] == [("plugin", 2)]
    plugin = found["facts"]["plugin"]
    assert plugin["provider"] == "ggml"
    assert len(plugin["sha256"]) == 64
    assert found["facts"]["provider_options_told"] == {"weights": "f32"}
    assert found["facts"]["options_unchecked"] == ["weights"]
    assert found["precision_effective"] is None


def test_a_plugin_that_takes_all_and_then_cannot_is_unsupported(
    ggml: Installed, cache: Path, tmp_path: Path
) -> None:
    """It claims every node, a convolution in two dimensions too, and fails in the first run."""
    shape = (1, 1, 8, 8)
    model = models.save(
        tmp_path / "m.onnx",
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        [("x", models.FLOAT, shape)],
        [("y", models.FLOAT, shape)],
        [("w", np.ones((1, 1, 3, 3), np.float32))],
    )
    options = {"library": ggml_library(ggml)}
    target = target_in(ggml, cache)
    error = refused(target, "PLUGIN", model, {"x": shape}, options=options)
    assert (error["status"], error["phase"]) == ("unsupported", "first_run")
    assert "only 1-D convolutions" in error["message"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"library": None}, "needs the whole path"),
        ({"library": "relative.so"}, "needs the whole path"),
        ({"library": "/no/such/library.so"}, "/no/such/library.so is none"),
        ({"library": __file__}, "is no provider library"),
        ({"ep_device": "7"}, "ep_device='7': there is 0: CPU"),
        ({"weights": "f32"}, "has no option 'weights'"),
    ],
)
def test_plugins_are_not_guessed(
    ggml: Installed, cache: Path, tmp_path: Path, changes: dict[str, str | None], said: str
) -> None:
    options = {"library": ggml_library(ggml), **changes}
    given = {name: value for name, value in options.items() if value is not None}
    model = models.linear(tmp_path / "m.onnx")
    error = refused(target_in(ggml, cache), "PLUGIN", model, LINEAR, options=given)
    assert error["status"] == "unsupported"
    assert said in error["message"]
