"""Nodes on which ONNX's own inference would not return: run in a child, which would hang."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import onnx
import pytest
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import sys
from pathlib import Path
from onnxbench.graph.analysis import analyze
found = analyze(Path(sys.argv[1]))
print(found.exact, [each.op for each in found.unknown])
"""


@pytest.mark.parametrize("equation", [b"\xff\xfe", "é->é".encode(), b"i j\x00->ij"])
@pytest.mark.parametrize("scalar", [True, False])
def test_an_einsum_of_letters_that_are_none_ends(
    tmp_path: Path, equation: bytes, *, scalar: bool
) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [] if scalar else [2, 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("Einsum", ["x"], ["y"], equation="ij->ji")
    node.attribute[0].s = equation
    graph = helper.make_graph([node], "one", [x], [y])
    path = tmp_path / "einsum.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "Einsum" in done.stdout
    assert done.stdout.startswith("False")


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("EyeLike", {}),
        ("RegexFullMatch", {"pattern": "a"}),
        ("Split", {"num_outputs": 1}),
    ],
)
def test_what_crashes_the_inference_does_not_reach_it(
    tmp_path: Path, op: str, attributes: dict[str, Any]
) -> None:
    """EyeLike and RegexFullMatch crash behind an operator that nobody knows."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [6, 6])
    outputs = ["y", "z"] if op == "Split" else ["y"]
    source = "x" if op == "Split" else "h"
    nodes = [
        helper.make_node("Strange", ["x"], ["h"], domain="local"),
        helper.make_node(op, [source], outputs, **attributes),
    ]
    results = [helper.make_empty_tensor_value_info(name) for name in ("h", *outputs)]
    model = helper.make_model(
        helper.make_graph(nodes, "two", [x], results),
        opset_imports=[helper.make_opsetid("", 22), helper.make_opsetid("local", 1)],
    )
    path = tmp_path / "strange.onnx"
    onnx.save(model, path)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "Strange" in done.stdout
