from __future__ import annotations

from pathlib import Path

import pytest

from onnxbench.errors import UsageError
from onnxbench.exporters.file import FileExporter
from onnxbench.types import ModelSpec


def export(location: str, folder: Path) -> Path:
    return FileExporter().locate(ModelSpec("m", f"file:{location}"), folder)


def test_file_is_given_as_it_is(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"not a model, and not this class's business")
    before = model.stat()
    assert export(str(model), tmp_path) == model
    assert model.stat() == before or model.stat().st_mtime_ns == before.st_mtime_ns
    assert list(tmp_path.iterdir()) == [model]


def test_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a:b.onnx").touch()
    monkeypatch.chdir(tmp_path)
    assert export("a:b.onnx", tmp_path) == tmp_path / "a:b.onnx"


def test_link_and_folder_are_left_to_preflight(tmp_path: Path) -> None:
    (tmp_path / "link.onnx").symlink_to("nowhere")
    assert export(str(tmp_path / "link.onnx"), tmp_path).is_symlink()
    assert export(str(tmp_path), tmp_path) == tmp_path


@pytest.mark.parametrize("name", ["missing.onnx", "x" * 300, "a\0b"])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        export(str(tmp_path / name), tmp_path)
    assert name in caught.value.message
    assert caught.value.hint
