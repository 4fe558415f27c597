"""Several runtimes in one run, each in the Python that has it; and what must never be a number.

The environments are those of ONNXBENCH_TEST_HOME (`.ci/run` makes them).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxbench import environments
from tests.cli.command import SHORT, onnxbench
from tests.runtimes import nets
from tests.runtimes.models import FLOAT, linear, save
from tests.runtimes.running import installed_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    Install = Callable[..., None]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Make the commands of a test see the environments of the given names."""

    def see(*names: str) -> None:
        for name in names:
            installed_environment(monkeypatch, name)

    return see


def split(path: Path) -> Path:
    """A network with an operator in its middle that OpenVINO's provider leaves to the CPU."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Binarizer", ["b"], ["c"], domain="ai.onnx.ml", threshold=0.5),
        helper.make_node("MatMul", ["c", "v"], ["d"]),
        helper.make_node("Relu", ["d"], ["y"]),
    ]
    random = np.random.default_rng(0)
    weights = [(name, random.standard_normal((8, 8)).astype(np.float32)) for name in "wv"]
    values = [("x", FLOAT, [1, 8])], [("y", FLOAT, [1, 8])]
    saved = save(path, nodes, *values, weights)
    model = onnx.load(saved)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    onnx.save(model, saved)
    return saved


def by_runtime(records: list[Any]) -> dict[str, Any]:
    return {record["cell"]["runtime"]: record for record in records}


def test_the_same_bytes_on_several_runtimes_and_batches(installed: Install, tmp_path: Path) -> None:
    names = ("openvino", "ncnn", "mnn", "tract")
    installed(*names)
    model = nets.conv(tmp_path / "net.onnx")
    done = onnxbench("run", model, "-r", ",".join(("cpu", *names)), "-b", "1,2", *SHORT, "--json")
    assert done.code == 0, done.err
    assert len(done.records) == 2 * (1 + len(names))
    assert len({record["cell"]["model"]["sha256"] for record in done.records}) == 1
    for record in done.records:
        parity = record["parity"]
        assert (record["status"], parity["passed"]) == ("ok", True), record["error"]
        is_reference = record["cell"]["runtime"] == "cpu"
        assert parity["reference"] == ("self" if is_reference else "onnxruntime-cpu")
        assert is_reference or parity["input_sensitive"] is True
        assert record["precision_effective"] == "float32"
        assert sum(row["node_share"] for row in record["placement"]) == pytest.approx(1)
        assert record["memory"]["phases"].keys() >= {"import", "load", "first_run", "steady"}


def test_a_gpu_runtime_without_a_gpu_is_refused_and_measures_nothing(tmp_path: Path) -> None:
    if Path("/dev/nvidia0").exists():
        pytest.skip("this machine has an NVIDIA GPU")
    model = linear(tmp_path / "net.onnx")
    done = onnxbench("run", model, "-r", "cuda,tensorrt", *SHORT, "--json")
    assert (done.code, done.records) == (4, [])
    assert {skip["status"] for skip in done.document["skipped"]} == {"provider-missing"}
    assert all("libcuda.so.1" in skip["reason"] for skip in done.document["skipped"])


def test_a_split_graph_is_a_fallback_and_is_measured_only_when_allowed(
    installed: Install, tmp_path: Path
) -> None:
    installed("onnxruntime-openvino")
    model = split(tmp_path / "split.onnx")
    refused = onnxbench("run", model, "-r", "openvino-ep", *SHORT, "--json")
    assert refused.code == 4
    [record] = refused.records
    assert record["status"] == "fallback"
    assert "ai.onnx.ml::Binarizer" in record["error"]["message"]
    assert record["latency"]["median_ns"] is None

    allowed = onnxbench("run", model, "-r", "openvino-ep", *SHORT, "--allow-fallback", "--json")
    [record] = allowed.records
    assert record["status"] == "ok"
    assert record["latency"]["median_ns"] > 0
    assert "Binarizer" in record["fallback"]
    assert record["verdict"]["grade"] == "unreliable"
    assert record["verdict"]["reasons"][0].startswith("fallback: ")
    assert "--allow-fallback" in record["reproduce"]


def test_an_emulated_accelerator_is_never_recorded_as_the_processor(
    installed: Install, tmp_path: Path
) -> None:
    installed("onnxruntime-qnn")
    model = linear(tmp_path / "net.onnx")
    done = onnxbench("run", model, "-r", "cpu,qnn", "--set", "qnn.backend_type=htp", "-b", "1,2",
                     *SHORT, "--json")  # fmt: skip
    assert done.code == 0, done.err
    for record in done.records:
        device, reason = record["cell"]["device"], record["memory"]["device_reason"]
        if record["cell"]["runtime"] == "cpu":
            assert (device["kind"], device["emulated"]) == ("cpu", False)
            assert reason == "the device is the CPU"
        else:
            assert (device["kind"], device["name"], device["emulated"]) == (
                "npu", "unnamed NPU", True
            )  # fmt: skip
            assert reason == "the memory of this device is not read"


def test_a_provider_that_takes_no_node_is_missing(installed: Install, tmp_path: Path) -> None:
    installed("onnxruntime-ggml")
    environment = environments.installed("onnxruntime-ggml")
    assert environment is not None
    library = next(environment.folder.rglob("onnxruntime_ggml/**/*.so"))
    model = nets.conv(tmp_path / "net.onnx")
    done = onnxbench("run", model, "-r", "ort-plugin", "--set", f"library={library}", *SHORT,
                     "--json")  # fmt: skip
    [record] = done.records
    assert record["status"] in ("provider-missing", "fallback", "unsupported"), record
    assert record["latency"]["median_ns"] is None


def test_a_converter_that_lies_or_aborts_costs_its_own_cell_alone(
    installed: Install, tmp_path: Path
) -> None:
    installed("ncnn", "mnn")
    model = nets.quantized(tmp_path / "quantized.onnx")
    done = onnxbench("run", model, "-r", "cpu,ncnn,mnn", *SHORT, "--json")
    assert done.code == 3
    found = by_runtime(done.records)
    assert found["cpu"]["status"] == "ok"
    for name in ("ncnn", "mnn"):
        assert found[name]["status"] in ("unsupported", "crashed", "wrong-output"), found[name]
        assert found[name]["latency"]["median_ns"] is None
        assert found[name]["error"]["message"]


def test_native_precision_is_named_and_model_precision_is_the_graphs(
    installed: Install, tmp_path: Path
) -> None:
    installed("openvino", "ncnn")
    model = nets.conv(tmp_path / "net.onnx")
    done = onnxbench("run", model, "-r", "cpu,openvino,ncnn", "--precision", "model,native", *SHORT,
                     "--json")  # fmt: skip
    computed = {
        (record["cell"]["runtime"], record["cell"]["precision"]): record["precision_effective"]
        for record in done.records
        if record["status"] == "ok"
    }
    assert {computed[name, "model"] for name in ("cpu", "openvino", "ncnn")} == {"float32"}
    assert computed["cpu", "native"] == "float32"
    assert computed["ncnn", "native"] == "float32 (float16 storage)"
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii")
    has_bf16 = "avx512_bf16" in flags or "amx_bf16" in flags
    assert computed["openvino", "native"] == ("bfloat16" if has_bf16 else "float32")


def test_a_float16_graph_on_the_processor_is_said_to_be_computed_in_float32(
    tmp_path: Path,
) -> None:
    model = nets.conv(tmp_path / "half.onnx", TensorProto.FLOAT16)
    [record] = onnxbench("run", model, *SHORT, "--json").records
    assert (record["status"], record["precision_effective"]) == ("ok", "float32")


def test_the_exporter_s_own_module_stands_beside_what_was_made_of_its_file(
    installed: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed("torch")
    home = tmp_path / "home"  # what is exported is not kept among the user's
    home.mkdir()
    shared = environments.home()
    (home / "environments").symlink_to(shared / "environments", target_is_directory=True)
    monkeypatch.setenv("ONNXBENCH_HOME", str(home))
    networks = Path(__file__).parents[1] / "exporters" / "networks.py"
    catalog = tmp_path / "models.yaml"
    entry = f'{{id: small, source: "torch:{networks}:small", inputs: {{x: [batch, 3, 16, 16]}}}}'
    file = f'{{id: file, source: "file:{linear(tmp_path / "linear.onnx")}"}}'
    catalog.write_text(f"version: 1\nmodels: [{entry}, {file}]\n")
    done = onnxbench(
        "run", "small", "file", "--models", catalog, "--weights", "random", "-r", "torch",
        "--set", "module=onnx2torch,source", *SHORT, "--json",
    )  # fmt: skip
    by_model = {(r["cell"]["model"]["id"], r["cell"]["options"]["module"]): r for r in done.records}
    assert [key for key, record in by_model.items() if record["status"] == "ok"] == [
        ("small", "onnx2torch"),
        ("small", "source"),
        ("file", "onnx2torch"),
    ], done.err
    made, own = by_model["small", "onnx2torch"], by_model["small", "source"]
    assert made["cell"]["model"]["sha256"] == own["cell"]["model"]["sha256"]
    assert own["parity"]["reference"] == "onnxruntime-cpu"
    assert own["effective"]["module"] == "source"
    assert "Conv2d" in own["placement"][0]["operators"]
    assert made["tool"]["worker"] != own["tool"]["worker"], "it carries the exporters"
    (skip,) = done.document["skipped"]
    assert (skip["model"], skip["status"]) == ("file", "unsupported")
    assert "this is a file" in skip["reason"]
