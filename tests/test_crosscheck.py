"""The comparison with the real onnx-tool, its failures, and the reasons for differences."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxbench import crosscheck
from onnxbench.crosscheck import Operator, compare, cross_check, require_onnx_tool, why
from onnxbench.errors import UsageError
from onnxbench.graph.analysis import analyze
from onnxbench.report.analysis_views import Analysis
from tests.report.profiles import B, node, profile

if TYPE_CHECKING:
    from collections.abc import Sequence

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


def saved(path: Path, nodes: Sequence[Any], shape: Sequence[Any], *weights: Any) -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        weights,
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def ones(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(np.ones(shape, np.float32), name)


def by_op(found: Any) -> dict[str, dict[str, Any]]:
    return {each["op"]: each for each in found["by_op"]}


def test_a_network_is_compared_operator_by_operator() -> None:
    found = cross_check(analyze(LIGHT / "light_resnet50.onnx"))
    assert found["status"] == "ok"
    assert found["macs"] == 4_450_789_512, "what onnx-tool 1.0.1 prints for this file"
    ops = by_op(found)
    assert ops["Conv"]["difference"] == 0
    assert ops["Conv"]["reason"] == ""
    assert ops["BatchNormalization"]["macs"] == 0
    assert ops["BatchNormalization"]["reason"].startswith("counts 31 per output element")
    assert ops["Gemm"]["reason"] == "adds 1 for the bias to each output element"
    assert sum(each["difference"] for each in found["by_op"]) == 4_450_789_512 - 4_089_184_256
    assert found["params_note"]


def test_known_faults_are_named(tmp_path: Path) -> None:
    transposed = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    path = saved(tmp_path / "t.onnx", [transposed], [1, 4, 8, 8], ones("w", 4, 2, 2, 2))
    found = by_op(cross_check(analyze(path)))["ConvTranspose"]
    assert found["macs"] == 4 * 8 * 8 * 2 * 2 * 2
    assert found["onnx_tool_macs"] == 2 * found["macs"]
    assert found["reason"] == crosscheck.KNOWN["ConvTranspose"]
    spread = helper.make_node("MatMul", ["x", "w"], ["y"])
    path = saved(tmp_path / "m.onnx", [spread], [3, 1, 4, 5], ones("w", 3, 5, 6))
    found = by_op(cross_check(analyze(path)))["MatMul"]
    assert found["macs"] == 3 * 3 * 4 * 5 * 6
    assert found["difference"] < 0
    assert found["reason"] == crosscheck.KNOWN["MatMul"]


def test_its_exception_is_a_finding(tmp_path: Path) -> None:
    isnan = [helper.make_node("IsNaN", ["x"], ["n"]),
             helper.make_node("Cast", ["n"], ["y"], to=TensorProto.FLOAT)]  # fmt: skip
    found = cross_check(analyze(saved(tmp_path / "n.onnx", isnan, [2, 3])))
    assert found["status"] == "failed"
    assert "IsNaN" in found["reason"]
    assert (found["macs"], found["params"], found["by_op"]) == (None, None, [])


def test_open_dims_are_a_finding_before_anything_starts(tmp_path: Path) -> None:
    path = saved(tmp_path / "o.onnx", [helper.make_node("Relu", ["x"], ["y"])], ["N", 3])
    found = cross_check(analyze(path))
    assert found["status"] == "failed"
    assert "bind those of x" in found["reason"]


def test_it_is_killed_at_its_time_limit(tmp_path: Path) -> None:
    chain = [helper.make_node("Relu", [f"v{i}"], [f"v{i + 1}"]) for i in range(20_000)]
    chain[0].input[0], chain[-1].output[0] = "x", "y"
    start = time.monotonic()
    found = cross_check(analyze(saved(tmp_path / "c.onnx", chain, [2, 3])), limit_s=1.0)
    assert time.monotonic() - start < 60
    assert found["status"] == "failed"
    assert "time limit" in found["reason"]


def test_it_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    require_onnx_tool()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError) as caught:
        require_onnx_tool()
    assert caught.value.hint == "pip install 'onnxbench[onnx-tool]'"


def test_operators_that_cost_nobody_anything_are_left_out() -> None:
    nodes = [node("c"), node("r", "Reshape", macs=0), node("s", "Shape", macs=0)]
    rows = compare(nodes, {"Conv": 1000, "Reshape": 0, "Exp": 64})
    assert [(row.op, row.theirs, row.ours) for row in rows] == [
        ("Exp", 64, 0),
        ("Conv", 1000, 1000),
    ]


@pytest.mark.parametrize(
    ("operator", "reason"),
    [
        (Operator("Conv", 5, 5, 1), ""),
        (Operator("Conv", 1010, 1000, 10), "adds 1 for the bias to each output element"),
        (Operator("Conv", 2000, 1000, 10), "not explained"),
        (Operator("Softmax", 360, 0, 10), "counts 36 per output element"),
        (Operator("Conv", None, 1000, 10), "it has no node of this operator"),
        (Operator("Conv", 1000, None, None), "our figure is open"),
        (Operator("Loop", 5, 0, None), "not explained"),
    ],
)
def test_reasons(operator: Operator, reason: str) -> None:
    assert why(operator).startswith(reason)
    assert bool(why(operator)) == bool(reason)


def test_an_open_figure_of_ours_is_compared_with_nothing() -> None:
    (row,) = compare([node("m", "MatMul", macs=8 * B)], {"MatMul": 80})
    assert (row.theirs, row.ours) == (80, None)


@pytest.mark.parametrize("form", ["text", "markdown", "csv", "json"])
@pytest.mark.parametrize("status", ["ok", "failed"])
def test_it_is_shown_in_every_format(form: Any, status: str) -> None:
    found: dict[str, Any] = {
        "tool": "onnx-tool", "version": "1.0.1", "status": status, "macs": 1010, "params": 12,
        "memory_bytes": 5000, "seconds": 0.5, "params_note": "other rules", "memory_note": "all",
        "by_op": [{"op": "Conv\x1b", "onnx_tool_macs": 1010, "macs": 1000, "difference": 10,
                   "reason": "adds a bias"}],
    }  # fmt: skip
    if status == "failed":
        found |= {"macs": None, "params": None, "reason": "it\x1b crashed", "by_op": []}
    text = Analysis(profile(node("c")), cross_check=found).render(form)
    assert "\x1b" not in text
    if status == "failed":
        assert "crashed" in text
    elif form != "csv":
        assert "adds a bias" in text
        assert max(map(len, text.splitlines())) <= 80 or form != "text"
    if form == "text" and status == "ok":
        assert "+1.00 %" in text
