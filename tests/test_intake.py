"""Taking a model in: the artifact, the refusal, the given inputs; always through a child."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxbench import artifacts
from onnxbench.errors import UsageError
from onnxbench.exporting import Exports
from onnxbench.graph.artifact import artifact_document
from onnxbench.graph.preflight import preflight
from onnxbench.intake import preflight_lives_ns, take_in
from onnxbench.plan import Candidate
from onnxbench.types import ModelSpec
from tests.corpus.case import of_model, relu


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return of_model(relu)(tmp_path)


def take(model: Path | str, keep: Path, **options: object) -> Candidate:
    spec = artifacts.spec_for_file(str(model))
    given: dict[str, object] = {"inputs": None, "memory_bytes": None} | options
    return take_in(spec, Exports(), keep=keep, **given)  # type: ignore[arg-type]


def test_the_child_tells_what_preflight_finds(model: Path, tmp_path: Path) -> None:
    found = take(model, tmp_path)
    assert found.artifact is not None
    assert artifact_document(found.artifact) == artifact_document(preflight(model))
    assert found.spec.id == "model.onnx"
    assert found.preflight.status == "ok"
    assert preflight_lives_ns([found, found]) == 2 * found.preflight.wall_ns > 0


def test_a_refusal_is_a_candidate_too(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_text("<html>404</html>")
    found = take(path, tmp_path)
    assert found.artifact is None
    assert found.preflight.status == "refused-input"
    assert found.preflight.error is not None
    assert found.preflight.error["phase"] == "preflight"


@pytest.mark.parametrize("name", ["nowhere.onnx", "nul\0.onnx", "x" * 300 + ".onnx"])
def test_a_missing_file_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        take(str(tmp_path / name), tmp_path)
    assert caught.value.hint


def test_an_exporter_that_breaks_is_a_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        name = "file"

        def locate(self, spec: ModelSpec, folder: Path) -> Path:
            raise RuntimeError("no such network")

    monkeypatch.setattr("onnxbench.registry.load", lambda _: Broken())
    found = take_in(
        ModelSpec("m", "file:m"), Exports(), inputs=None, keep=tmp_path, memory_bytes=None
    )
    assert found.preflight.status == "error"
    assert found.preflight.error is not None
    assert "no such network" in found.preflight.error["message"]
    assert found.preflight.error["phase"] == "export"


def test_unknown_sources_name_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        take_in(ModelSpec("m", "flie:m"), Exports(), inputs=None, keep=tmp_path, memory_bytes=None)
    assert "file" in caught.value.hint


def test_arrays_of_an_npz(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.npz"
    np.savez(path, x=np.ones(2, np.float32))
    (tensor,) = take(model, tmp_path, inputs=path).given
    assert (tensor.name, tensor.dtype, tensor.shape, tensor.member) == ("x", "float", (2,), "x")
    assert tensor.path == str(path)
    other = tmp_path / "other.npz"
    np.savez(other, x=np.array([1, 2], np.float32))
    (changed,) = take(model, tmp_path, inputs=other).given
    assert changed.sha256 != tensor.sha256


def test_a_data_set_brings_its_answers(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "test_data_set_0"
    folder.mkdir()
    for name in ("input_0", "output_0"):
        tensor = numpy_helper.from_array(np.ones(2, np.float32))
        (folder / f"{name}.pb").write_bytes(tensor.SerializeToString())
    keep = tmp_path / "keep"
    keep.mkdir()
    found = take(model, keep, inputs=folder)
    assert [tensor.name for tensor in found.given] == ["x"]
    assert [output.name for output in found.expected] == ["y"]
    for path in (found.given[0].path, found.expected[0].path):
        with np.load(path) as archive:
            assert archive["value"].tolist() == [1, 1]


def test_types_that_numpy_lacks_travel_as_bits(tmp_path: Path) -> None:
    made = relu()
    for info in (*made.graph.input, *made.graph.output):
        info.type.tensor_type.elem_type = onnx.TensorProto.BFLOAT16
    path = tmp_path / "m.onnx"
    onnx.save(made, path)
    folder = tmp_path / "test_data_set_0"
    folder.mkdir()
    tensor = onnx.helper.make_tensor("x", onnx.TensorProto.BFLOAT16, [2], [1.0, -2.0])
    (folder / "input_0.pb").write_bytes(tensor.SerializeToString())
    (given,) = take(path, tmp_path, inputs=folder).given
    assert given.dtype == "bfloat16"
    with np.load(given.path) as archive:
        assert archive["value"].dtype == np.uint16
        assert archive["value"].tolist() == [0x3F80, 0xC000]


def test_bad_inputs_are_a_usage_error(model: Path, tmp_path: Path) -> None:
    bad = tmp_path / "in.npz"
    bad.write_text("nothing")
    with pytest.raises(UsageError, match=r"in\.npz") as caught:
        take(model, tmp_path, inputs=bad)
    assert "--inputs" in caught.value.hint


def test_too_little_memory_is_named(model: Path, tmp_path: Path) -> None:
    found = take(model, tmp_path, memory_bytes=1 << 20)
    assert found.artifact is None
    assert found.preflight.status in ("oom", "crashed", "error")
    assert found.preflight.error is not None


def test_files_and_ids() -> None:
    for text in ("m.onnx", "M.ONNX", "./m", "a/b", "a\\b"):
        assert artifacts.is_file_argument(text)
    for text in ("resnet50", "timm-x", "onnx"):
        assert not artifacts.is_file_argument(text)
    assert artifacts.spec_for_file(f"a{os.sep}m.onnx").source == f"file:a{os.sep}m.onnx"
