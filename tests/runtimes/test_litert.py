"""LiteRT's adapter on small models, in real workers of its own environment."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxbench.runtimes import _litert_convert as conversion
from onnxbench.runtimes import _litert_placement as placing
from onnxbench.runtimes.litert import LITERT
from onnxbench.targets import bundle
from tests.runtimes import models, nets
from tests.runtimes.running import facts_of, good, installed_environment, target_in

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench import environments
    from onnxbench.protocols import Target
    from onnxbench.types import ChildResult, Measurement

ADAPTER = "onnxbench.runtimes.litert:LITERT"
BOTH = pytest.mark.parametrize("boundary", ["host", "device"])


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> environments.Installed:
    return installed_environment(monkeypatch, "litert")


@pytest.fixture
def there(environment: environments.Installed, cache: Path) -> Target:
    return target_in(environment, cache)


def answer(
    target: Target, model: Path, shapes: dict[str, tuple[int, ...]], **changes: Any
) -> Measurement:
    """Return the facts of a model whose outputs, for two inputs, are those of ONNX Runtime."""
    folder = str(model.parent / "converted")
    found = good(nets.checked(target, ADAPTER, model, shapes, converted=folder, **changes))
    assert found["parity"]["passed"] is True
    assert found["parity"]["input_sensitive"] is True
    assert found["outputs_sha256"] == found["outputs_sha256_after"]
    return found


def refused(target: Target, model: Path, shapes: Any, **changes: Any) -> ChildResult:
    folder = str(model.parent / "converted")
    result = facts_of(target, ADAPTER, model, shapes, converted=folder, **changes)
    assert result.error is not None, result
    assert (result.status, result.exit_code) == ("unsupported", 0)
    return result


def test_the_probe_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = LITERT.probe()
    assert (found.available, found.possible, found.hint) == (
        False,
        True,
        "onnxbench install litert",
    )


@BOTH
@pytest.mark.parametrize("batch", [1, 8])
def test_a_convolution_gives_what_onnx_runtime_gives(
    there: Target, tmp_path: Path, boundary: str, batch: int
) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    found = answer(there, model, {"x": (batch, 3, 8, 6)}, boundary=boundary)
    assert [output["shape"] for output in found["parity"]["outputs"]] == [
        [batch, 4, 8, 6],
        [batch, 4],
    ]
    assert found["facts"]["inputs"]["x"]["shape"] == [batch, 8, 6, 3]
    assert found["precision_effective"] == "float32"
    assert [row["provider"] for row in found["placement"]] == [placing.XNNPACK]
    assert found["placement"][0]["time_share"] is None


@BOTH
def test_inputs_and_outputs_keep_their_names(there: Target, tmp_path: Path, boundary: str) -> None:
    model = nets.two_inputs(tmp_path / "two.onnx")
    found = answer(there, model, {"a": (2, 3, 8, 8), "b": (2, 5)}, boundary=boundary)
    assert [output["name"] for output in found["parity"]["outputs"]] == ["lower", "sum", "upper"]


def test_a_shape_that_reads_the_same_either_way_stays_as_it_is(
    there: Target, tmp_path: Path
) -> None:
    nodes = [
        helper.make_node("Softmax", ["x"], ["s"], axis=1),
        helper.make_node("ReduceSum", ["s", "axis"], ["y"], keepdims=0),
    ]
    model = models.save(
        tmp_path / "cube.onnx", nodes, [("x", models.FLOAT, [1, 5, 5, 5])],
        [("s", models.FLOAT, [1, 5, 5, 5]), ("y", models.FLOAT, [1, 5, 5])], [("axis", [3])],
    )  # fmt: skip
    found = answer(there, model, {"x": (1, 5, 5, 5)})
    assert found["facts"]["inputs"]["x"]["layout"] == "as in ONNX"


def test_inputs_that_are_no_pictures_stay_as_they_are() -> None:
    shapes = {"ids": (1, 7), "states": (1, 7, 9), "picture": (1, 3, 8, 8), "cube": (2, 4, 4, 4)}
    assert conversion.channels_last(shapes) == ["picture"]


def test_half_precision_is_computed_in_float32_and_named_so(there: Target, tmp_path: Path) -> None:
    model = nets.conv(tmp_path / "half.onnx", TensorProto.FLOAT16)
    found = answer(there, model, {"x": (1, 3, 8, 6)}, dtype="float16")
    assert found["precision_effective"] == "float32"
    assert [output["dtype"] for output in found["parity"]["outputs"]] == ["float16", "float16"]


def test_a_double_that_is_multiplied_as_float32_is_found_out(there: Target, tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    double = TensorProto.DOUBLE
    model = models.save(
        tmp_path / "double.onnx", [node], [("x", double, [2, 3])], [("y", double, [2, 2])],
        [("w", models.WEIGHT.astype(np.float64))],
    )  # fmt: skip
    folder = str(tmp_path / "converted")
    result = nets.checked(there, ADAPTER, model, {"x": (2, 3)}, converted=folder, dtype="float64")
    assert result.error is not None
    assert (result.status, result.error["kind"]) == ("wrong-output", "precision-lowered")


def test_a_quantized_graph_is_right_and_named_as_computed(there: Target, tmp_path: Path) -> None:
    found = answer(there, nets.quantized(tmp_path / "q.onnx"), {"x": (1, 3, 8, 8)}, dtype="int8")
    assert found["precision_effective"] in ("float32", "int8")


def test_threads_are_told_and_found(there: Target, tmp_path: Path) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    for threads in (1, 2):
        facts = answer(there, model, {"x": (1, 3, 8, 6)}, threads=threads)["facts"]
        assert facts["threads_control"] == "exact"
        assert facts["threads_told"] == facts["threads_found"] == threads


def test_without_its_delegate_every_operator_is_litert_s_own(there: Target, tmp_path: Path) -> None:
    options = {"experimental_op_resolver_type": "builtin_without_default_delegates"}
    found = answer(there, nets.conv(tmp_path / "c.onnx"), {"x": (1, 3, 8, 6)}, options=options)
    (row,) = found["placement"]
    assert (row["provider"], row["node_share"]) == (placing.BUILTIN, 1.0)
    assert row["operators"]["CONV_2D"] == 1


def test_what_xnnpack_leaves_is_counted_by_operator(there: Target, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Pad", ["x", "pads", "low"], ["p"]),
        helper.make_node("Relu", ["p"], ["y"]),
    ]
    weights = [("pads", np.array([0, 0, 0, 1, 0, 0, 0, 1])), ("low", np.float32(0.5))]
    model = models.save(
        tmp_path / "pad.onnx", nodes, [("x", models.FLOAT, [1, 2, 4, 4])],
        [("y", models.FLOAT, [1, 2, 4, 6])], weights,
    )  # fmt: skip
    rows = {row["provider"]: row for row in answer(there, model, {"x": (1, 2, 4, 4)})["placement"]}
    assert rows[placing.BUILTIN]["operators"] == {"PADV2": 1}
    assert rows[placing.XNNPACK]["operators"]["RELU"] == 1


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"op_resolver_type": "AUTO"}, "did you mean --set experimental_op_resolver_type=…?"),
        ({"experimental_op_resolver_type": "fast"}, "one of: AUTO"),
        ({"experimental_disable_delegate_clustering": "2"}, "clustering=1"),
    ],
)
def test_options_that_it_does_not_know_are_refused(
    there: Target, tmp_path: Path, options: dict[str, str], hint: str
) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    result = refused(there, model, {"x": (1, 3)}, options=options)
    assert result.error is not None
    assert hint in result.error["hint"]


def test_text_is_refused_by_name(there: Target, tmp_path: Path) -> None:
    node = helper.make_node("StringSplit", ["x"], ["y", "n"], delimiter=",")
    model = models.save(
        tmp_path / "text.onnx", [node], [("x", TensorProto.STRING, [2])],
        [("y", TensorProto.STRING, [2, "parts"]), ("n", TensorProto.INT64, [2])], opset=20,
    )  # fmt: skip
    result = refused(there, model, {"x": (2,)})
    assert result.error is not None
    assert "'x' has type string" in result.error["message"]


def test_an_operator_that_the_converter_lacks_is_named(there: Target, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("StringSplit", ["text"], ["y", "n"], delimiter=","),
        helper.make_node("Relu", ["x"], ["z"]),
    ]
    outputs = [("n", TensorProto.INT64, [2]), ("z", models.FLOAT, [2])]
    text = [("text", np.array(["a,b", "c"], object))]
    model = models.save(
        tmp_path / "split.onnx", nodes, [("x", models.FLOAT, [2])], outputs, text, 20
    )
    result = refused(there, model, {"x": (2,)})
    assert result.error is not None
    assert "STRINGSPLIT" in result.error["message"]


def test_a_batch_that_the_file_fixes_cannot_be_changed(there: Target, tmp_path: Path) -> None:
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    model = models.save(
        tmp_path / "fixed.onnx", [node], [("x", models.FLOAT, [1, 4])],
        [("y", models.FLOAT, [2, 2])], [("shape", np.array([2, 2]))],
    )  # fmt: skip
    assert refused(there, model, {"x": (3, 4)}).error is not None


def test_the_converter_needs_no_network(
    environment: environments.Installed, cache: Path, tmp_path: Path
) -> None:
    model = nets.conv(tmp_path / "conv.onnx")
    folder = bundle.materialize(bundle.contents("onnxbench.runtimes.litert"), cache)
    script = f"""
import sys
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        raise RuntimeError(f"network: {{event}} {{args}}")
sys.path.insert(0, {str(folder)!r})
from onnxbench.runtimes.litert import LITERT
from onnxbench.types import ConvertRequest
sys.addaudithook(hook)
LITERT.convert(ConvertRequest({str(model)!r}, "model", {{}}, (), (), {{"x": (1, 3, 8, 6)}},
    {str(tmp_path)!r}))
"""
    subprocess.run([environment.interpreter, "-c", script], cwd=tmp_path, check=True)
    assert (tmp_path / conversion.MODEL).stat().st_size > 0
