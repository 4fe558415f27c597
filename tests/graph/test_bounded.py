"""Analysis beside pre-flight: figures at each shape, and no fault of it reaches the caller."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxbench.errors import UsageError
from onnxbench.graph import analysis, bounded
from onnxbench.graph.bounded import static_documents
from onnxbench.graph.profile import Binding

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


@pytest.fixture
def matmul(tmp_path: Path) -> Path:
    """x (N×8) times a constant 8×16."""
    weight = numpy_helper.from_array(np.ones((8, 16), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, ["N", 8])],
        [helper.make_tensor_value_info("y", 1, ["N", 16])],
        [weight],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, ir_version=10), path)
    return path


def children() -> set[int]:
    return {
        int(pid)
        for listing in Path("/proc/self/task").glob("*/children")
        for pid in listing.read_text().split()
    }


def test_each_shape_has_its_own_figures(matmul: Path) -> None:
    small, large = static_documents(matmul, [{"x": (1, 8)}, {"x": (5, 8)}], 60)
    assert (small["macs"], large["macs"]) == (128, 640)
    assert small["params"] == large["params"] == 128
    assert large["peak_activation_bytes"] == 5 * 8 * 4 + 5 * 16 * 4


def test_nothing_wanted_is_nothing_done(matmul: Path) -> None:
    assert static_documents(matmul, [], 60) == []


def _raise(error: Exception) -> None:
    raise error


def replaced(monkeypatch: pytest.MonkeyPatch, by: Any) -> None:
    monkeypatch.setattr(analysis, "analyze", by)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "the analysis was ended by SIGSEGV"),
        (lambda: os._exit(3), "the analysis ended without a result"),
        (lambda: time.sleep(60), "the analysis did not end within 2 s"),
        (lambda: 1 // 0, "the analysis failed: ZeroDivisionError: "),
        (lambda: _raise(UsageError("no such dim")), "no such dim"),
    ],
    ids=["crash", "exit", "hang", "exception", "refusal"],
)
def test_a_fault_costs_the_figures_and_nothing_else(
    matmul: Path, monkeypatch: pytest.MonkeyPatch, fault: Any, reason: str
) -> None:
    """The first shape is counted, the second one hits the fault; its reason is told."""
    real, before = analysis.analyze, children()

    def faulty(path: Path, binding: Binding) -> object:
        return real(path, binding) if binding.shapes["x"][0] == 1 else fault()

    replaced(monkeypatch, faulty)
    start = time.monotonic()
    first, second = static_documents(matmul, [{"x": (1, 8)}, {"x": (2, 8)}], 2)
    assert time.monotonic() - start < 20
    assert first["macs"] == 128
    assert list(second) == ["reason"]
    assert second["reason"].startswith(reason)
    assert children() == before


def test_memory_and_errors_are_reasons_too(matmul: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(_path: Path, _binding: Binding) -> object:
        raise MemoryError

    replaced(monkeypatch, out_of_memory)
    (found,) = static_documents(matmul, [{"x": (1, 8)}], 60)
    assert found == {"reason": "the analysis took more memory than allowed"}


def test_a_file_that_is_gone_is_a_reason(tmp_path: Path) -> None:
    (found,) = static_documents(tmp_path / "gone.onnx", [{}], 60)
    assert "no such file" in found["reason"]


def test_endless_figures_are_cut(matmul: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MAX_BYTES", 3000)
    found = static_documents(matmul, [{"x": (n, 8)} for n in range(1, 21)], 60)
    assert len(found) == 20
    assert found[0]["macs"] == 128
    assert found[-1] == {"reason": "its figures take more than 3,000 bytes"}
