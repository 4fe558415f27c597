"""A target that carries the test-only adapter, and folders that are no user's."""

from __future__ import annotations

import os
import secrets
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from onnxbench.targets.local import LocalTarget
from tests.private import cache, private
from tests.targets.child import TEST, alive

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cache", "private"]  # fixtures


@pytest.fixture(autouse=True)
def marked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Mark the processes of this test, and end those that it leaves behind."""
    monkeypatch.setenv(TEST, secrets.token_hex(8))
    yield
    for pid in alive():  # only a test that failed leaves any
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def target(cache: Path) -> Iterator[LocalTarget]:
    """This machine, with a bundle that holds ``fault_adapter``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        target = LocalTarget(cache=cache)
        target.bundle_for("fault_adapter:FaultAdapter")
        yield target


@pytest.fixture(scope="session")
def identity_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without inputs: one constant, handed through."""
    constant = onnx.numpy_helper.from_array(np.arange(4, dtype=np.float32), "c")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["c"], ["y"])],
        "identity",
        [],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4])],
        [constant],
    )
    opset = onnx.helper.make_opsetid("", 17)
    path = tmp_path_factory.mktemp("identity") / "identity.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path
