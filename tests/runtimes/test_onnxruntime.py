"""ONNX Runtime's adapter on real models, in real workers."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxbench.runtimes import onnxruntime as adapter
from onnxbench.types import ExpectedOutput, InputRecipe, Limits
from onnxbench.worker.inputs import make_inputs
from tests.runtimes import models
from tests.targets.child import SHORT, job, run

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.protocols import Target
    from onnxbench.types import ChildResult, JsonObject, Measurement

ORT = f"{adapter.__name__}:CPU"
BOUNDARIES = pytest.mark.parametrize("boundary", ["host", "device"])


def given(
    dtype: str = "float", shape: tuple[int, ...] = (2, 3), name: str = "x", **changes: Any
) -> InputRecipe:
    kind = {"bool": "bernoulli", "string": "digits"}.get(dtype, "uniform")
    fields: dict[str, Any] = {"name": name, "dtype": dtype, "shape": shape, "kind": kind}
    return InputRecipe(**fields | {"low": 0, "high": 2} | changes)


def measure(target: Target, model: Path, *inputs: InputRecipe, **changes: Any) -> ChildResult:
    return run(target, job(changes.pop("adapter", ORT), str(model), inputs=inputs, **changes))


def good(target: Target, model: Path, *inputs: InputRecipe, **changes: Any) -> Measurement:
    result = measure(target, model, *inputs, **changes)
    assert (result.status, result.error) == ("ok", None), result
    assert result.measurement is not None
    return result.measurement


def refused(target: Target, model: Path, *inputs: InputRecipe, **changes: Any) -> dict[str, Any]:
    """Run a child that the adapter turns down; return its error with its status."""
    result = measure(target, model, *inputs, **changes)
    assert result.error is not None, result
    assert result.exit_code == 0, "said by the child, no crash"
    return {"status": result.status, **result.error}


def observed(target: Target, folder: Path) -> JsonObject:
    """Return the facts of a timed child that looks at its own process."""
    model, observing = models.linear(folder / "linear.onnx"), "observing_adapter:ObservingAdapter"
    return good(target, model, given(), mode="timed", adapter=observing)["facts"]


# ------------------------------------------------------------------------------ outputs


@BOUNDARIES
@pytest.mark.parametrize("batch", [1, 4])
def test_both_boundaries_compute_what_numpy_does(
    target: Target, tmp_path: Path, boundary: str, batch: int
) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    recipe = given(shape=(batch, 3), low=-2, high=2)
    x = make_inputs([recipe])[0].array
    np.savez(tmp_path / "y.npz", y=np.maximum(x @ models.WEIGHT + models.BIAS, 0))
    expected = (ExpectedOutput("y", str(tmp_path / "y.npz")),)
    found = good(target, model, recipe, boundary=boundary, expected=expected)
    assert found["parity"]["passed"] is True
    assert found["parity"]["reference"] == "test-data"
    assert found["parity"]["outputs"][0]["shape"] == [batch, 2]
    timed = good(target, model, recipe, boundary=boundary, mode="timed")
    assert timed["outputs_sha256"] == timed["outputs_sha256_after"] == found["outputs_sha256"]


def test_both_boundaries_give_the_same_bytes(target: Target, tmp_path: Path) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    found = [
        good(target, model, given(), boundary=boundary, mode=mode)["outputs_sha256"]
        for boundary in ("host", "device")
        for mode in ("facts", "timed")
    ]
    assert len(set(found)) == 1


def test_a_wrong_answer_is_no_good_child(target: Target, tmp_path: Path) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    np.savez(tmp_path / "y.npz", y=np.full((2, 2), 7.0))
    expected = (ExpectedOutput("y", str(tmp_path / "y.npz")),)
    error = refused(target, model, given(), expected=expected)
    assert error["status"] == "wrong-output"
    assert "output 'y': 4 of 4 elements differ" in error["message"]


def test_outputs_that_differ_from_run_to_run_are_noticed(target: Target, tmp_path: Path) -> None:
    model = models.chain(tmp_path / "random.onnx", "RandomNormalLike")
    parity = good(target, model, given(shape=(4,)))["parity"]
    assert (parity["deterministic"], parity["passed"]) == (False, True)


def test_bound_outputs_stay_where_they_are(target: Target, tmp_path: Path) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    facts = good(
        target, model, given(), boundary="device", adapter="observing_adapter:ObservingAdapter"
    )["facts"]
    first, *others = facts["after"]["pointers"]
    assert others == [first, first], "no output is allocated in a timed call"


@BOUNDARIES
@pytest.mark.parametrize(
    "dtype",
    ["float", "double", "float16", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
     "uint64", "bool", "float8e4m3fn"],
)  # fmt: skip
def test_types_go_in_and_out(target: Target, tmp_path: Path, boundary: str, dtype: str) -> None:
    number = TensorProto.DataType.Value(dtype.upper())
    model = models.identity(tmp_path / "identity.onnx", number, (2, 3))
    recipe = given(dtype)
    found = good(target, model, recipe, boundary=boundary)
    x = make_inputs([recipe])[0].array
    assert found["parity"]["outputs"] == [
        {"name": "y", "dtype": str(x.dtype), "shape": [2, 3], "nonfinite": 0}
    ]


@BOUNDARIES
@pytest.mark.parametrize("dtype", ["bfloat16", "float8e5m2"])
def test_types_that_numpy_lacks_go_in(
    target: Target, tmp_path: Path, boundary: str, dtype: str
) -> None:
    number = TensorProto.DataType.Value(dtype.upper())
    node = helper.make_node("Cast", ["x"], ["y"], to=models.FLOAT)
    model = models.save(
        tmp_path / "cast.onnx", [node], [("x", number, [2, 3])], [("y", models.FLOAT, [2, 3])],
        opset=19,
    )  # fmt: skip
    recipe = given(dtype, low=0, high=1)
    bits = make_inputs([recipe])[0].array
    values = bits.view(helper.tensor_dtype_to_np_dtype(number)).astype(np.float32)
    np.savez(tmp_path / "y.npz", y=values)
    expected = (ExpectedOutput("y", str(tmp_path / "y.npz")),)
    assert good(target, model, recipe, boundary=boundary, expected=expected)["parity"]["passed"]


@BOUNDARIES
def test_outputs_that_no_array_holds_are_unsupported(
    target: Target, tmp_path: Path, boundary: str
) -> None:
    model = models.identity(tmp_path / "bf16.onnx", TensorProto.BFLOAT16)
    error = refused(target, model, given("bfloat16"), boundary=boundary)
    assert (error["status"], error["kind"]) == ("unsupported", "unsupported")
    assert "bfloat16" in error["message"]


def test_text_and_sequences_are_a_matter_of_the_host(target: Target, tmp_path: Path) -> None:
    text = models.identity(tmp_path / "text.onnx", TensorProto.STRING)
    node = helper.make_node("SequenceConstruct", ["x", "x"], ["y"])
    of_two = helper.make_tensor_sequence_value_info("y", models.FLOAT, [2, 3])
    sequence = models.save(tmp_path / "seq.onnx", [node], [("x", models.FLOAT, [2, 3])], [of_two])
    for model, recipe in ((text, given("string")), (sequence, given())):
        assert good(target, model, recipe, boundary="host")["parity"]["deterministic"]
        error = refused(target, model, recipe, boundary="device")
        assert error["status"] == "unsupported"
        assert "--boundary host" in error["hint"]


@BOUNDARIES
def test_scalars_empty_arrays_and_outputs_of_unknown_size(
    target: Target, tmp_path: Path, boundary: str
) -> None:
    scalar = models.identity(tmp_path / "scalar.onnx", models.FLOAT, ())
    assert (
        good(target, scalar, given(shape=()), boundary=boundary)["parity"]["outputs"][0]["shape"]
        == []
    )
    empty = models.linear(tmp_path / "linear.onnx")
    assert good(target, empty, given(shape=(0, 3)), boundary=boundary)["parity"]["outputs"][0][
        "shape"
    ] == [0, 2]
    node = helper.make_node("NonZero", ["x"], ["y"])
    ragged = models.save(
        tmp_path / "ragged.onnx", [node], [("x", models.INT64, ["N"])],
        [("y", models.INT64, [1, "K"])],
    )  # fmt: skip
    shape = good(target, ragged, given("int64", (50,)), boundary=boundary)["parity"]["outputs"][0]
    assert 10 < shape["shape"][1] < 40


# ------------------------------------------------------------------------------ refusals


@BOUNDARIES
@pytest.mark.parametrize(
    ("recipe", "said", "flag"),
    [
        (given(shape=(2, 3, 1)), "Invalid rank for input: x Got: 3 Expected: 2", "--shape x:"),
        (given(shape=(2, 4)), "invalid dimensions for input: x", "--shape x:"),
        (given("double"), "'x' takes tensor(float), given was tensor(double)", "--inputs"),
        (given(name="other"), "'x' takes tensor(float), given was nothing", "--inputs"),
    ],
)
def test_inputs_that_do_not_fit_are_named_with_a_flag(
    target: Target, tmp_path: Path, boundary: str, recipe: InputRecipe, said: str, flag: str
) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    error = refused(target, model, recipe, boundary=boundary)
    assert (error["status"], error["kind"]) == ("unsupported", "input-refused")
    assert said in error["message"]
    assert flag in error["hint"]


def test_an_input_too_many_is_named(target: Target, tmp_path: Path) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    error = refused(target, model, given(), given(name="more"))
    assert "'more' takes nothing" in error["message"]


@BOUNDARIES
def test_an_index_out_of_range_blames_the_inputs(
    target: Target, tmp_path: Path, boundary: str
) -> None:
    node = helper.make_node("Gather", ["w", "i"], ["y"])
    model = models.save(
        tmp_path / "gather.onnx", [node], [("i", models.INT64, [2])], [("y", models.FLOAT, [2, 3])],
        [("w", np.zeros((4, 3), np.float32))],
    )  # fmt: skip
    error = refused(target, model, given("int64", (2,), "i", low=90, high=99), boundary=boundary)
    assert error["kind"] == "input-refused"
    assert "out of data bounds" in error["message"]


@BOUNDARIES
@pytest.mark.parametrize("mode", ["facts", "timed"])
def test_an_endless_loop_is_stopped_softly(
    target: Target, tmp_path: Path, boundary: str, mode: str
) -> None:
    model = models.endless(tmp_path / "endless.onnx")
    error = refused(target, model, given(shape=()), boundary=boundary, mode=mode, limits=SHORT)
    assert (error["status"], error["phase"]) == ("timeout-soft", "first_run")


@BOUNDARIES
def test_an_output_larger_than_the_limit_is_out_of_memory(
    target: Target, tmp_path: Path, boundary: str
) -> None:
    node = helper.make_node("ConstantOfShape", ["n"], ["y"])
    model = models.save(
        tmp_path / "big.onnx", [node], [("n", models.INT64, [1])], [("y", models.FLOAT, ["K"])]
    )
    recipe = given("int64", (1,), "n", kind="constant", low=1 << 30)  # 4 GiB
    limits = Limits(memory_bytes=1 << 30)
    error = refused(target, model, recipe, boundary=boundary, limits=limits)
    assert (error["status"], error["kind"]) == ("oom", "out-of-memory")


def test_models_it_cannot_load_are_unsupported(target: Target, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    models.chain(tmp_path / "unknown.onnx", "Relu", "NoSuchOperator")
    for name, said in (("text", "Protobuf"), ("unknown", "NoSuchOperator"), ("none", "exist")):
        error = refused(target, tmp_path / f"{name}.onnx")
        assert (error["status"], error["phase"]) == ("unsupported", "load")
        assert said in error["message"]


# ------------------------------------------------------------------------------ options


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, {"graph_optimization_level": "ORT_ENABLE_ALL", "inter_op_num_threads": 1}),
        ({"graph_optimization_level": "basic"}, {"graph_optimization_level": "ORT_ENABLE_BASIC"}),
        (
            {"graph_optimization_level": "ORT_DISABLE_ALL"},
            {"graph_optimization_level": "ORT_DISABLE_ALL"},
        ),
        (
            {"enable_mem_pattern": "off", "enable_cpu_mem_arena": "FALSE"},
            {"enable_mem_pattern": False, "enable_cpu_mem_arena": False},
        ),
        (
            {"execution_mode": "parallel", "inter_op_num_threads": "2"},
            {"execution_mode": "ORT_PARALLEL", "inter_op_num_threads": 2},
        ),
        (
            {"session.intra_op.allow_spinning": "off", "session.set_denormal_as_zero": "1"},
            {"session.intra_op.allow_spinning": "0", "session.set_denormal_as_zero": "1"},
        ),
        ({"session.dynamic_block_base": "4"}, {"session.dynamic_block_base": "4"}),
    ],
)
def test_options_are_asked_back(
    target: Target, tmp_path: Path, asked: dict[str, str], found: dict[str, Any]
) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    facts = good(target, model, given(), mode="timed", options=asked)["facts"]
    assert found.items() <= facts["options"].items()
    assert facts["options"]["intra_op_num_threads"] == 1


@pytest.mark.parametrize(
    ("option", "value", "said", "hint"),
    [
        ("graph_optimisation_level", "all", "no option", "--set graph_optimization_level="),
        ("intra_op.allow_spining", "0", "no option", "--set session.intra_op.allow_spinning="),
        ("zzz", "1", "no option 'zzz'", "docs/"),
        ("enable_mem_pattern", "maybe", "neither true nor false", "--set enable_mem_pattern=1"),
        ("session.set_denormal_as_zero", "maybe", "neither true nor false", "=1"),
        ("inter_op_num_threads", "-1", "not a whole number", "=1"),
        ("inter_op_num_threads", "9" * 12, "not a whole number", "=1"),
        ("inter_op_num_threads", "", "not a whole number", "=1"),
        ("graph_optimization_level", "fast", "not known", "ORT_ENABLE_BASIC"),
    ],
)
def test_options_and_values_that_are_not_known_are_refused(
    target: Target, tmp_path: Path, option: str, value: str, said: str, hint: str
) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    error = refused(target, model, given(), options={option: value})
    assert (error["status"], error["phase"]) == ("unsupported", "load")
    assert said in error["message"]
    assert hint in error["hint"]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_told_are_threads_found(target: Target, tmp_path: Path, threads: int) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    facts = good(target, model, given(), threads=threads)["facts"]
    assert (facts["threads_told"], facts["threads_found"]) == (threads, threads)
    assert facts["options"]["intra_op_num_threads"] == threads


# ------------------------------------------------------------------- placement, precision, time


def test_every_node_is_placed_on_the_cpu(target: Target, tmp_path: Path) -> None:
    found = good(target, models.linear(tmp_path / "linear.onnx"), given())
    (placed,) = found["placement"]
    assert placed["provider"] == "CPUExecutionProvider"
    assert (placed["node_share"], placed["time_share"]) == (1.0, 1.0)
    assert placed["nodes"] >= 1


@pytest.mark.parametrize(
    ("dtype", "effective"), [("float", "float32"), ("float16", "float32"), ("double", "float64")]
)
def test_the_precision_is_that_of_the_kernels(
    target: Target, tmp_path: Path, dtype: str, effective: str
) -> None:
    # ONNX Runtime's CPU provider has few float16 kernels: it casts to float32 and back.
    number = TensorProto.DataType.Value(dtype.upper())
    found = good(target, models.linear(tmp_path / "m.onnx", number), given(dtype))
    assert found["precision_effective"] == effective


def test_operators_are_timed(target: Target, tmp_path: Path) -> None:
    model = models.chain(tmp_path / "chain.onnx", "Exp", "Sigmoid", "Tan")
    options = {"graph_optimization_level": "ORT_DISABLE_ALL"}
    found = good(target, model, given(shape=(4,)), mode="op-times", options=options)
    rows = found["op_times"]
    assert {row["op"] for row in rows} == {"Exp", "Sigmoid", "Tan"}
    assert {row["name"] for row in rows} == {"node_0", "node_1", "node_2"}
    assert sum(row["share"] for row in rows) == pytest.approx(1.0)
    assert [row["ns"] for row in rows] == sorted((row["ns"] for row in rows), reverse=True)
    assert len({row["calls"] for row in rows}) == 1
    assert rows[0]["calls"] >= 10
    assert "op_times" not in good(target, model, given(shape=(4,)))


def test_a_timed_session_has_no_profile(target: Target, tmp_path: Path) -> None:
    facts = observed(target, tmp_path)
    assert facts["after"]["home"] == []


# ---------------------------------------------------------------------------- telemetry, probe


def test_telemetry_is_off_before_the_import_and_leaves_no_file(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")  # passed on if it were as any ORT_ variable
    facts = observed(target, tmp_path)
    assert facts["before"] == {"telemetry": "1", "home": []}
    assert facts["after"]["home"] == []


def test_the_probe_imports_nothing() -> None:
    source = (
        f"import sys; from {adapter.__name__} import CPU; found = CPU.probe()\n"
        "print(found.available, found.version, found.distribution, 'onnxruntime' in sys.modules)"
    )
    argv = [sys.executable, "-c", source]
    available, version, distribution, imported = subprocess.run(
        argv, capture_output=True, text=True, check=True
    ).stdout.split()
    assert (available, imported) == ("True", "False")
    assert distribution.startswith("onnxruntime")
    assert version[0].isdecimal()


def test_a_missing_runtime_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = adapter.CPU.probe()
    assert not found.available
    assert "onnxruntime" in found.reason
    assert "pip install" in found.hint


def test_a_product_with_weights_of_four_bits_is_float32_or_not_known(
    target: Target, tmp_path: Path
) -> None:
    """Natively its floats may be rounded to INT8, of which the kernel says nothing."""
    generator = np.random.default_rng(0)
    weights = helper.make_tensor(
        "w", TensorProto.INT4, [64, 64], generator.integers(-8, 8, 64 * 64).astype(np.int8)
    )
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["wd"], axis=0, block_size=32),
        helper.make_node("MatMul", ["x", "wd"], ["y"]),
    ]
    scales = [("s", np.full((2, 64), 0.02, np.float32))]
    values = [("x", models.FLOAT, [4, 64])], [("y", models.FLOAT, [4, 64])]
    path = models.save(tmp_path / "int4.onnx", nodes, *values, scales, 21)
    model = onnx.load(path)
    model.graph.initializer.append(weights)
    onnx.save(model, path)
    x = given(shape=(4, 64))
    exact, native = (
        good(target, path, x, mode="facts", precision=precision)
        for precision in ("model", "native")
    )
    assert exact["precision_effective"] == "float32"
    assert native["precision_effective"] is None
    assert "INT8" in native["facts"]["precision_reason"]
