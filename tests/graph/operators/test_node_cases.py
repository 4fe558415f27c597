"""The operator table against the test cases that ship in the onnx package."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto

from onnxbench.graph.analysis import analyze
from onnxbench.graph.build import build
from onnxbench.graph.dims import TooComplex
from onnxbench.graph.network import Graph, Node, Unknown
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.table import TABLE, find

CONTRACTIONS = {
    "Attention", "CausalConvWithState", "Conv", "ConvInteger", "ConvTranspose", "DeformConv",
    "Einsum", "GRU", "Gemm", "LSTM", "LinearAttention", "MatMul", "MatMulInteger",
    "QLinearConv", "QLinearMatMul", "RNN",
}  # fmt: skip


@cache
def cases() -> dict[str, ModelProto]:
    """Return every case with the shapes that onnx infers; making their data takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    return {
        case.name: onnx.shape_inference.infer_shapes(case.model)
        for case in found
        if case.model is not None
    }


def counted_nodes(graph: Graph) -> Iterator[tuple[Node, Operator]]:
    for node in (node for each in graph.walk() for node in each.nodes):
        row = find(node.domain, node.op)
        if row is not None:
            yield node, row


def test_no_rule_breaks_on_any_case() -> None:
    counted, unknown = set(), {}
    for name, model in cases().items():
        for node, row in counted_nodes(build(model, {})):
            try:
                cost = row.rule(node)
            except (Unknown, TooComplex, ZeroDivisionError) as error:
                unknown[name, node.op] = str(error)
                continue
            assert not isinstance(cost.macs, int) or cost.macs >= 0, name
            assert not isinstance(cost.flops, int) or cost.flops >= 0, name
            counted.add(node.op)
    assert counted >= CONTRACTIONS
    # Shapes inside the bodies of functions are beyond onnx's inference.
    missed = {
        key: why
        for key, why in unknown.items()
        if key[1] in CONTRACTIONS and "_expanded" not in key[0]
    }
    assert missed == {}


@pytest.mark.parametrize(
    ("case", "macs"),
    [
        ("test_basic_conv_with_padding", 25 * 9),
        ("test_conv_with_strides_and_asymmetric_padding", 4 * 2 * 9),
        ("test_convtranspose", 9 * 2 * 9),
        ("test_convtranspose_1d", 3 * 2 * 3),
        ("test_basic_deform_conv_with_padding", 16 * 4),
        ("test_convinteger_without_padding", 4 * 4),
        ("test_qlinearconv", 49),
        ("test_matmul_3d", 2 * 3 * 4 * 3),
        ("test_matmul_1d_3d", 4 * 2),
        ("test_gemm_transposeA", 3 * 6 * 4),
        ("test_einsum_batch_matmul", 5 * 2 * 3 * 4),
        ("test_einsum_inner_prod", 5),
        ("test_attention_4d", 2 * 3 * 4 * 6 * 16),
        ("test_attention_3d_gqa", 2 * 9 * 4 * 6 * 16),
        ("test_attention_4d_with_past_and_present", 2 * 3 * 4 * 18 * 16),
        ("test_lstm_defaults", 3 * 4 * 3 * (2 + 3)),
        ("test_gru_defaults", 3 * 3 * 5 * (2 + 5)),
        ("test_rnn_seq_length", 2 * 3 * 5 * (3 + 5)),
    ],
)
def test_a_case_counts_what_its_shapes_say(case: str, macs: int) -> None:
    (node,) = build(cases()[case], {}).nodes
    assert TABLE[node.domain, node.op].rule(node).macs == macs


@pytest.mark.parametrize("operator", ["attention", "causal_conv", "flexattention"])
def test_a_row_counts_what_the_function_body_of_the_standard_counts(
    tmp_path: Path, operator: str
) -> None:
    compared = 0
    for name, model in cases().items():
        body = next((each for each in cases() if each.startswith(f"{name}_expanded")), None)
        if body is None or operator not in name or "_expanded" in name:
            continue
        found = []
        for each in (model, cases()[body]):
            path = tmp_path / "model.onnx"
            onnx.save(each, path)
            found.append(analyze(path))
        assert found[0].macs == found[1].macs, name
        assert found[1].unknown == (), name
        compared += 1
    assert compared > 10
