"""Reductions, softmax, losses and pooling (P1, N3), and which pools other tools count."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxbench.graph.formulas import parse
from onnxbench.graph.network import Node, Unknown
from tests.graph.operators.nodes import constant, cost, node, row, tensor

MAP = (2, 6, 4, 5)
N = 240
ONE = (2, 6, 1, 1)
MS = {"domain": "com.microsoft"}


@pytest.mark.parametrize(
    ("op", "flops", "evaluations"),
    [
        ("ReduceSum", N, 0),
        ("ReduceMean", N, 0),
        ("ReduceMax", N, 0),
        ("ReduceProd", N, 0),
        ("ReduceL1", 2 * N, 0),
        ("ReduceSumSquare", 2 * N, 0),
        ("ReduceL2", 2 * N + 12, 12),
        ("ReduceLogSum", N + 12, 12),
        ("ReduceLogSumExp", 2 * N + 12, N + 12),
        ("ArgMax", N, 0),
        ("Hardmax", N, 0),
    ],
)
def test_a_reduction_counts_its_input(op: str, flops: int, evaluations: int) -> None:
    found = cost(op, MAP, constant(np.array([2, 3])), out=ONE)
    assert (found.macs, found.flops, found.transcendentals) == (0, flops, evaluations)


def test_a_reduction_of_no_axes_that_is_told_to_do_nothing_does_nothing() -> None:
    none = constant(np.zeros(0, np.int64))
    assert cost("ReduceSum", MAP, none, out=MAP, noop_with_empty_axes=1).flops == 0
    assert cost("ReduceSum", MAP, out=MAP, noop_with_empty_axes=1).flops == 0
    assert cost("ReduceSumSquare", MAP, out=MAP, noop_with_empty_axes=1).flops == N
    assert cost("ReduceSum", MAP, none, out=(1,)).flops == N
    axis = constant(np.array([1]))
    assert cost("ReduceSum", MAP, axis, out=ONE, noop_with_empty_axes=1).flops == N


def test_the_input_alone_has_to_be_known() -> None:
    assert cost("ReduceSum", ("B", 8), out=tensor(None)).flops == parse("8*B")
    with pytest.raises(Unknown):
        cost("ReduceL2", ("B", 8), out=tensor(None))


def test_a_running_sum_is_one_per_element() -> None:
    assert cost("CumSum", (3, 7), (), out=(3, 7)).flops == 21
    assert cost("CumProd", (3, 7), (), out=(3, 7)).flops == 21


def test_softmax_is_five_per_element_one_of_them_transcendental() -> None:
    found = cost("Softmax", ("B", 12, "S", "S"), out=("B", 12, "S", "S"))
    assert found.flops == parse("60*B*S*S")
    assert found.transcendentals == parse("12*B*S*S")
    assert cost("BiasSoftmax", MAP, MAP, out=MAP, **MS).flops == 6 * N


@pytest.mark.parametrize(
    ("opset", "axis", "rows"), [(13, -1, 48), (13, 1, 40), (11, 1, 2), (11, 2, 12)]
)
def test_log_softmax_takes_a_logarithm_per_row(opset: int, axis: int, rows: int) -> None:
    found = cost("LogSoftmax", MAP, out=MAP, opset=opset, axis=axis)
    assert (found.flops, found.transcendentals) == (5 * N + rows, N + rows)


def test_a_loss_looks_up_weighs_and_sums_its_targets() -> None:
    # 8 scores for each of 6 targets: negated, weighted, summed, and the weights summed too.
    name = "NegativeLogLikelihoodLoss"
    assert cost(name, (2, 8, 3), (2, 3), (8,), out=()).flops == 6 * 4
    assert cost(name, (2, 8, 3), (2, 3), (8,), out=(), reduction="sum").flops == 6 * 3
    assert cost(name, (2, 8, 3), (2, 3), out=(), reduction="none").flops == 6
    found = cost("SoftmaxCrossEntropyLoss", (2, 8, 3), (2, 3), out=())
    assert (found.flops, found.transcendentals) == (48 * 5 + 6 * 3, 48 + 6)


# ------------------------------------------------------------------------------------ pooling


def test_a_pool_counts_its_windows() -> None:
    found = cost("MaxPool", (1, 64, 112, 112), out=(1, 64, 56, 56), kernel_shape=[3, 3])
    assert found.flops == 64 * 56 * 56 * 9
    average = cost("AveragePool", ("B", 8, 12), out=("B", 8, 6), kernel_shape=[2])
    assert average.flops == parse("96*B")
    nhwc = cost("NhwcMaxPool", (1, 8, 8, 3), out=(1, 4, 4, 3), kernel_shape=[2, 2], **MS)
    assert nhwc.flops == 48 * 4


def test_an_lp_pool_takes_powers_and_a_root() -> None:
    found = cost("LpPool", (1, 3, 4, 4), out=(1, 3, 2, 2), kernel_shape=[2, 2])
    assert (found.flops, found.transcendentals) == (12 * 9, 12)
    whole = cost("GlobalLpPool", MAP, out=ONE)
    assert (whole.flops, whole.transcendentals) == (2 * N + 12, 12)


def test_a_global_pool_counts_the_map() -> None:
    assert cost("GlobalAveragePool", MAP, out=ONE).flops == N
    assert cost("GlobalMaxPool", MAP, out=ONE).flops == N


def test_a_pool_without_window_is_unknown() -> None:
    with pytest.raises(Unknown, match="kernel_shape"):
        cost("MaxPool", MAP, out=ONE)


def test_pooling_of_regions_is_bounded_by_the_map() -> None:
    found = cost("MaxRoiPool", (1, 3, 10, 20), (7, 5), out=(7, 3, 2, 4), pooled_shape=[2, 4])
    assert found.flops == 7 * 3 * 11 * 23
    assert found.least == (0, 7 * 3 * 2 * 4)


def test_unpooling_only_moves() -> None:
    assert cost("MaxUnpool", ONE, ONE, out=MAP, kernel_shape=[4, 5]).flops == 0


# -------------------------------------------------------------------------------- conventions


def noted(op: str, key: str, text: str, shape: tuple[int, ...] = MAP) -> Node:
    of = node(op, [shape], [ONE], kernel_shape=[4, 5])
    of.proto.metadata_props.append(onnx.StringStringEntryProto(key=key, value=text))
    return of


def fvcore(of: Node) -> object:
    tally = row(of).fvcore
    assert tally is not None
    return tally(of)


CLASSES = "pkg.torch.onnx.class_hierarchy"
SOURCE = "pkg.torch.onnx.stack_trace"


def test_fvcore_counts_a_mean_only_where_it_stands_for_adaptive_pooling() -> None:
    """As measured with fvcore 0.1.5: AdaptiveAvgPool2d(1) 1152 of 1152 elements, x.mean 0."""
    module = "['Net', 'torch.nn.modules.pooling.AdaptiveAvgPool2d', 'aten.mean.dim']"
    assert fvcore(noted("ReduceMean", CLASSES, module)) == N
    called = 'File "net.py", line 5, in forward\n    x = F.adaptive_avg_pool2d(x, 1)'
    assert fvcore(noted("ReduceMean", SOURCE, called)) == N
    assert fvcore(noted("ReduceMean", CLASSES, "['Net', 'aten.mean.dim']")) == 0
    assert fvcore(node("ReduceMean", [MAP], [ONE])) == 0


def test_fvcore_counts_an_average_pool_only_where_it_stands_for_adaptive_pooling() -> None:
    module = "['torch.nn.modules.pooling.AdaptiveAvgPool2d', 'aten.avg_pool2d.default']"
    assert fvcore(noted("AveragePool", CLASSES, module)) == N
    assert fvcore(node("AveragePool", [MAP], [ONE], kernel_shape=[4, 5])) == 0
    # Pooling to the size that a map has anyway.
    assert fvcore(node("AveragePool", [MAP], [MAP], kernel_shape=[1, 1])) == N


def test_fvcore_counts_global_pooling_of_maps_alone() -> None:
    """AdaptiveAvgPool1d is not in its table."""
    assert fvcore(node("GlobalAveragePool", [MAP], [ONE])) == N
    assert fvcore(node("GlobalAveragePool", [(2, 6, 9)], [(2, 6, 1)])) == 0


def test_paddle_counts_average_pools_by_their_output() -> None:
    average = node("AveragePool", [MAP], [(2, 6, 2, 2)], kernel_shape=[2, 2])
    whole = node("GlobalAveragePool", [MAP], [ONE])
    tallies = [row(of).paddle for of in (average, whole)]
    assert tallies[0] is not None
    assert tallies[1] is not None
    assert tallies[0](average) == 2 * 6 * 2 * 2
    assert tallies[1](whole) == 12 * (20 + 1)
