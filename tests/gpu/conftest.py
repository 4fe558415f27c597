"""Where the CUDA provider is, or the reason why nothing here can run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from onnxbench import environments
from onnxbench.runtimes import _onnxruntime_cuda as cuda
from onnxbench.runtimes import _onnxruntime_probe as probe
from onnxbench.runtimes import onnxruntime as adapter
from onnxbench.targets.local import LocalTarget
from tests.private import cache, private

__all__ = ["cache", "private"]  # fixtures


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers run in the environments of ONNXBENCH_TEST_HOME."""
    if home := os.environ.get("ONNXBENCH_TEST_HOME"):
        monkeypatch.setenv("ONNXBENCH_HOME", home)


@pytest.fixture
def gpu(private: None, home: None, cache: Path) -> LocalTarget:
    """Workers whose ONNX Runtime has the CUDA provider, on a machine with a CUDA device."""
    if not probe.has_nvidia_driver():
        pytest.skip("NVIDIA's driver is not on this machine")
    if why := cuda.describe(0).get("reason"):
        pytest.skip(f"the driver finds no CUDA device: {why}")
    if adapter.CUDA.probe().available:
        return LocalTarget(sys.executable, cache)
    found = environments.installed(adapter.CUDA.environment)
    if found is None:
        pytest.skip(f"needs onnxruntime-gpu: onnxbench install {adapter.CUDA.environment}")
    return LocalTarget(str(found.interpreter), cache)
