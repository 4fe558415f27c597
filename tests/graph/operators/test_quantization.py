"""Quantization (Q1): two FLOPs per element at each end of what is done to quantized values."""

from __future__ import annotations

import pytest

from onnxbench.graph.formulas import parse
from tests.graph.operators.nodes import INT8, cost, tensor

MAP = (2, 6, 4, 5)
N = 240
INT = tensor(MAP, INT8)
MS = {"domain": "com.microsoft"}


@pytest.mark.parametrize("domain", ["", "com.microsoft"])
@pytest.mark.parametrize("op", ["QuantizeLinear", "DequantizeLinear"])
def test_a_step_is_two_flops_per_element(op: str, domain: str) -> None:
    assert cost(op, ("B", 6), (), (), out=("B", 6), domain=domain).flops == parse("12*B")


def test_finding_the_range_first_is_two_more() -> None:
    assert cost("DynamicQuantizeLinear", MAP, out=INT).flops == 4 * N


def test_quantized_arithmetic_counts_both_ends() -> None:
    # 2 for each element of a and of b, the sum, and 2 for the result.
    found = cost("QLinearAdd", INT, (), (), tensor((5,), INT8), (), (), (), (), out=INT, **MS)
    assert found.flops == 2 * N + 2 * 5 + 3 * N


@pytest.mark.parametrize(
    ("op", "flops", "evaluations"),
    [
        ("QLinearSigmoid", 5, 1),
        ("QLinearLeakyRelu", 6, 0),
        ("QLinearSoftmax", 9, 1),
        ("QOrderedGelu", 12, 1),
        ("QLinearWhere", 4, 0),
        ("QLinearConcat", 4, 0),
    ],
)
def test_a_quantized_function_is_the_function_between_two_steps(
    op: str, flops: int, evaluations: int
) -> None:
    found = cost(op, INT, (), (), out=INT, **MS)
    assert (found.flops, found.transcendentals) == (flops * N, evaluations * N)


def test_a_quantized_norm_is_the_norm_between_two_steps() -> None:
    found = cost("QOrderedLayerNormalization", INT, (), (5,), (5,), (), out=INT, **MS)
    assert found.flops == 12 * N


def test_quantized_pools() -> None:
    one = tensor((2, 6, 1, 1), INT8)
    found = cost("QLinearAveragePool", INT, (), out=one, kernel_shape=[4, 5], **MS)
    assert found.flops == 12 * 20 + 2 * N + 2 * 12
    assert cost("QLinearGlobalAveragePool", INT, (), out=one, **MS).flops == N + 2 * N + 2 * 12


def test_an_integer_product_takes_its_zero_points_off() -> None:
    assert cost("MulInteger", INT, (), INT, (), out=MAP, **MS).flops == 3 * N
