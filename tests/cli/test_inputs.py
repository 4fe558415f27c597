"""Real inputs: .npz files and ONNX test data sets, with right and wrong expected outputs."""

from __future__ import annotations

import math
import shlex
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.cli.command import SHORT, measure, onnxbench

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light/light_squeezenet.onnx"


def save_tensor(path: Path, array: np.ndarray) -> None:
    path.write_bytes(numpy_helper.from_array(array).SerializeToString())


def data_set(folder: Path, *, off_by: float = 0) -> Path:
    """Write a test data set for y = 2x + 1."""
    made = folder / "test_data_set_0"
    made.mkdir(parents=True)
    x = np.array([1.5, -3], np.float32)
    save_tensor(made / "input_0.pb", x)
    save_tensor(made / "output_0.pb", 2 * x + 1 + np.float32(off_by))
    return made


def test_npz(models: Path, place: Path) -> None:
    np.savez("x.npz", x=np.array([1.5, -3], np.float32))
    (given,) = measure(models / "linear.onnx", "--inputs", "x.npz").records
    (made,) = measure(models / "linear.onnx").records
    assert given["status"] == "ok"
    assert given["cell"]["inputs"] != made["cell"]["inputs"]
    assert given["inputs"]["tensors"][0]["kind"] == "file"
    again = onnxbench(*shlex.split(given["reproduce"])[1:], "--json")
    assert again.records[0]["cell_id"] == given["cell_id"]


def test_a_batch_other_than_the_file_holds_is_a_skip(relu: Path) -> None:
    np.savez("x.npz", x=np.zeros((3, 4), np.float32))
    ran = measure(relu, "--inputs", "x.npz", "-b", "3,8")
    assert [record["cell"]["batch"] for record in ran.records] == [3]
    assert "asked was 8" in ran.document["skipped"][0]["reason"]


def test_an_input_that_the_model_lacks_is_told(models: Path) -> None:
    np.savez("x.npz", X=np.zeros(2, np.float32))
    ran = onnxbench("run", models / "linear.onnx", "--inputs", "x.npz", "--json", *SHORT)
    assert ran.code == 2
    assert "x" in ran.document["error"]["message"]


@pytest.mark.parametrize("parent", [False, True])
def test_right_outputs(models: Path, place: Path, parent: bool) -> None:
    made = data_set(place / "data")
    folder = made.parent if parent else made
    (record,) = measure(models / "linear.onnx", "--inputs", folder).records
    assert record["status"] == "ok"
    assert record["parity"]["reference"] == "test-data"
    assert record["parity"]["passed"] is True
    assert record["parity"]["max_abs"] == 0


def test_wrong_outputs(models: Path, relu: Path, place: Path) -> None:
    made = data_set(place / "data", off_by=0.5)
    ran = measure(models / "linear.onnx", "--inputs", made, code=4)
    (record,) = ran.records
    assert record["status"] == "wrong-output"
    assert record["parity"]["max_abs"] == pytest.approx(0.5)
    assert record["latency"]["processes"] == len(record["latency"]["process_medians_ns"]) > 0
    assert record["verdict"]["grade"] is None, "timed, but no result"
    assert record["verdict"]["reasons"][0].startswith("wrong-output: ")
    assert "--no-parity" in record["error"]["hint"]
    (timed,) = measure(models / "linear.onnx", "--inputs", made, "--no-parity").records
    assert timed["status"] == "ok"
    again = onnxbench(*shlex.split(timed["reproduce"])[1:], "--json")
    assert again.code == 0


@pytest.mark.parametrize("broken", [b"", b"\xff" * 50, b"\x08\x02\x10\x01"])
def test_a_broken_data_set_is_told(models: Path, place: Path, broken: bytes) -> None:
    made = data_set(place / "data")
    (made / "input_0.pb").write_bytes(broken)
    ran = onnxbench("run", models / "linear.onnx", "--inputs", made, "--json", *SHORT)
    assert ran.code in (2, 4)
    if ran.code == 4:
        assert ran.document["skipped"][0]["hint"]


def test_a_folder_without_data_is_told(models: Path, place: Path) -> None:
    ran = onnxbench("run", models / "linear.onnx", "--inputs", place, "--json", *SHORT)
    assert ran.code == 2
    assert "test_data_set" in ran.document["error"]["message"]


def test_a_network_of_the_zoo_gives_its_shipped_output(place: Path) -> None:
    """The light networks ship with their output for an input of 0, 1, 2 … over its size."""
    made = place / "test_data_set_0"
    made.mkdir()
    shape = (1, 3, 224, 224)
    ramp = np.arange(math.prod(shape)).reshape(shape) / math.prod(shape)
    save_tensor(made / "input_0.pb", ramp.astype(np.float32))
    shutil.copy(LIGHT.with_name(f"{LIGHT.stem}_output_0.pb"), made / "output_0.pb")
    (record,) = measure(LIGHT, "-t", "1", "--inputs", made).records
    assert record["status"] == "ok"
    assert record["parity"]["reference"] == "test-data"
    assert record["parity"]["passed"] is True
    assert record["latency"]["median_ns"] > 1e5
