"""``onnx:PATH``: a file that is there, written anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxbench.errors import ExportError
from onnxbench.exporters._onnxruntime import open_session
from onnxbench.exporters._passes import simplify
from onnxbench.exporters.onnx_file import OnnxFile, OnnxFileExporter
from onnxbench.sources import DATA_FILE, MODEL_FILE, ExportRequest, InputSpec

WEIGHTS = np.arange(1200, dtype=np.float32).reshape(4, 300)


def saved(
    path: Path,
    shape: list[int | str] | None = None,
    dtype: int = TensorProto.FLOAT,
    *,
    listed: bool = False,
    external: bool = False,
    opset: int = 17,
) -> Path:
    """Save y = relu(x @ w), or the identity where ``dtype`` has no such product."""
    shape = ["N", 4] if shape is None else shape
    value = helper.make_tensor_value_info
    inputs = [value("x", dtype, shape)]
    if listed:  # as files of IR version 3 do it: the weights are inputs too
        inputs.append(value("w", TensorProto.FLOAT, [4, 300]))
    nodes = [helper.make_node("MatMul", ["x", "w"], ["t"]), helper.make_node("Relu", ["t"], ["y"])]
    weights = [numpy_helper.from_array(WEIGHTS, "w")]
    if dtype != TensorProto.FLOAT:
        nodes, weights = [helper.make_node("Identity", ["x"], ["y"])], []
    graph = helper.make_graph(nodes, "g", inputs, [value("y", dtype, None)], weights)
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save(model, path, save_as_external_data=external, location="weights.bin", size_threshold=0)
    return path


def load(path: Path, folder: Path, **more: object) -> OnnxFile:
    folder.mkdir(exist_ok=True)
    return OnnxFileExporter().load(ExportRequest("m", str(path), str(folder), **more))  # type: ignore[arg-type]


def test_the_batch_stays_open_and_weights_are_no_inputs(tmp_path: Path) -> None:
    source = load(saved(tmp_path / "m.onnx", listed=True), tmp_path / "out")
    assert source.facts.inputs == (InputSpec("x", ("batch", 4)),)
    assert source.facts.outputs == ("y",)
    assert source.facts.weights == "file"
    x = np.ones((3, 4), np.float32)
    (y,) = source.run([x])
    np.testing.assert_array_equal(y, x @ WEIGHTS)
    assert source.counts() is None


@pytest.mark.parametrize("opset", [None, 18, 19])
def test_the_file_is_written_in_the_opset_asked_for(tmp_path: Path, opset: int | None) -> None:
    source = load(saved(tmp_path / "m.onnx"), tmp_path / "out", opset=opset)
    written = source.write()
    assert written.opset == (opset or 17)
    assert written.dynamic_batch
    model = tmp_path / "out" / MODEL_FILE
    assert onnx.load(model).opset_import[0].version == written.opset
    x = np.ones((2, 4), np.float32)
    (y,) = open_session(model, 1).run(None, {"x": x})
    np.testing.assert_array_equal(y, x @ WEIGHTS)


def test_an_opset_that_there_is_not(tmp_path: Path) -> None:
    source = load(saved(tmp_path / "m.onnx"), tmp_path / "out", opset=99)
    with pytest.raises(ExportError, match="17 cannot be converted to 99") as caught:
        source.write()
    assert "--opset" in caught.value.hint


def test_external_weights_come_along(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.onnx", external=True)
    assert (tmp_path / "weights.bin").is_file()
    load(path, tmp_path / "out").write()
    (tmp_path / "weights.bin").unlink()
    (kept,) = onnx.load(tmp_path / "out" / MODEL_FILE).graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(kept), WEIGHTS)


def test_large_weights_go_to_a_file_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxbench.exporters._passes.INSIDE_BYTES", WEIGHTS.nbytes - 1)
    source = load(saved(tmp_path / "m.onnx"), tmp_path / "out")
    source.write()
    assert (tmp_path / "out" / DATA_FILE).stat().st_size == WEIGHTS.nbytes
    x = np.ones((2, 4), np.float32)
    (y,) = open_session(tmp_path / "out" / MODEL_FILE).run(None, {"x": x})
    np.testing.assert_array_equal(y, x @ WEIGHTS)


@pytest.mark.parametrize(
    ("shape", "dtype", "says"),
    [
        (["N", 4], TensorProto.STRING, "no values can be made up for input 'x'"),
        (["N", "M"], TensorProto.FLOAT, "open dim beside the batch"),
        ([2, 0], TensorProto.FLOAT, "open dim beside the batch"),
    ],
)
def test_inputs_that_nobody_can_make_up(
    tmp_path: Path, shape: list[int | str], dtype: int, says: str
) -> None:
    path = saved(tmp_path / "m.onnx", shape, dtype)
    with pytest.raises(ExportError, match=says) as caught:
        load(path, tmp_path / "out")
    assert "models.yaml" in caught.value.hint


def test_inputs_that_the_catalogue_gives(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.onnx", ["N", "M"])
    inputs = (InputSpec("x", ("batch", 4)),)
    source = load(path, tmp_path / "out", inputs=inputs)
    assert source.facts.inputs == inputs
    assert source.run([np.zeros((2, 4), np.float32)])[0].shape == (2, 300)


def test_integers_are_made_up(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.onnx", ["N", 4], TensorProto.INT64)
    assert load(path, tmp_path / "out").facts.inputs[0].dtype == "int64"


@pytest.mark.parametrize("content", [b"<html>", b"\xff" * 100], ids=["text", "bits"])
def test_what_is_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ExportError) as caught:
        load(path, tmp_path / "out")
    assert caught.value.hint


def test_simplifying_keeps_what_the_file_computes(tmp_path: Path) -> None:
    pytest.importorskip("onnxslim")
    path = saved(tmp_path / MODEL_FILE)
    model = onnx.load(path)
    twice = [helper.make_node("Identity", ["x"], ["x1"]), *model.graph.node]
    twice[1].input[0] = "x1"
    del model.graph.node[:]
    model.graph.node.extend(twice)
    onnx.save(model, path)
    simplify(path)
    assert [node.op_type for node in onnx.load(path).graph.node] == ["MatMul", "Relu"]
    x = np.ones((2, 4), np.float32)
    (y,) = open_session(path).run(None, {"x": x})
    np.testing.assert_array_equal(y, x @ WEIGHTS)
