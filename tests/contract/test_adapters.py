"""Every adapter of ours keeps the contract that we ask of others."""

from __future__ import annotations

import pytest

from onnxbench.testing import AdapterContract
from tests.runtimes.running import installed_environment


class InEnvironment(AdapterContract):
    """The contract, in the environment that the adapter names, of the home for tests."""

    @classmethod
    def interpreter(cls) -> str:
        with pytest.MonkeyPatch.context() as patch:
            name = cls._loaded.environment  # type: ignore[attr-defined]
            return str(installed_environment(patch, name).interpreter)


class TestCpu(AdapterContract):
    adapter = "onnxbench.runtimes.onnxruntime:CPU"
    dtypes = ("float", "double", "float16")
