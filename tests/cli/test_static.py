"""``run`` says of every record what its network costs at the shapes of the cell."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.command import measure, onnxbench
from tests.cli.conftest import save, value


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """y = x·w + b: x (batch×sequence×8), w 8×16."""
    weights = [
        numpy_helper.from_array(np.ones(shape, np.float32), name)
        for name, shape in (("w", (8, 16)), ("b", (16,)))
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["t"]),
        helper.make_node("Add", ["t", "b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", ["batch", "sequence", 8])],
        [value("y", ["batch", "sequence", 16])],
        weights,
    )
    return save(tmp_path_factory.mktemp("linear") / "linear.onnx", graph)


def test_figures_are_those_of_the_cell(linear: Path, place: Path) -> None:
    """Of each batch size and of the sequence length that was guessed: 128."""
    records = measure(linear, "-b", "1,4", "-o", "out.csv").records
    for record, batch in zip(records, (1, 4), strict=True):
        static, derived = record["static"], record["derived"]
        assert static["macs"] == batch * 128 * 8 * 16
        assert static["flops"] == 2 * static["macs"] + batch * 128 * 16
        assert (static["params"], static["weight_bytes"]) == (144, 576)
        assert static["peak_activation_bytes"] > 0
        assert (static["exact"], static["convention"], static["coverage"]) == (True, "pure", 1)
        seconds = record["latency"]["median_ns"] * 1e-9
        assert derived["flops_per_s"] == pytest.approx(static["flops"] / seconds)
        assert derived["fraction_of_roofline"] is None
        assert derived["fraction_of_roofline_reason"]
    with (place / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["macs"]) for row in rows] == [r["static"]["macs"] for r in records]
    assert float(rows[0]["flops_per_s"]) == records[0]["derived"]["flops_per_s"]


def test_shapes_of_real_inputs_count_too(linear: Path, place: Path) -> None:
    np.savez(place / "in.npz", x=np.ones((2, 5, 8), np.float32))
    (record,) = measure(linear, "--inputs", "in.npz").records
    assert record["static"]["macs"] == 2 * 5 * 8 * 16


def test_an_operator_that_nobody_knows_is_flagged(place: Path) -> None:
    """ONNX Runtime knows com.microsoft::Inverse, and the count may not; either way it says so."""
    nodes = [helper.make_node("Unheard", ["x"], ["y"], domain="com.example")]
    graph = helper.make_graph(nodes, "g", [value("x", [2, 4])], [value("y", [2, 4])])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), place / "m.onnx")
    (record,) = measure("m.onnx", code=4).records
    assert record["static"]["exact"] is False
    assert [each["op"] for each in record["static"]["unknown"]] == ["Unheard"]
    assert record["derived"]["flops_per_s"] is None
    assert record["derived"]["flops_reason"] == "not timed"


def test_a_count_that_is_unknown_costs_nothing_but_itself(place: Path) -> None:
    """As many elements as NonZero finds: the file does not tell, so MACs stay a formula."""
    weight = numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    nodes = [
        helper.make_node("NonZero", ["x"], ["n"]),
        helper.make_node("Cast", ["n"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["t", "w"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [value("x", [4, 4])], [value("y", [None, 3])], [weight])
    (record,) = measure(save(place / "m.onnx", graph)).records
    static = record["static"]
    assert record["status"] == "ok"
    assert static["macs"] is None
    assert static["formulas"]["macs"].startswith("6*")
    assert record["derived"]["flops_per_s"] is None
    assert record["derived"]["flops_reason"] == static["reason"]


def test_show_and_a_wide_report_tell_them(linear: Path) -> None:
    record = measure(linear, "-b", "1").records[0]
    shown = onnxbench("show", record["record_id"]).out
    assert "16.384 k (16,384)" in " ".join(shown.split())
    wide = onnxbench("report", env={**os.environ, "COLUMNS": "200"}).out
    assert "MACs" in wide
    assert "16.384 k" in wide


def test_a_refused_file_says_that_it_was_not_analyzed(place: Path) -> None:
    (place / "bad.onnx").write_bytes(b"nonsense")
    (record,) = measure("bad.onnx", code=4).records
    assert record["static"]["macs"] is None
    assert record["static"]["reason"]
