"""Every adapter of ours keeps the contract that we ask of others.

Those whose runtime is installable here keep all of it, in the environments of ONNXBENCH_TEST_HOME;
of the others, which want hardware or systems that this is not, it is known what their probes say.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from onnxbench import registry
from onnxbench.testing import AdapterContract
from onnxbench.testing.children import Children
from tests.runtimes.running import installed_environment

ONNX_RUNTIME = "onnxbench.runtimes.onnxruntime"
ABSENT = (
    "ARM", "CUDA", "TENSORRT", "TENSORRT_RTX", "XNNPACK", "COREML", "DML", "QNN", "MIGRAPHX",
    "WEBGPU", "PLUGIN",
)  # fmt: skip


class InEnvironment(AdapterContract):
    """The contract in the environment that the adapter names, of the home for tests."""

    @classmethod
    def interpreter(cls) -> str:
        adapter: Any = cls._loaded
        with pytest.MonkeyPatch.context() as patch:
            return str(installed_environment(patch, adapter.environment).interpreter)


class TestCpu(AdapterContract):
    adapter = f"{ONNX_RUNTIME}:CPU"
    dtypes = ("float", "double", "float16")


class TestOpenVinoEp(InEnvironment):
    adapter = f"{ONNX_RUNTIME}:OPENVINO_EP"


class TestOpenVino(InEnvironment):
    adapter = "onnxbench.runtimes.openvino:OPENVINO"


class TestNcnn(InEnvironment):
    adapter = "onnxbench.runtimes.ncnn:NCNN"


class TestMnn(InEnvironment):
    adapter = "onnxbench.runtimes.mnn:MNN"


class TestTract(InEnvironment):
    adapter = "onnxbench.runtimes.tract:TRACT"


class TestLiteRt(InEnvironment):
    adapter = "onnxbench.runtimes.litert:LITERT"


class TestTorch(InEnvironment):
    adapter = "onnxbench.runtimes.torch:TORCH"


@pytest.mark.slow
class TestTorchCompile(InEnvironment):
    """Every process compiles C++ for ten seconds and more; what `TestTorch` proves of both is not
    proved again. Inductor keeps frozen weights to the end of the process (120 of 64 MiB), which
    neither torch._dynamo.reset nor clearing its code cache changes; a process is one cell."""

    adapter = "onnxbench.runtimes.torch:TORCH_COMPILE"
    test_close_frees_the_weights = None  # type: ignore[assignment]
    test_boundaries = None  # type: ignore[assignment]
    test_interrupt_at_any_time = None  # type: ignore[assignment]
    test_operator_times = None  # type: ignore[assignment]
    test_outputs_repeat = None  # type: ignore[assignment]
    test_threads_are_those_told = None  # type: ignore[assignment]


@pytest.mark.parametrize("name", ABSENT)
def test_what_cannot_run_here_says_why(name: str, tmp_path: Path) -> None:
    reference = f"{ONNX_RUNTIME}:{name}"
    adapter: Any = registry.load(registry.Registered(name, reference))
    look = Children(reference, adapter, sys.executable, {}, tmp_path).look_without()
    assert not look.capability["available"]
    assert look.capability["reason"]
    assert look.capability["hint"] or not look.capability["possible"]
    assert look.imported == []
