"""The adapters of PyTorch, eager and compiled, on small models in real workers."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxbench.runtimes.torch import TORCH, TORCH_COMPILE
from tests.runtimes import models, nets
from tests.runtimes.running import facts_of, good, installed_environment, target_in

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.protocols import Target
    from onnxbench.types import ErrorDoc, Measurement

EAGER = "onnxbench.runtimes.torch:TORCH"
COMPILED = "onnxbench.runtimes.torch:TORCH_COMPILE"
BOTH = pytest.mark.parametrize("adapter", [EAGER, COMPILED])


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Target:
    environment = installed_environment(monkeypatch, "torch")
    if "onnx2torch" not in environment.versions:
        pytest.skip("needs the environment that `onnxbench install torch` makes today")
    return target_in(environment, cache)


def answer(
    target: Target, adapter: str, model: Path, shapes: dict[str, tuple[int, ...]], **changes: Any
) -> Measurement:
    """Return the facts of a model whose outputs, for two inputs, are those of ONNX Runtime."""
    provider = {"provider": "torch CPU"}
    found = good(nets.checked(target, adapter, model, shapes, **provider, **changes))
    assert found["parity"]["passed"] is True
    assert found["parity"]["input_sensitive"] is True
    assert found["outputs_sha256"] == found["outputs_sha256_after"]
    return found


def refused(target: Target, adapter: str, model: Path, shapes: Any, **changes: Any) -> ErrorDoc:
    result = facts_of(target, adapter, model, shapes, **changes)
    assert result.error is not None, result
    assert (result.status, result.exit_code) == ("unsupported", 0)
    return result.error


def test_the_probes_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert TORCH_COMPILE.probe().possible is False

    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", absent)
    found = TORCH.probe()
    assert (found.available, found.possible, found.hint) == (False, True, "onnxbench install torch")


@pytest.mark.parametrize("boundary", ["host", "device"])
@pytest.mark.parametrize("batch", [1, 8])
def test_eager_gives_what_onnx_runtime_gives(
    there: Target, tmp_path: Path, boundary: str, batch: int
) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    found = answer(there, EAGER, model, {"x": (batch, 3, 8, 6)}, boundary=boundary)
    shapes = [output["shape"] for output in found["parity"]["outputs"]]
    assert shapes == [[batch, 4, 8, 6], [batch, 4]]
    assert found["precision_effective"] == "float32"
    (row,) = found["placement"]
    assert row["operators"] == {"Conv": 1, "Relu": 1, "ReduceMean": 1}


@pytest.mark.slow
def test_compiled_gives_what_onnx_runtime_gives(there: Target, tmp_path: Path) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    shapes: dict[str, tuple[int, ...]] = {"x": (8, 3, 8, 6)}
    cache = str(tmp_path / "cache")
    first, second = (
        answer(there, COMPILED, model, shapes, boundary=boundary, cache=cache)["facts"]
        for boundary in ("host", "device")
    )
    assert (first["graphs"], first["graph_breaks"], first["untraced"]) == (1, 0, "")
    assert first["compiler"] == {"mode": "default", "freezing": True}
    assert (first["compiled_cached"], second["compiled_cached"]) == (False, True)


def test_inputs_and_outputs_keep_their_names(there: Target, tmp_path: Path) -> None:
    model = nets.two_inputs(tmp_path / "two.onnx")
    found = answer(there, EAGER, model, {"a": (2, 3, 8, 8), "b": (2, 5)})
    assert [output["name"] for output in found["parity"]["outputs"]] == ["lower", "sum", "upper"]


def test_operators_of_later_versions_are_converted(there: Target, tmp_path: Path) -> None:
    make = helper.make_node
    nodes = [
        make("ReduceMax", ["x", "last"], ["max"]),
        make("ReduceL2", ["x"], ["l2"], keepdims=0),
        make("Gelu", ["x"], ["gelu"], approximate="tanh"),
        make("Pad", ["x", "pads"], ["padded"]),
        make("Pad", ["x", "outer"], ["edge"], mode="edge"),
        make("Slice", ["x", "starts", "ends", "axes", "steps"], ["slice"]),
        make("Gather", ["x", "index"], ["gathered"], axis=1),
        make("Unsqueeze", ["x", "around"], ["wide"]),
        make("Squeeze", ["wide", "first"], ["squeezed"]),
        make("Split", ["x", "sizes"], ["a", "b"], axis=1),
        make("Concat", ["b", "a"], ["swapped"], axis=1),
        make("Shape", ["x"], ["s"], start=0, end=2),
        make("Concat", ["s", "last"], ["to"], axis=0),
        make("Reshape", ["x", "to"], ["flat"], allowzero=1),
        make("CastLike", ["x", "half"], ["cast"]),
    ]
    weights = {
        "last": [-1], "pads": [0, 1, 2, 0, 0, 0, 1, 3], "outer": [0, 0, 2, 0, 0, 0, 1, 3],
        "starts": [1, -3], "ends": [2**31, -1], "axes": [-1, 1], "steps": [2, 1],
        "index": -1, "around": [-1, 0], "first": [0], "sizes": [1, 2], "half": np.float16(1),
    }  # fmt: skip
    names = ["max", "l2", "gelu", "padded", "edge", "slice", "gathered", "squeezed", "swapped",
             "flat"]  # fmt: skip
    outputs = [helper.make_tensor_value_info(name, models.FLOAT, None) for name in names]
    outputs.append(helper.make_tensor_value_info("cast", TensorProto.FLOAT16, None))
    arrays = [(name, np.asarray(array)) for name, array in weights.items()]
    value = ("x", models.FLOAT, [1, 3, 4, 5])
    model = models.save(tmp_path / "m.onnx", nodes, [value], outputs, arrays, opset=20)
    found = answer(there, EAGER, model, {"x": (1, 3, 4, 5)}, dtype="float16")
    operators = found["placement"][0]["operators"]
    assert operators["Reshape"] == 1
    assert "Shape" not in operators, "what depends on shapes alone is computed once"


@BOTH
def test_an_operator_that_is_lacking_is_named_with_its_version(
    there: Target, tmp_path: Path, adapter: str
) -> None:
    error = refused(there, adapter, nets.determinant(tmp_path / "det.onnx"), {"x": (2, 2)})
    assert error["message"] == "onnx2torch has no ai.onnx::Det-11"


def test_a_quantized_graph_is_refused(there: Target, tmp_path: Path) -> None:
    model = nets.quantized(tmp_path / "q.onnx")
    error = refused(there, EAGER, model, {"x": (1, 3, 8, 8)})
    assert "QuantizeLinear-13" in error["message"]


def test_half_precision_is_computed_as_declared(there: Target, tmp_path: Path) -> None:
    model = nets.conv(tmp_path / "half.onnx", TensorProto.FLOAT16)
    found = answer(there, EAGER, model, {"x": (1, 3, 8, 6)}, dtype="float16")
    assert found["precision_effective"] == "float16"


def test_threads_are_told_and_asked_back(there: Target, tmp_path: Path) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    for threads in (1, 2):
        facts = answer(there, EAGER, model, {"x": (1, 3, 8, 6)}, threads=threads)["facts"]
        assert facts["threads_control"] == "exact"
        assert facts["threads_told"] == facts["options"]["num_threads"] == threads
        assert facts["options"]["float32_matmul_precision"] == "highest"


def test_operators_are_timed_by_node(there: Target, tmp_path: Path) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    found = good(facts_of(there, EAGER, model, {"x": (1, 3, 8, 6)}, mode="op-times"))
    rows = {row["name"]: row for row in found["op_times"]}
    assert set(rows) == {"conv", "relu", "mean"}
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1)
    assert rows["conv"]["op"] == "Conv"


@pytest.mark.parametrize(
    ("adapter", "options", "hint"),
    [
        (EAGER, {"threads": "2"}, "one of: module"),
        (EAGER, {"module": "own"}, "one of: onnx2torch, source"),
        (COMPILED, {"modes": "default"}, "did you mean --set mode=…?"),
        (COMPILED, {"mode": "fastest"}, "one of: default, max-autotune-no-cudagraphs"),
        (COMPILED, {"freezing": "maybe"}, "--set freezing=1"),
    ],
)
def test_options_that_it_does_not_know_are_refused(
    there: Target, tmp_path: Path, adapter: str, options: dict[str, str], hint: str
) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    assert refused(there, adapter, model, {"x": (1, 3)}, options=options)["hint"] == hint


def test_types_that_numpy_lacks_are_refused(there: Target, tmp_path: Path) -> None:
    model = models.identity(tmp_path / "bits.onnx", TensorProto.BFLOAT16)
    assert "'x' is bfloat16" in refused(there, EAGER, model, {"x": (2, 3)})["message"]
