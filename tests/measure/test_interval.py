"""Intervals over processes: algebra by properties, coverage by seeded simulation."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbench.measure.interval import (
    Interval,
    geometric_mean,
    missing_reason,
    paired_ratio,
    t_interval,
)

medians = st.lists(st.floats(1.0, 1e12), min_size=2, max_size=12)


def interval_of(values: list[float], confidence: float = 0.95) -> Interval:
    interval = t_interval(values, confidence)
    assert interval is not None
    return interval


def test_interval_equals_the_one_worked_by_hand() -> None:
    # Logs 0, 1, 2: mean 1, standard deviation 1, t(0.975, 2) = 4.30265, margin t / sqrt(3).
    interval = interval_of([1.0, math.e, math.e**2])
    margin = 4.302652729749464 / math.sqrt(3)
    assert interval.estimate == pytest.approx(math.e)
    assert interval.low == pytest.approx(math.exp(1 - margin))
    assert interval.high == pytest.approx(math.exp(1 + margin))
    assert interval.half_width == pytest.approx(math.sinh(margin))
    assert interval.n == 3


@given(medians)
def test_interval_contains_its_estimate_and_the_geometric_mean(values: list[float]) -> None:
    interval = interval_of(values)
    assert interval.low <= interval.estimate <= interval.high
    assert interval.estimate == geometric_mean(values)


@given(medians, st.integers())
def test_interval_does_not_depend_on_the_order(values: list[float], seed: int) -> None:
    shuffled = random.Random(seed).sample(values, len(values))
    assert interval_of(shuffled) == interval_of(values)


@given(st.lists(st.floats(1e3, 1e6), min_size=2, max_size=12), st.floats(1e-3, 1e3))
def test_relative_width_does_not_depend_on_the_unit(values: list[float], scale: float) -> None:
    scaled = interval_of([value * scale for value in values])
    assert scaled.half_width == pytest.approx(interval_of(values).half_width, rel=1e-6, abs=1e-9)
    assert scaled.estimate == pytest.approx(interval_of(values).estimate * scale)


@given(medians)
def test_more_confidence_is_never_narrower(values: list[float]) -> None:
    assert interval_of(values, 0.99).half_width >= interval_of(values, 0.9).half_width


def test_an_interval_without_a_bound_is_still_finite() -> None:
    interval = interval_of([1.0, 1e12], 0.999)
    assert math.isfinite(interval.high)
    assert math.isfinite(interval.half_width)


@pytest.mark.parametrize(
    ("values", "reason"),
    [([], "there are 0"), ([5.0], "there are 1"), ([5.0, 0.0], "does not resolve")],
)
def test_no_interval_comes_with_a_reason(values: list[float], reason: str) -> None:
    assert t_interval(values) is None
    assert reason in (missing_reason(values) or "")
    assert missing_reason([1.0, 2.0]) is None


def test_nothing_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no values"):
        geometric_mean([])


@pytest.mark.parametrize("n", [5, 10])
def test_a_95_percent_interval_covers_the_truth_in_95_percent(n: int) -> None:
    logs = np.random.default_rng(n).normal(math.log(1e6), 0.1, (4000, n))
    hits = sum(
        interval.low <= 1e6 <= interval.high
        for interval in (interval_of(row) for row in np.exp(logs).tolist())
    )
    assert 0.93 <= hits / len(logs) <= 0.97


def test_paired_ratio_calls_5_percent_of_equal_things_different() -> None:
    # An A/A test on a host whose speed wanders from block to block.
    random_ = np.random.default_rng(7)
    host = random_.normal(0, 0.2, (3000, 8))
    first, second = np.exp(host + random_.normal(0, 0.02, (2, 3000, 8))).tolist()
    alarms = 0
    for a, b in zip(first, second, strict=True):
        ratio = paired_ratio(a, b)
        assert ratio is not None
        alarms += ratio.excludes_one
    assert 0.035 <= alarms / 3000 <= 0.065


def test_pairing_by_block_finds_what_the_host_would_hide() -> None:
    random_ = np.random.default_rng(3)
    host = np.exp(random_.normal(0, 0.3, 10))
    a = (host * 1.05 * np.exp(random_.normal(0, 0.005, 10))).tolist()
    b = host.tolist()
    ratio = paired_ratio(a, b)
    assert ratio is not None
    assert ratio.excludes_one
    assert ratio.low < 1.05 < ratio.high
    assert ratio.half_width < 0.01 < interval_of(b).half_width


@given(medians)
def test_a_thing_compared_with_itself_is_equal(values: list[float]) -> None:
    ratio = paired_ratio(values, values)
    assert ratio is not None
    assert (ratio.low, ratio.estimate, ratio.high) == (1.0, 1.0, 1.0)
    assert not ratio.excludes_one


def test_pairs_must_match() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([1.0, 2.0], [1.0, 2.0, 3.0])
    assert paired_ratio([1.0], [1.0]) is None
