"""The shape of one process's samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbench.measure.distribution import Distribution, describe

samples = st.lists(st.integers(1, 10**9), min_size=1, max_size=60)


def of(*values: int) -> Distribution:
    return describe(np.asarray(values, dtype=np.int64))


def test_figures_of_known_samples() -> None:
    found = of(10, 20, 30, 40, 50)
    assert (found.count, found.median_ns, found.min_ns, found.mean_ns) == (5, 30.0, 10, 30.0)
    assert found.iqr_over_median == pytest.approx(20 / 30)
    assert found.drift == pytest.approx(40 / 15 - 1)


def test_drift_is_signed_and_needs_four_samples() -> None:
    assert of(100, 100, 110, 110).drift == pytest.approx(0.10)
    assert of(110, 110, 99, 99).drift == pytest.approx(-0.10)
    assert of(1, 2, 3).drift is None


def test_outliers_are_classified_and_kept() -> None:
    # Quartiles 100 and 104, range 4: mild beyond 94 and 110, severe beyond 88 and 116.
    body = [100, 100, 100, 101, 102, 103, 104, 104, 104] * 3
    found = of(*body, 111, 200, 90, 10)
    kinds = found.outliers
    assert (kinds.low_severe, kinds.low_mild, kinds.high_mild, kinds.high_severe) == (1, 1, 1, 1)
    assert kinds.count == 4
    assert found.count == len(body) + 4
    assert kinds.time_share == pytest.approx(411 / (sum(body) + 411))


def test_one_spike_moves_the_spread_little() -> None:
    body = list(range(1000, 1100))
    calm, spiky = of(*body), of(*body, 10**6)
    assert calm.iqr_over_median is not None
    assert spiky.iqr_over_median == pytest.approx(calm.iqr_over_median, rel=0.05)
    assert spiky.mean_ns > 5 * calm.mean_ns


@given(samples, st.integers(2, 1000))
def test_relative_figures_do_not_depend_on_the_unit(values: list[int], scale: int) -> None:
    found, scaled = of(*values), of(*(value * scale for value in values))
    assert scaled.iqr_over_median == pytest.approx(found.iqr_over_median)
    assert scaled.drift == pytest.approx(found.drift)
    assert scaled.median_ns == pytest.approx(found.median_ns * scale)


@given(samples)
def test_figures_lie_within_the_samples(values: list[int]) -> None:
    found = of(*values)
    assert found.min_ns == min(values) <= found.median_ns <= max(values)
    assert 0 <= found.outliers.count <= found.count
    assert 0.0 <= found.outliers.time_share <= 1.0


def test_a_median_of_zero_divides_nothing() -> None:
    found = of(0, 0, 0, 0, 5)
    assert found.iqr_over_median is None
    assert found.drift is None
    assert of(0, 0).outliers.time_share == 0.0


def test_no_samples_have_no_distribution() -> None:
    with pytest.raises(ValueError, match="no samples"):
        of()
