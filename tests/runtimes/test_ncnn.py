"""The ncnn adapter on real models: pnnx, ncnn, and our workers in an environment of their own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxbench.errors import Unsupported
from onnxbench.runtimes import _ncnn_convert, _ncnn_plain
from onnxbench.runtimes.ncnn import NCNN
from onnxbench.worker.outputs import outputs_sha256
from tests.runtimes import nets
from tests.runtimes.models import BOOL, FLOAT, INT64, chain, endless, save
from tests.runtimes.running import facts_of, good, installed_environment, refused, right, target_in

if TYPE_CHECKING:
    from onnxbench.protocols import Target

ADAPTER = "onnxbench.runtimes.ncnn:NCNN"
X = {"x": (1, 3, 8, 6)}
BOUNDARIES = pytest.mark.parametrize("boundary", ["host", "device"])
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@pytest.fixture
def ncnn(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Target:
    """Workers in the environment of ncnn."""
    return target_in(installed_environment(monkeypatch, "ncnn"), cache)


# ------------------------------------------------------------------------------ right answers


@BOUNDARIES
@pytest.mark.parametrize("batch", [1, 3])
def test_all_outputs_are_right_in_shape_and_value(
    ncnn: Target, tmp_path: Path, folder: str, boundary: str, batch: int
) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    found = right(
        nets.checked(
            ncnn, ADAPTER, model, {"x": (batch, 3, 8, 6)}, boundary=boundary, converted=folder,
            provider=NCNN.provider,
        )
    )  # fmt: skip
    shapes = {output["name"]: output["shape"] for output in found["parity"]["outputs"]}
    assert shapes == {"y": [batch, 4, 8, 6], "mean": [batch, 4]}
    assert found["precision_effective"] == "float32"
    assert found["placement"] == [
        {"provider": "ncnn CPU", "nodes": 3, "node_share": 1.0, "time_share": 1.0,
         "operators": {"Convolution": 1, "Split": 1, "Reduction": 1}}
    ]  # fmt: skip


@pytest.mark.parametrize("batch", [1, 2])
def test_several_inputs_and_outputs_keep_their_names(
    ncnn: Target, tmp_path: Path, folder: str, batch: int
) -> None:
    model = nets.two_inputs(tmp_path / "two.onnx")
    shapes = {"a": (batch, 3, 8, 8), "b": (batch, 5)}
    right(nets.checked(ncnn, ADAPTER, model, shapes, converted=folder))


@BOUNDARIES
def test_a_layer_that_works_in_place_leaves_the_input_as_it_is(
    ncnn: Target, tmp_path: Path, folder: str, boundary: str
) -> None:
    model = chain(tmp_path / "chain.onnx", "Sigmoid", "Exp", "Sigmoid")
    right(nets.checked(ncnn, ADAPTER, model, {"x": (4,)}, boundary=boundary, converted=folder))


def test_whole_numbers_go_in(ncnn: Target, tmp_path: Path, folder: str) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "w"], ["y"]),
    ]
    random = np.random.default_rng(1)
    weights = [("table", random.random((50, 16), np.float32)), ("w", np.eye(16, 4, dtype="f4"))]
    model = save(tmp_path / "embed.onnx", nodes, [("ids", INT64, [1, 7])],
                 [("y", FLOAT, [1, 7, 4])], weights)  # fmt: skip
    # The inputs are all 0: [0, 1) holds no other whole number, so no other answer is possible.
    found = good(facts_of(ncnn, ADAPTER, model, {"ids": (1, 7)}, converted=folder))
    row = np.broadcast_to(weights[0][1][0] @ weights[1][1], (1, 7, 4))
    assert found["outputs_sha256"] == outputs_sha256({"y": row})


def test_a_published_network_is_right(ncnn: Target, tmp_path: Path, folder: str) -> None:
    """Of IR version 3: pnnx takes weights that are listed before the input for inputs."""
    model = onnx.load(LIGHT / "light_densenet121.onnx")
    assert model.graph.input[0].name in {tensor.name for tensor in model.graph.initializer}
    onnx.save(model, path := tmp_path / "densenet.onnx")
    right(nets.checked(ncnn, ADAPTER, path, {"data_0": (1, 3, 224, 224)}, converted=folder))


def test_weights_in_a_file_of_their_own_are_read(ncnn: Target, tmp_path: Path, folder: str) -> None:
    """pnnx aborts at them; our copy for it has them inside."""
    model = onnx.load(nets.conv(tmp_path / "conv.onnx"))
    onnx.save(model, path := tmp_path / "out.onnx", save_as_external_data=True,
              location="out.onnx.data", size_threshold=100)  # fmt: skip
    assert (tmp_path / "out.onnx.data").stat().st_size
    right(nets.checked(ncnn, ADAPTER, path, X, converted=folder))


# ------------------------------------------------------------------------------ precision


def test_the_default_keeps_less_and_says_so(ncnn: Target, tmp_path: Path, folder: str) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    found = right(nets.checked(ncnn, ADAPTER, model, X, precision="native", converted=folder))
    assert found["precision_effective"] == "float32 (float16 storage)"
    assert (found["parity"]["max_rel"] or 0) > 1e-5, "and it shows in the answer"
    assert found["facts"]["options"]["use_fp16_storage"] is True
    exact = good(facts_of(ncnn, ADAPTER, model, X, converted=f"{folder}-model"))
    assert exact["facts"]["options"]["use_fp16_storage"] is False
    assert exact["outputs_sha256"] != found["outputs_sha256"]


def test_bfloat16_that_was_asked_for_is_named(ncnn: Target, tmp_path: Path, folder: str) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    asked = {"use_bf16_storage": "1"}
    found = good(
        facts_of(ncnn, ADAPTER, model, X, precision="native", options=asked, converted=folder)
    )
    assert found["precision_effective"] == "float32 (bfloat16 storage)"


def test_an_option_that_changes_no_bit_narrows_nothing(
    ncnn: Target, tmp_path: Path, folder: str
) -> None:
    """The same options as ncnn's default, on a network without anything to keep narrower."""
    model = chain(tmp_path / "chain.onnx", "Relu", "Neg")
    found = good(facts_of(ncnn, ADAPTER, model, {"x": (4,)}, precision="native", converted=folder))
    assert found["facts"]["options"]["use_fp16_storage"] is True
    assert found["precision_effective"] == "float32"


# ------------------------------------------------------------------------------ what is refused


def test_a_converter_that_lies_is_caught(ncnn: Target, tmp_path: Path, folder: str) -> None:
    """pnnx ends with exit code 0 and layers that exist nowhere."""
    model = nets.quantized(tmp_path / "int8.onnx")
    said = refused(facts_of(ncnn, ADAPTER, model, {"x": (1, 3, 8, 8)}, converted=folder), "convert")
    assert said.startswith("pnnx wrote layers that ncnn does not have: ")
    assert "QuantizeLinear ×2" in said
    assert not Path(folder).exists(), "nothing is kept of it"


def test_a_wrong_conversion_that_loads_fails_the_gate(
    ncnn: Target, tmp_path: Path, folder: str
) -> None:
    model = nets.old_softmax(tmp_path / "softmax.onnx")
    found = nets.checked(ncnn, ADAPTER, model, {"x": (1, 5, 4, 4)}, converted=folder)
    assert found.status == "wrong-output"


def test_a_converter_that_fails_says_why(ncnn: Target, tmp_path: Path, folder: str) -> None:
    """pnnx ends with another exit code at an operator of a domain that it does not know."""
    node = helper.make_node("Nowhere", ["x"], ["y"], domain="example")
    model = save(tmp_path / "custom.onnx", [node], [("x", FLOAT, [1, 4])], [("y", FLOAT, [1, 4])])
    said = refused(facts_of(ncnn, ADAPTER, model, {"x": (1, 4)}, converted=folder), "convert")
    assert "ended by" in said
    assert "Nowhere" in said


@pytest.mark.parametrize("damage", [b"no protobuf at all", b"\x3a\x7f\x0a", b"\x0b\x00"])
def test_what_is_no_model_is_refused(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(damage)
    with pytest.raises(Unsupported, match="the file is not ONNX"):
        _ncnn_plain.write_plain(str(tmp_path / "model.onnx"), tmp_path / "plain.onnx")


def test_our_copy_of_a_model_is_the_model(tmp_path: Path) -> None:
    """Nothing but the place of the weights is changed, in subgraphs too."""
    model = onnx.load(endless(tmp_path / "loop.onnx"))
    model.graph.input.append(helper.make_tensor_value_info("true", BOOL, []))
    onnx.save(model, given := tmp_path / "listed.onnx")
    _ncnn_plain.write_plain(str(given), tmp_path / "plain.onnx")
    plain = onnx.load(tmp_path / "plain.onnx")
    assert [value.name for value in plain.graph.input] == ["x"]
    del model.graph.input[1]
    assert plain == model


def test_a_program_that_crashes_is_named_by_its_signal(tmp_path: Path) -> None:
    """pnnx does so at some FP16 networks, too large for a test."""
    crash = "import os, signal; print('pass_level1', flush=True); os.kill(os.getpid(), 11)"
    with pytest.raises(Unsupported, match="pnnx ended by SIGSEGV; the last it said: pass_level1"):
        _ncnn_convert._run([sys.executable, "-c", crash], str(tmp_path))


@pytest.mark.parametrize(
    ("asked", "said", "hint"),
    [
        ({"use_winograd": "0"}, "no option 'use_winograd'", "use_winograd_convolution"),
        ({"num_threads": "3"}, "num_threads cannot be set", "--threads"),
        ({"use_vulkan_compute": "1"}, "use_vulkan_compute cannot be set", "Vulkan"),
        ({"lightmode": "maybe"}, "neither true nor false", "lightmode=1"),
        ({"openmp_blocktime": "-1"}, "not a whole number", "openmp_blocktime=1"),
        ({"openmp_blocktime": "5"}, "has no openmp_blocktime", "OMP_WAIT_POLICY"),
    ],
)
def test_options_are_known_or_refused(
    ncnn: Target, tmp_path: Path, folder: str, asked: dict[str, str], said: str, hint: str
) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    found = facts_of(ncnn, ADAPTER, model, X, options=asked, converted=folder)
    assert said in refused(found, "convert")
    assert found.error is not None
    assert hint in found.error["hint"]


def test_an_option_takes_effect(ncnn: Target, tmp_path: Path, folder: str) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    asked = {"use_packing_layout": "no"}
    found = good(facts_of(ncnn, ADAPTER, model, X, options=asked, converted=folder))
    assert found["facts"]["options"]["use_packing_layout"] is False


# ------------------------------------------------------------------------------ the rest


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_that_were_told(
    ncnn: Target, tmp_path: Path, folder: str, threads: int
) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    facts = good(facts_of(ncnn, ADAPTER, model, X, threads=threads, converted=folder))["facts"]
    assert facts["options"]["num_threads"] == facts["threads_told"] == threads
    assert facts["threads_found"] == threads
    assert facts["threads_control"] == "exact"
    assert bool(facts["spinning"]) is (threads > 1)


def test_converted_files_are_used_again(ncnn: Target, tmp_path: Path, folder: str) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    found = [
        good(facts_of(ncnn, ADAPTER, model, X, mode=mode, converted=folder))
        for mode in ("convert", "convert", "facts")
    ]
    first, second = (measured["conversion"] for measured in found[:2])
    assert second["cached"] is True
    assert first["files"] == second["files"]
    assert set(first["files"]) == {"call.json", "model.ncnn.bin", "model.ncnn.param"}
    assert first["facts"]["converter"].startswith("pnnx ")
    assert (first["facts"]["layers"], first["facts"]["weights"]) == (4, "float32")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"conv.onnx", "converted"}, "pnnx drops a dozen files beside its input"


def test_layers_are_timed(ncnn: Target, tmp_path: Path, folder: str) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    rows = good(facts_of(ncnn, ADAPTER, model, X, mode="op-times", converted=folder))["op_times"]
    assert {row["op"] for row in rows} == {"Convolution", "Split", "Reduction"}
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert all(row["ns"] > 0 and row["provider"] == "ncnn CPU" for row in rows)


@BOUNDARIES
def test_a_timed_child_gives_the_outputs_of_the_facts_child(
    ncnn: Target, tmp_path: Path, folder: str, boundary: str
) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    asked: dict[str, Any] = {"boundary": boundary, "converted": folder}
    facts, timed = (
        good(facts_of(ncnn, ADAPTER, model, X, mode=mode, **asked)) for mode in ("facts", "timed")
    )
    assert timed["outputs_sha256"] == timed["outputs_sha256_after"] == facts["outputs_sha256"]
    assert timed["samples"] > 0


def test_the_probe_names_what_is_missing() -> None:
    found = NCNN.probe()
    assert found.available or (found.hint, found.possible) == ("onnxbench install ncnn", True)
