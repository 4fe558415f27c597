"""What the analysis takes of memory and stack is bounded, however long or deep a graph is."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, helper, numpy_helper

from onnxbench.errors import RefusedInput
from onnxbench.graph.analysis import analyze
from tests.corpus import CASES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.graph.conftest import RunChild

_ANALYZE = """
import re, sys
from pathlib import Path
from onnxbench.graph.analysis import analyze
found = analyze(Path(sys.argv[1]))
peak_kib = re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1]
print(found.node_count, found.exact, int(peak_kib) * 1024, found.macs, found.flops, sep=";")
"""


def written(model: ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def chain(nodes: int, rows: int | str) -> ModelProto:
    """Return Relu and MatMul by turns, on x (rows×8) and one weight (8×8)."""
    sequence = [
        helper.make_node("MatMul", [f"t{at}", "w"], [f"t{at + 1}"])
        if at % 2
        else helper.make_node("Relu", [f"t{at}"], [f"t{at + 1}"])
        for at in range(nodes)
    ]
    return whole(sequence, [rows, 8], f"t{nodes}")


def nest(depth: int, calls: int) -> ModelProto:
    """Return a call of f0, where each function calls the next one ``calls`` times in a row."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    made = []
    for at in range(depth):
        names = ["a", *(f"b{each}" for each in range(calls - 1)), "z"]
        deeper = ("Relu", "") if at == depth - 1 else (f"f{at + 1}", "local")
        body = [
            helper.make_node(deeper[0], [one], [other], domain=deeper[1])
            for one, other in itertools.pairwise(names)
        ]
        made.append(helper.make_function("local", f"f{at}", ["a"], ["z"], body, opsets))
    model = whole([helper.make_node("f0", ["t0"], ["y"], domain="local")], [4, 8], "y")
    model.opset_import.append(opsets[1])
    model.functions.extend(made)
    return model


def whole(nodes: list[NodeProto], shape: list[int | str], output: str) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("t0", 1, shape)],
        [helper.make_tensor_value_info(output, 1, None)],
        [numpy_helper.from_array(np.ones((8, 8), np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.mark.parametrize(
    ("nodes", "rows", "macs", "flops"),
    [(100_000, 1, "3200000", "6800000"), (20_000, "N", "640000*N", "1360000*N")],
    ids=["static", "open"],
)
def test_a_long_chain(
    nodes: int, rows: int | str, macs: str, flops: str, tmp_path: Path, run_child: RunChild
) -> None:
    """Half of the nodes take 64 MACs a row; 80 MB and 6 kB a node, with Python's usual stack."""
    found = run_child(_ANALYZE, written(chain(nodes, rows), tmp_path)).strip().split(";")
    count, exact, peak_bytes, *totals = found
    assert (int(count), exact) == (nodes, "True")
    assert totals == [macs, flops]
    assert int(peak_bytes) <= 80e6 + 6e3 * nodes


@pytest.mark.parametrize(
    ("depth", "calls"), [(3000, 1), (60, 2), (12, 10)], ids=["deep", "2^60", "10^12"]
)
def test_functions_that_call_functions(
    depth: int, calls: int, tmp_path: Path, run_child: RunChild
) -> None:
    """What is too deep or too much to expand is an operator that nobody counted, not a 0."""
    path = written(nest(depth, calls), tmp_path)
    count, exact, peak_bytes, *_ = run_child(_ANALYZE, path).strip().split(";")
    assert (int(count), exact) == (1, "False")
    assert int(peak_bytes) <= 100e6
    found = analyze(path)
    assert [(each.domain, each.op) for each in found.unknown] == [("local", "f0")]
    assert "calls are left alone" in found.notes[0]


@pytest.mark.parametrize("name", ["3000-deep messages", "3000-deep types"])
def test_graphs_in_graphs_are_refused_when_no_parser_takes_them(name: str, tmp_path: Path) -> None:
    (case,) = (case for case in CASES if case.name == name)
    with pytest.raises(RefusedInput) as caught:
        analyze(case.build(tmp_path))
    assert caught.value.reason == case.reason


def test_sizes_beyond_64_bits_are_whole_numbers(tmp_path: Path) -> None:
    """A square matrix of 2³¹ columns times itself takes 2⁹³ MACs."""
    model = whole([helper.make_node("MatMul", ["t0", "t0"], ["y"])], [2**31, 2**31], "y")
    found = analyze(written(model, tmp_path))
    assert (found.macs, found.flops, found.exact) == (2**93, 2**94, True)
    assert found.bytes_read == 2**64


def test_no_rows_are_no_work(tmp_path: Path) -> None:
    model = whole([helper.make_node("MatMul", ["t0", "w"], ["y"])], [0, 8], "y")
    found = analyze(written(model, tmp_path))
    assert (found.macs, found.flops, found.exact) == (0, 0, True)
