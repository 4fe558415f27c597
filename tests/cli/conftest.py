"""A private place for every command, and the small models that they measure."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.command import Ran, Typed, measure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_OPSET = 17


def value(
    name: str, dims: Sequence[int | str | None], dtype: int = TensorProto.FLOAT
) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, dims)


def save(path: Path, graph: onnx.GraphProto) -> Path:
    opsets = [helper.make_opsetid("", _OPSET)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Store, lock and temporary files of this test alone; an 80 column stream without color."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    for name, setting in {
        "ONNXBENCH_STORE": tmp_path / "results.db",
        "ONNXBENCH_LOCK": tmp_path / "lock",
        "ONNXBENCH_CACHE": cache,
        "ONNXBENCH_HOME": tmp_path / "home",
        "TMPDIR": temporary,
        "COLUMNS": 80,
    }.items():
        monkeypatch.setenv(name, str(setting))
    for name in ("NO_COLOR", "FORCE_COLOR", "ORT_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def temporary(place: Path) -> Path:
    """Where this test's commands keep their children's folders."""
    return place / "tmp"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small models: relu (x: N×4), fixed (x: 1×4), linear (x: 2, y = 2x + 1)."""
    folder = tmp_path_factory.mktemp("models")
    relu = helper.make_node("Relu", ["x"], ["y"], name="relu")
    for name, batch in (("relu", "N"), ("fixed", 1)):
        graph = helper.make_graph([relu], "g", [value("x", [batch, 4])], [value("y", [batch, 4])])
        save(folder / f"{name}.onnx", graph)
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["t"]),
        helper.make_node("Add", ["t", "one"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(np.array(number, np.float32), name)
        for name, number in (("two", 2), ("one", 1))
    ]
    graph = helper.make_graph(nodes, "g", [value("x", [2])], [value("y", [2])], constants)
    save(folder / "linear.onnx", graph)
    return folder


@pytest.fixture(scope="session")
def relu(models: Path) -> Path:
    return models / "relu.onnx"


@pytest.fixture
def proof(place: Path, monkeypatch: pytest.MonkeyPatch) -> Sequence[str]:
    """Options that choose the proof engine, installed as a plug-in: light, and as slow as told."""
    info = place / "plugins" / "proof-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: proof\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[onnxbench.runtimes]\nproof = onnxbench.runtimes.proof:PROOF\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(info.parent), prepend=os.pathsep)
    return ("-r", "proof", "--no-parity")


@pytest.fixture(scope="session")
def finished(relu: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Path]:
    """One finished run of two batch sizes, and the store that holds it."""
    folder = tmp_path_factory.mktemp("finished")
    environment = {
        **os.environ,
        "ONNXBENCH_LOCK": str(folder / "lock"),
        "ONNXBENCH_CACHE": str(cache),
    }
    ran = measure(
        relu, "-b", "1,2", "--processes", "2", "--store", folder / "r.db", env=environment
    )
    return ran, folder / "r.db"


@pytest.fixture
def run_once(finished: tuple[Ran, Path], place: Path) -> Ran:
    """Put a copy of the finished run into this test's store."""
    ran, store = finished
    shutil.copy(store, place / "results.db")
    return ran


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(monkeypatch, capsys)
