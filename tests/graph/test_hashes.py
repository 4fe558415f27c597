"""A remembered hash is used exactly as long as nothing has changed."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxbench.errors import RefusedInput
from onnxbench.graph import hashes
from onnxbench.graph.hashes import artifact_hash
from onnxbench.graph.preflight import preflight

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
OLD = (1_000_000_000, 1_000_000_000)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    shutil.copy(LIGHT / "light_squeezenet.onnx", path)
    os.utime(path, OLD)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def hashed_times(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every path that was really hashed."""
    found: list[Path] = []

    def counting(path: Path) -> object:
        found.append(path)
        return preflight(path)

    monkeypatch.setattr("onnxbench.graph.preflight.preflight", counting)
    return found


def test_it_is_the_hash_of_the_file_and_is_computed_once(
    model: Path, cache: Path, hashed_times: list[Path]
) -> None:
    first = artifact_hash(model, cache)
    assert first.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert first.bytes == model.stat().st_size
    assert artifact_hash(model, cache) == first
    assert len(hashed_times) == 1


def test_a_changed_file_is_hashed_anew(model: Path, cache: Path, hashed_times: list[Path]) -> None:
    before = artifact_hash(model, cache)
    shutil.copy(LIGHT / "light_shufflenet.onnx", model)
    os.utime(model, OLD)
    assert artifact_hash(model, cache) != before
    same_bytes = model.with_name("copy")
    shutil.copy(model, same_bytes)
    os.utime(same_bytes, OLD)
    same_bytes.replace(model)  # another inode
    artifact_hash(model, cache)
    assert len(hashed_times) == 3


def test_a_file_just_written_is_not_remembered(
    model: Path, cache: Path, hashed_times: list[Path]
) -> None:
    model.touch()
    artifact_hash(model, cache)
    artifact_hash(model, cache)
    assert len(hashed_times) == 2


def test_external_data_counts_too(tmp_path: Path, cache: Path, hashed_times: list[Path]) -> None:
    weights = onnx.numpy_helper.from_array(np.ones(1000, np.float32), "w")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [onnx.helper.make_tensor_value_info("x", 1, [1000])],
        [onnx.helper.make_tensor_value_info("y", 1, [1000])],
        [weights],
    )
    path = tmp_path / "model.onnx"
    onnx.save(
        onnx.helper.make_model(graph, ir_version=10),
        path,
        save_as_external_data=True,
        location="data.bin",
        size_threshold=0,
    )
    data = tmp_path / "data.bin"
    for file in (path, data):
        os.utime(file, OLD)
    before = artifact_hash(path, cache)
    assert before.sha256 == preflight(path).sha256
    assert artifact_hash(path, cache) == before
    data.write_bytes(bytes(len(data.read_bytes())))
    os.utime(data, (OLD[0] + 1,) * 2)
    assert artifact_hash(path, cache).sha256 != before.sha256
    assert len(hashed_times) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version": 2}', b'{"version": 1, "entries": {"MODEL": 3}}', b"\xff",
     b'{"version": 1, "entries": {"MODEL": {"sha256": "x", "files": []}}}'],
)  # fmt: skip
def test_a_damaged_cache_is_passed_over(model: Path, cache: Path, content: bytes) -> None:
    cache.mkdir()
    (cache / hashes.FILE).write_bytes(content.replace(b"MODEL", str(model).encode()))
    assert artifact_hash(model, cache).sha256 == preflight(model).sha256
    assert artifact_hash(model, cache).sha256 == preflight(model).sha256


def test_no_cache_can_be_written(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert artifact_hash(model, tmp_path / "file" / "cache").sha256 == preflight(model).sha256


def test_the_cache_does_not_grow_without_end(
    model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, hashed_times: list[Path]
) -> None:
    monkeypatch.setattr(hashes, "MAX_ENTRIES", 2)
    models = []
    for name in "abc":
        models.append(model.with_name(name))
        shutil.copy(model, models[-1])
        os.utime(models[-1], OLD)
        artifact_hash(models[-1], cache)
    artifact_hash(models[2], cache)
    artifact_hash(models[1], cache)
    assert len(hashed_times) == 3
    artifact_hash(models[0], cache)
    assert len(hashed_times) == 4


def test_what_is_refused_is_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(RefusedInput):
        artifact_hash(tmp_path / "missing.onnx", cache)
