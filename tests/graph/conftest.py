"""Models and measurements that the tests of this folder share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import onnx
import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

LIGHT_MODELS = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))


@pytest.fixture(params=LIGHT_MODELS, ids=lambda path: path.stem)
def light_model(request: pytest.FixtureRequest) -> Path:
    """One of the nine networks that ship inside the onnx package."""
    path: Path = request.param
    return path


class RunChild(Protocol):
    """Runs Python source in a fresh interpreter and returns what it printed."""

    def __call__(self, source: str, *arguments: str | Path) -> str: ...


@pytest.fixture
def run_child() -> RunChild:
    """Runs Python source in a fresh interpreter; it must end well."""

    def run(source: str, *arguments: str | Path) -> str:
        command: Sequence[str | Path] = [sys.executable, "-c", source, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run
