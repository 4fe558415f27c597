from __future__ import annotations

import os
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    try:
        import torch
    except ImportError:
        if os.environ.get("CI"):
            pytest.fail("CI has to run the tests of the networks from papers, and torch is absent")
        pytest.skip("needs torch")
    module: ModuleType = torch
    return module
