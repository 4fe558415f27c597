"""The MNN adapter on real models: its converter, its sessions, our workers in its environment."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxbench.runtimes.mnn import MNN
from onnxbench.worker.outputs import outputs_sha256
from tests.runtimes import nets
from tests.runtimes.models import FLOAT, INT64, identity, linear, save
from tests.runtimes.running import facts_of, good, installed_environment, refused, right, target_in

if TYPE_CHECKING:
    from onnxbench.protocols import Target

ADAPTER = "onnxbench.runtimes.mnn:MNN"
X = {"x": (1, 3, 8, 6)}
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@pytest.fixture
def mnn(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Target:
    """Workers in the environment of MNN."""
    return target_in(installed_environment(monkeypatch, "mnn"), cache)


# ------------------------------------------------------------------------------ right answers


@pytest.mark.parametrize("batch", [1, 3])
def test_all_outputs_are_right_in_shape_and_value(
    mnn: Target, tmp_path: Path, folder: str, batch: int
) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    found = right(
        nets.checked(
            mnn, ADAPTER, model, {"x": (batch, 3, 8, 6)}, converted=folder, provider=MNN.provider
        )
    )  # fmt: skip
    shapes = {output["name"]: output["shape"] for output in found["parity"]["outputs"]}
    assert shapes == {"y": [batch, 4, 8, 6], "mean": [batch, 4]}
    (placed,) = found["placement"]
    assert (placed["provider"], placed["node_share"]) == ("MNN CPU", 1.0)
    assert placed["operators"]["Convolution"] == 1
    assert placed["nodes"] == sum(placed["operators"].values())


def test_several_inputs_and_outputs_keep_their_names(
    mnn: Target, tmp_path: Path, folder: str
) -> None:
    model = nets.two_inputs(tmp_path / "two.onnx")
    right(nets.checked(mnn, ADAPTER, model, {"a": (2, 3, 8, 8), "b": (2, 5)}, converted=folder))


def test_inputs_cannot_stay_where_it_computes(mnn: Target, tmp_path: Path, folder: str) -> None:
    """A run overwrites them, so that the next one would compute with something else."""
    model = nets.conv(tmp_path / "conv.onnx")
    found = facts_of(mnn, ADAPTER, model, X, boundary="device", converted=folder)
    assert "overwrites its inputs" in refused(found, "load")
    assert found.error is not None
    assert found.error["hint"] == "--boundary host"


def test_shapes_that_the_file_leaves_open(mnn: Target, tmp_path: Path, folder: str) -> None:
    model = linear(tmp_path / "linear.onnx")
    right(nets.checked(mnn, ADAPTER, model, {"x": (5, 3)}, converted=folder))


def test_whole_numbers_go_in_and_out(mnn: Target, tmp_path: Path, folder: str) -> None:
    """MNN computes in int32; the output is int64 again, as the file has it."""
    node = helper.make_node("Add", ["x", "ten"], ["y"])
    ten = np.array([10], np.int64)
    model = save(tmp_path / "add.onnx", [node], [("x", INT64, [3])], [("y", INT64, [3])],
                 [("ten", ten)])  # fmt: skip
    found = good(facts_of(mnn, ADAPTER, model, {"x": (3,)}, converted=folder))
    # Inputs in [0, 1): the only whole number there is 0.
    assert found["outputs_sha256"] == outputs_sha256({"y": np.full(3, 10, np.int64)})


def test_a_published_network_is_right(mnn: Target, tmp_path: Path, folder: str) -> None:
    model = onnx.load(LIGHT / "light_densenet121.onnx")
    onnx.save(model, path := tmp_path / "densenet.onnx")
    right(nets.checked(mnn, ADAPTER, path, {"data_0": (1, 3, 224, 224)}, converted=folder))


def test_weights_in_a_file_of_their_own_are_read(mnn: Target, tmp_path: Path, folder: str) -> None:
    model = onnx.load(nets.conv(tmp_path / "conv.onnx"))
    onnx.save(model, path := tmp_path / "out.onnx", save_as_external_data=True,
              location="out.onnx.data", size_threshold=100)  # fmt: skip
    assert (tmp_path / "out.onnx.data").stat().st_size
    right(nets.checked(mnn, ADAPTER, path, X, converted=folder))


# ------------------------------------------------------------------------------ precision


@pytest.mark.parametrize(
    ("precision", "asked", "told"),
    [
        ("model", {}, {"precision": "high"}),
        ("native", {}, {}),
        ("native", {"precision": "low"}, {"precision": "low"}),
    ],
)
def test_precision_is_what_the_outputs_show(
    mnn: Target, tmp_path: Path, folder: str, precision: str, asked: Any, told: Any
) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    found = right(
        nets.checked(
            mnn, ADAPTER, model, X, precision=precision, options=asked, converted=folder
        )
    )  # fmt: skip
    assert found["facts"]["options_told"] == told
    if (error := found["parity"]["max_rel"]) is not None and error < 1e-6:
        assert found["precision_effective"] == "float32"
    else:
        assert found["precision_effective"] == "float16"


# ------------------------------------------------------------------------------ what is refused


def test_a_converter_that_aborts_takes_down_its_child_alone(
    mnn: Target, tmp_path: Path, folder: str
) -> None:
    """An exception of C++ that nobody catches: a Gemm between quantized values."""
    weights = [
        ("wq", np.ones((4, 3), np.int8)),
        ("s", np.array(0.02, np.float32)),
        ("z", np.array(0, np.int8)),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["wq", "s", "z"], ["w"]),
        helper.make_node("Gemm", ["xd", "w"], ["y"], transB=1),
    ]
    model = save(tmp_path / "gemm.onnx", nodes, [("x", FLOAT, [1, 3])], [("y", FLOAT, [1, 4])],
                 weights)  # fmt: skip
    found = facts_of(mnn, ADAPTER, model, {"x": (1, 3)}, converted=folder)
    assert (found.status, found.signal) == ("crashed", "SIGABRT")
    assert found.error is not None
    assert found.error["phase"] == "convert"
    assert "terminate called" in found.log, "what it said is kept"
    assert not Path(folder).exists()


def test_a_model_that_cannot_be_planned_is_refused(
    mnn: Target, tmp_path: Path, folder: str
) -> None:
    """The converter takes INT8 between Quantize- and DequantizeLinear; the session does not."""
    model = nets.quantized(tmp_path / "int8.onnx")
    found = facts_of(mnn, ADAPTER, model, {"x": (1, 3, 8, 8)}, converted=folder)
    assert "cannot plan the model at these shapes" in refused(found, "load")


def test_the_runtime_says_itself_why_it_cannot_load(
    mnn: Target, tmp_path: Path, folder: str
) -> None:
    node = helper.make_node("NonZero", ["x"], ["y"])
    model = save(tmp_path / "ragged.onnx", [node], [("x", FLOAT, [1, 5])],
                 [("y", INT64, [2, "K"])])  # fmt: skip
    said = refused(facts_of(mnn, ADAPTER, model, {"x": (1, 5)}, converted=folder), "load")
    assert "shape compute need input content" in said


def test_a_converter_that_fails_says_why(mnn: Target, tmp_path: Path, folder: str) -> None:
    node = helper.make_node("Nowhere", ["x"], ["y"], domain="example")
    model = save(tmp_path / "custom.onnx", [node], [("x", FLOAT, [1, 4])], [("y", FLOAT, [1, 4])])
    said = refused(facts_of(mnn, ADAPTER, model, {"x": (1, 4)}, converted=folder), "convert")
    assert "Nowhere" in said


def test_a_wrong_conversion_that_loads_fails_the_gate(
    mnn: Target, tmp_path: Path, folder: str
) -> None:
    model = nets.old_softmax(tmp_path / "softmax.onnx")
    found = nets.checked(mnn, ADAPTER, model, {"x": (1, 5, 4, 4)}, converted=folder)
    assert found.status == "wrong-output"


def test_types_that_it_lacks_are_refused(mnn: Target, tmp_path: Path, folder: str) -> None:
    model = identity(tmp_path / "bfloat16.onnx", TensorProto.BFLOAT16)
    found = facts_of(mnn, ADAPTER, model, {"x": (2, 3)}, converted=folder)
    assert found.status == "unsupported"


@pytest.mark.parametrize(
    ("asked", "said", "hint"),
    [
        ({"precison": "low"}, "no option 'precison'", "--set precision="),
        ({"precision": "float16"}, "'float16' is not known", "low_bf16"),
        ({"threads": "2"}, "no option 'threads'", "one of: precision, memory, power"),
    ],
)
def test_options_are_known_or_refused(
    mnn: Target, tmp_path: Path, folder: str, asked: dict[str, str], said: str, hint: str
) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    found = facts_of(mnn, ADAPTER, model, X, options=asked, converted=folder)
    assert said in refused(found, "convert")
    assert found.error is not None
    assert hint in found.error["hint"]


# ------------------------------------------------------------------------------ the rest


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_that_were_told(
    mnn: Target, tmp_path: Path, folder: str, threads: int
) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    facts = good(facts_of(mnn, ADAPTER, model, X, threads=threads, converted=folder))["facts"]
    assert facts["options"]["numThread"] == facts["threads_told"] == threads
    assert facts["threads_found"] == threads
    assert facts["threads_control"] == "exact"
    assert bool(facts["spinning"]) is (threads > 1)


def test_the_converted_file_is_used_again(mnn: Target, tmp_path: Path, folder: str) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    first, second = (
        good(facts_of(mnn, ADAPTER, model, X, mode=mode, converted=folder))["conversion"]
        for mode in ("convert", "convert")
    )
    assert second["cached"] is True
    assert first["files"] == second["files"]
    assert set(first["files"]) == {"model.mnn"}
    assert first["facts"]["converter"].startswith("MNN ")
    assert {path.name for path in tmp_path.iterdir()} == {"conv.onnx", "converted"}


def test_operators_are_timed(mnn: Target, tmp_path: Path, folder: str) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    rows = good(facts_of(mnn, ADAPTER, model, X, mode="op-times", converted=folder))["op_times"]
    assert {"Convolution", "Reduction"} <= {row["op"] for row in rows}
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert all(row["ns"] > 0 and row["provider"] == "MNN CPU" for row in rows)


def test_a_timed_child_gives_the_outputs_of_the_facts_child(
    mnn: Target, tmp_path: Path, folder: str
) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    facts, timed = (
        good(facts_of(mnn, ADAPTER, model, X, mode=mode, converted=folder))
        for mode in ("facts", "timed")
    )
    assert timed["outputs_sha256"] == timed["outputs_sha256_after"] == facts["outputs_sha256"]
    assert timed["samples"] > 0


TRACED = """
import sys
seen = set()
sys.addaudithook(lambda event, _: seen.add(event))
import MNN, _tools
_tools.mnnconvert(["mnnconvert", "--framework", "ONNX", "--modelFile", sys.argv[1],
                   "--MNNModel", sys.argv[2], "--bizCode", "onnxbench"])
wrong = [e for e in seen if e.startswith(("socket.", "subprocess.", "os.system", "os.exec"))]
modules = [m for m in sys.modules if m.startswith(("aliyun", "MNN.tools"))]
print(wrong + modules)
"""


def test_neither_import_nor_conversion_phones_home(
    mnn: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MNN's own scripts install an SDK and report each use; what we call does not."""
    python = installed_environment(monkeypatch, "mnn").interpreter
    model = nets.conv(tmp_path / "conv.onnx")
    told = subprocess.run(
        [python, "-c", TRACED, model, tmp_path / "model.mnn"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    assert told.splitlines()[-1] == "[]"
    assert (tmp_path / "model.mnn").is_file()


def test_the_probe_names_what_is_missing() -> None:
    found = MNN.probe()
    assert found.available or (found.hint, found.possible) == ("onnxbench install mnn", True)
