"""The CUDA provider on a real device. Skipped, with the reason, where there is none; not in CI.

These tests have not passed on any machine yet: docs/gpu-status.md says what is verified.
``ONNXBENCH_GPU_OUT`` names a folder that keeps the results of the matrix; ``ONNXBENCH_GPU_MODELS``
more networks for it, by the names of the catalogue, separated by commas.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxbench.runtimes import _onnxruntime_cuda as cuda
from onnxbench.runtimes import onnxruntime as adapter
from onnxbench.worker.job import Reference
from tests.cli.command import onnxbench
from tests.gpu.nvml import Nvml
from tests.runtimes import models
from tests.runtimes.running import facts_of, good
from tests.runtimes.test_onnxruntime_providers import split

if TYPE_CHECKING:
    from onnxbench.protocols import Target
    from onnxbench.types import ChildResult, Measurement

PROVIDER = adapter.CUDA.provider
CUDA = f"{adapter.__name__}:CUDA"
CPU = f"{adapter.__name__}:CPU"
IMAGE = {"x": (2, 8, 32, 32)}
BOUNDARIES = pytest.mark.parametrize("boundary", ["host", "device"])
MATRIX_S = 6 * 3600


def network(path: Path, dtype: int = TensorProto.FLOAT) -> Path:
    """Two convolutions with a Relu between them, x [2, 8, 32, 32], fixed shapes, seeded weights."""
    random = np.random.default_rng(7)
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    first, second = (random.normal(0, 0.1, (8, 8, 3, 3)).astype(kind) for _ in range(2))
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["y"], pads=[1, 1, 1, 1]),
    ]
    shape = IMAGE["x"]
    return models.save(
        path, nodes, [("x", dtype, shape)], [("y", dtype, shape)], [("w1", first), ("w2", second)]
    )


def on_cuda(target: Target, model: Path, shapes: Any = IMAGE, **changes: Any) -> ChildResult:
    return facts_of(target, CUDA, model, shapes, provider=PROVIDER, **changes)


def compared(
    target: Target, model: Path, reference: Reference, adapter_of: str = CUDA, **changes: Any
) -> Measurement:
    """Run the reference on the CPU provider of the same build, then the facts child against it."""
    good(facts_of(target, CPU, model, IMAGE, mode="reference", reference=reference))
    return good(facts_of(target, adapter_of, model, IMAGE, reference=reference, **changes))


def reference_in(folder: Path, dtype: str = "float32") -> Reference:
    return Reference(str(folder / "reference.npz"), "onnxruntime-cpu", dtype, 2)


# ------------------------------------------------------------------------------ placement, refusal


@BOUNDARIES
def test_a_network_is_on_cuda_by_nodes_and_by_time(
    gpu: Target, tmp_path: Path, boundary: str
) -> None:
    found = good(on_cuda(gpu, network(tmp_path / "m.onnx"), boundary=boundary))
    (row,) = found["placement"]
    assert (row["provider"], row["node_share"], row["time_share"]) == (PROVIDER, 1.0, 1.0)
    assert found["facts"]["gpu"]["name"]


def test_an_operator_that_cuda_lacks_fails_the_cell(gpu: Target, tmp_path: Path) -> None:
    model = split(tmp_path / "m.onnx")
    result = on_cuda(gpu, model, {"x": (2, 4)})
    assert result.error is not None
    assert result.status == "fallback"
    assert "ai.onnx.ml::Binarizer" in result.error["message"]
    assert good(on_cuda(gpu, model, {"x": (2, 4)}, allow_fallback=True))["fallback"]


def test_a_device_that_is_not_there_is_refused(gpu: Target, tmp_path: Path) -> None:
    result = on_cuda(gpu, network(tmp_path / "m.onnx"), options={"device_id": "99"})
    assert result.status in ("provider-missing", "unsupported")
    assert result.error is not None
    assert result.error["phase"] == "load"


# ------------------------------------------------------------------------------ parity, precision


@BOUNDARIES
@pytest.mark.parametrize("graph", ["0", "1"])
def test_the_answer_is_that_of_the_cpu_with_and_without_a_cuda_graph(
    gpu: Target, tmp_path: Path, boundary: str, graph: str
) -> None:
    if (boundary, graph) == ("host", "1"):
        pytest.skip("a CUDA graph needs --boundary device, and is refused without it")
    found = compared(
        gpu,
        network(tmp_path / "m.onnx"),
        reference_in(tmp_path),
        boundary=boundary,
        options={"enable_cuda_graph": graph},
    )
    assert found["parity"]["passed"], found["parity"]
    assert found["parity"]["input_sensitive"], "a captured graph has to read the new inputs"
    assert found["facts"]["provider_options"]["enable_cuda_graph"] == graph


@pytest.mark.parametrize("search", ["EXHAUSTIVE", "HEURISTIC", "DEFAULT"])
def test_the_search_of_cudnn_is_as_asked(gpu: Target, tmp_path: Path, search: str) -> None:
    options = {"cudnn_conv_algo_search": search}
    found = compared(gpu, network(tmp_path / "m.onnx"), reference_in(tmp_path), options=options)
    assert found["parity"]["passed"], found["parity"]
    assert found["facts"]["provider_options"]["cudnn_conv_algo_search"] == search


def test_tf32_is_off_for_model_and_named_for_native(gpu: Target, tmp_path: Path) -> None:
    model = network(tmp_path / "m.onnx")
    assert good(on_cuda(gpu, model))["precision_effective"] == "float32"
    expected = "tf32" if cuda.has_tf32(0) else "float32"
    native = good(on_cuda(gpu, model, precision="native"))
    assert native["precision_effective"] == expected
    asked = on_cuda(gpu, model, precision="native", options={"use_tf32": "0"})
    assert good(asked)["precision_effective"] == "float32"


def test_an_fp16_graph_is_computed_in_fp16(gpu: Target, tmp_path: Path) -> None:
    model = network(tmp_path / "m.onnx", TensorProto.FLOAT16)
    found = compared(gpu, model, reference_in(tmp_path, "float16"))
    assert found["precision_effective"] == "float16"
    assert found["parity"]["passed"], found["parity"]


# -------------------------------------------------------------------------------- memory, energy


def test_too_little_device_memory_is_out_of_memory(gpu: Target, tmp_path: Path) -> None:
    options = {"gpu_mem_limit": str(1 << 20), "arena_extend_strategy": "kSameAsRequested"}
    side = models.save(
        tmp_path / "big.onnx",
        [helper.make_node("MatMul", ["x", "x"], ["y"])],
        [("x", models.FLOAT, [2048, 2048])],
        [("y", models.FLOAT, [2048, 2048])],
    )
    result = on_cuda(gpu, side, {"x": (2048, 2048)}, options=options)
    assert result.status == "oom", result.error


def test_the_counters_of_the_card_move(gpu: Target, tmp_path: Path) -> None:
    card = Nvml()
    before = card.energy_mj()
    good(on_cuda(gpu, network(tmp_path / "m.onnx"), boundary="device"))
    assert card.energy_mj() > before
    assert card.used_bytes() > 0


# ------------------------------------------------------------------------------------- the matrix


@pytest.mark.slow
@pytest.mark.timeout(MATRIX_S)
def test_the_matrix_ends_with_named_states(gpu: Target, tmp_path: Path) -> None:
    """``onnxbench run --runtime cuda,cpu``: classics and more, at batch 1, 4, 8 and 64."""
    out = Path(os.environ.get("ONNXBENCH_GPU_OUT") or tmp_path)
    out.mkdir(parents=True, exist_ok=True)
    more = [name for name in os.environ.get("ONNXBENCH_GPU_MODELS", "").split(",") if name]
    what = [*more, "--weights", "random"] if more else []
    ran = onnxbench(
        "run", *what, "--suite", "classics", "--runtime", "cuda,cpu", "--batch", "1,4,8,64",
        "--boundary", "host,device", "--quick", "--allow-fallback", "--store", out / "results.db",
        "--output", out / "cuda.md", "--json", timeout=MATRIX_S,
    )  # fmt: skip
    assert ran.code in (0, 3), ran.err  # 3: some cells failed, each with its reason
    mine = [record for record in ran.records if record["cell"]["runtime"] == "cuda"]
    assert any(record["status"] == "ok" for record in mine)
    for record in mine:
        assert record["status"] == "ok" or record["error"], record["cell"]
        if record["status"] == "ok":
            assert any(row["provider"] == PROVIDER for row in record["placement"])
