"""Normalization: 2, 8 or 5 FLOPs per element (N1, N2), a root per group, and the conventions."""

from __future__ import annotations

from typing import Any

import pytest

from onnxbench.graph.formulas import parse
from onnxbench.graph.network import Unknown
from tests.graph.operators.nodes import cost, node, row

MAP = (2, 6, 4, 5)
N = 240
C = (6,)
MS: dict[str, Any] = {"domain": "com.microsoft"}


def test_batch_normalization_scales_and_shifts() -> None:
    found = cost("BatchNormalization", MAP, C, C, C, C, out=MAP)
    assert (found.macs, found.flops, found.transcendentals) == (0, 2 * N, 0)
    training = cost("BatchNormalization", MAP, C, C, C, C, out=MAP, training_mode=1)
    assert training.flops == 8 * N


def test_layer_normalization_takes_a_root_per_row() -> None:
    found = cost("LayerNormalization", ("B", 6, 20), (20,), (20,), out=("B", 6, 20))
    assert (found.flops, found.transcendentals) == (parse("960*B"), parse("6*B"))
    outer = cost("LayerNormalization", ("B", 6, 20), (6, 20), out=("B", 6, 20), axis=1)
    assert outer.transcendentals == parse("B")


@pytest.mark.parametrize("op", ["RMSNormalization", "SimplifiedLayerNormalization"])
def test_a_root_mean_square_is_five_per_element(op: str) -> None:
    found = cost(op, (2, 6, 20), (20,), out=(2, 6, 20))
    assert (found.flops, found.transcendentals) == (5 * N, 12)


def test_groups_and_instances_take_a_root_each() -> None:
    group = cost("GroupNormalization", MAP, C, C, out=MAP, num_groups=3)
    assert (group.flops, group.transcendentals) == (8 * N, 2 * 3)
    instance = cost("InstanceNormalization", MAP, C, C, out=MAP)
    assert (instance.flops, instance.transcendentals) == (8 * N, 2 * 6)


def test_a_residual_and_a_bias_are_one_each() -> None:
    rows = (2, 6, 20)
    name = "SkipLayerNormalization"
    assert cost(name, rows, rows, (20,), (20,), out=rows, **MS).flops == 9 * N
    assert cost(name, rows, rows, (20,), (20,), (20,), out=rows, **MS).flops == 10 * N
    name = "SkipSimplifiedLayerNormalization"
    assert cost(name, rows, rows, (20,), out=rows, **MS).flops == 6 * N
    assert cost(name, rows, rows, (20,), (20,), out=rows, **MS).flops == 7 * N


def test_a_fused_silu_is_two_per_element() -> None:
    plain = cost("GroupNorm", MAP, C, C, out=MAP, groups=3, **MS)
    assert (plain.flops, plain.transcendentals) == (8 * N, 6)
    silu = cost("GroupNorm", MAP, C, C, out=MAP, groups=3, activation=1, **MS)
    assert (silu.flops, silu.transcendentals) == (10 * N, 6 + N)
    skip = cost("SkipGroupNorm", MAP, C, C, MAP, C, out=MAP, groups=3, activation=1, **MS)
    assert skip.flops == 12 * N


def test_gated_and_branchwise_norms() -> None:
    heads = (2, 6, 20)
    gated = cost("GatedRMSNorm", heads, (5,), heads, out=heads, **MS)
    assert (gated.flops, gated.transcendentals) == (8 * N, N + N // 5)
    sigmoid = cost("GatedRMSNorm", heads, (5,), heads, out=heads, activation="sigmoid", **MS)
    assert sigmoid.flops == 7 * N
    branches = cost("BranchwiseRMSNorm", heads, (20,), out=heads, num_branches=4, **MS)
    assert (branches.flops, branches.transcendentals) == (5 * N, 48)
    assert cost("BranchwiseRMSNorm", heads, out=heads, **MS).flops == 4 * N


def test_an_engram_gate_norms_multiplies_and_gates() -> None:
    key, scale = (2, 3, 4, 10), (4, 10)
    of = node("EngramGate", [key, key, (2, 3, 10), scale, scale], [key], **MS)
    # 24 gates of 10 elements: 5 + 5 for the norms, 2 for the dot product, 1 for the value.
    assert row(of).rule(of).flops == N * 13 + 24 * 6
    assert row(of).rule(of).transcendentals == 24 * 4
    normed = node("EngramGate", [key, key, (2, 3, 10), scale, scale, scale], [key, key], **MS)
    assert row(normed).rule(normed).flops == N * 18 + 24 * 6


def test_local_response_sums_squares_over_its_window() -> None:
    found = cost("LRN", MAP, out=MAP, size=5)
    assert (found.flops, found.transcendentals) == (9 * N, N)


@pytest.mark.parametrize(("p", "flops", "roots"), [(1, 3 * N, 0), (2, 3 * N + 40, 40)])
def test_an_lp_normalization_takes_roots_of_squares_alone(p: int, flops: int, roots: int) -> None:
    found = cost("LpNormalization", MAP, out=MAP, p=p, axis=1)
    assert (found.flops, found.transcendentals) == (flops, roots)


def test_what_a_norm_needs_and_lacks_is_unknown() -> None:
    with pytest.raises(Unknown, match="num_groups"):
        cost("GroupNormalization", MAP, C, C, out=MAP)
    with pytest.raises(Unknown, match="axis"):
        cost("LayerNormalization", (2, 3), (3,), out=(2, 3), axis=2)


@pytest.mark.parametrize(
    ("op", "domain", "per_element"),
    [
        ("BatchNormalization", "", 2),
        ("LayerNormalization", "", 5),
        ("GroupNormalization", "", 5),
        ("InstanceNormalization", "", 5),
        ("SkipLayerNormalization", "com.microsoft", 5),
    ],
)
def test_fvcore_counts_norms_as_measured(op: str, domain: str, per_element: int) -> None:
    """fvcore 0.1.5 on torch modules: BatchNorm2d 2304 of 1152 elements, the others 5760."""
    of = node(op, [MAP, C, C, C, C], [MAP], domain=domain)
    tally = row(of).fvcore
    assert tally is not None
    assert tally(of) == per_element * N


def test_fvcore_does_not_know_rms_norm() -> None:
    assert row(node("RMSNormalization", [MAP, (5,)], [MAP])).fvcore is None


def test_paddle_counts_batch_norm_of_maps_alone() -> None:
    flat = node("BatchNormalization", [(8, 6), C, C, C, C], [(8, 6)])
    maps = node("BatchNormalization", [MAP, C, C, C, C], [MAP])
    tally = row(maps).paddle
    assert tally is not None
    assert (tally(maps), tally(flat)) == (2 * N, 0)
