"""Bounds on graphs small enough to compute by hand."""

from __future__ import annotations

import pytest

from onnxbench.measure.roofline import (
    Ceilings,
    NoCeiling,
    Work,
    bytes_share,
    fused_bound,
    node_bound,
    unfused_s,
)

CEILINGS = Ceilings(
    {"matmul": 100e9, "conv": 200e9},
    ((1_000, 8e9), (10_000, 4e9), (100_000, 1e9)),
    cache_bytes=20_000,
)


def test_a_product_is_bound_by_its_flops_two_per_mac() -> None:
    bound = node_bound(CEILINGS, Work("matmul", 50_000_000, 1_000))
    assert bound.compute_s == pytest.approx(2 * 50e6 / 100e9)
    assert bound.limit == "compute"
    assert bound.seconds == bound.compute_s


def test_an_elementwise_node_is_bound_by_the_bytes_it_moves() -> None:
    bound = node_bound(CEILINGS, Work("matmul", 1, 10_000))
    assert bound.limit == "memory"
    assert bound.seconds == pytest.approx(10_000 / 4e9)


@pytest.mark.parametrize(
    ("moved", "seconds"), [(10_000, 10_000 / 8e9), (50_000, 50_000 / 4e9), (90_000, 50_000 / 1e9)]
)
def test_a_node_without_products_may_overwrite_what_it_reads(moved: int, seconds: float) -> None:
    """A Relu in place goes through half of the bytes that it moves, and the cache keeps those."""
    bound = node_bound(CEILINGS, Work("matmul", 0, moved))
    assert bound.limit == "memory"
    assert bound.seconds == pytest.approx(seconds / 1.5)  # two transfers instead of three


def test_a_convolution_may_be_a_matrix_product_but_not_the_other_way_round() -> None:
    slow_conv = Ceilings({"matmul": 100e9, "conv": 50e9}, CEILINGS.bandwidth)
    assert slow_conv.compute_s("conv", 1e9) == slow_conv.compute_s("matmul", 1e9) == 2e9 / 100e9
    assert CEILINGS.compute_s("conv", 1e9) == 2e9 / 200e9
    assert CEILINGS.compute_s("matmul", 1e9) == 2e9 / 100e9


@pytest.mark.parametrize(
    ("moved", "seconds"),
    [
        (500, 500 / 8e9),  # smaller than all: as fast as the smallest
        (5_000, 5_000 / 8e9),  # as fast as the working set below it
        (10_000, 10_000 / 4e9),
        (22_000, 22_000 / 4e9),  # 2,000 B beyond the cache take 2 µs, all of them 5.5 µs
        (50_000, 30_000 / 1e9),  # 30,000 B beyond the cache come from main memory
        (200_000, 200_000 / 1e9),
    ],
)
def test_memory_has_the_rate_of_what_holds_the_bytes(moved: int, seconds: float) -> None:
    assert CEILINGS.memory_s(moved) == pytest.approx(seconds)


def test_a_small_working_set_is_never_slower_than_a_large_one() -> None:
    """Small networks spend their time on calls, so the rate seen there may be too low."""
    ceilings = Ceilings({}, ((1_000, 2e9), (10_000, 4e9), (100_000, 1e9)))
    assert ceilings.memory_s(500) == pytest.approx(500 / 4e9)
    assert ceilings.memory_s(1_000_000) == pytest.approx(1e6 / 1e9)


def test_unfused_is_the_sum_and_fused_the_longer_of_all_work_and_all_compulsory_bytes() -> None:
    works = [Work("conv", 100_000_000, 10_000, 2), Work("matmul", 0, 10_000, 3)]
    assert unfused_s(CEILINGS, works) == pytest.approx(2 * 2e8 / 200e9 + 3 * 10_000 / 8e9 / 1.5)
    fused = fused_bound(CEILINGS, works, 1_000)
    assert fused.limit == "compute"
    assert fused.seconds == pytest.approx(2 * 2e8 / 200e9)
    heavy = fused_bound(CEILINGS, works, 10_000_000)
    assert heavy.limit == "memory"
    assert heavy.seconds == pytest.approx(10e6 / 1e9)
    assert fused.seconds <= unfused_s(CEILINGS, works)


def test_without_a_ceiling_there_is_no_bound() -> None:
    nothing = Ceilings({"conv": 1e9}, ())
    with pytest.raises(NoCeiling, match="matrix products"):
        node_bound(nothing, Work("matmul", 1, 0))
    with pytest.raises(NoCeiling, match="bandwidth"):
        node_bound(nothing, Work("conv", 1, 1))
    assert node_bound(nothing, Work("matmul", 0, 0)).seconds == 0


def test_a_runtime_that_stores_halves_moves_half_the_bytes() -> None:
    assert bytes_share("bfloat16", ["fp32"]) == 0.5
    assert bytes_share("float32 (float16 storage)", ["fp32"]) == 0.5
    assert bytes_share("float32", ["fp32"]) == bytes_share("float16", ["fp16"]) == 1
    halved = Ceilings({}, ((1, 1e9),), bytes_share=0.5)
    assert halved.memory_s(1_000) == pytest.approx(500 / 1e9)
