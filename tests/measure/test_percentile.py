"""LoadGen's percentile rule, against its published floors and an exact binomial tail."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbench.measure import percentile

FLOORS = {"0.90": 64, "0.95": 130, "0.97": 219, "0.99": 662, "0.999": 6636}


def exact_tail(n: int, t: int, p: Fraction) -> Fraction:
    """P(Binomial(n, 1 - p) <= t) without rounding."""
    return sum((comb(n, k) * (1 - p) ** k * p ** (n - k) for k in range(t + 1)), start=Fraction(0))


@pytest.mark.parametrize(("p", "fewest"), FLOORS.items())
def test_floors_are_those_of_loadgen(p: str, fewest: int) -> None:
    assert percentile.floor(float(p)) == fewest


@pytest.mark.parametrize(("p", "fewest"), [item for item in FLOORS.items() if item[1] < 1000])
def test_floor_is_the_first_n_whose_exact_tail_holds(p: str, fewest: int) -> None:
    assert exact_tail(fewest, 1, Fraction(p)) <= Fraction("0.01")
    assert exact_tail(fewest - 1, 1, Fraction(p)) > Fraction("0.01")


@pytest.mark.parametrize("n", [64, 65, 100, 130, 250, 700])
@pytest.mark.parametrize("p", ["0.90", "0.95", "0.99"])
def test_bound_drops_as_many_as_the_exact_rule(n: int, p: str) -> None:
    holding = 0
    while exact_tail(n, holding + 1, Fraction(p)) <= Fraction("0.01"):
        holding += 1
    expected = n - holding if holding else None
    assert percentile.upper_bound(range(n), float(p)) == expected


def test_bound_of_known_sizes() -> None:
    # docs/method.md, section 4: what n samples buy, as the rank that is reported.
    assert percentile.upper_bound(range(1, 1001), 0.90) == 923
    assert percentile.upper_bound(range(1, 1001), 0.99) == 999
    assert percentile.upper_bound(range(1, 10_001), 0.99) == 9924
    assert percentile.upper_bound(range(1, 1_000_001), 0.99) == pytest.approx(990_233, abs=1)


@given(st.integers(0, 3000), st.floats(0.5, 0.999))
def test_never_a_percentile_below_its_floor(n: int, p: float) -> None:
    assert (percentile.upper_bound(range(n), p) is None) == (n < percentile.floor(p))


@given(st.integers(64, 5000), st.floats(0.5, 0.99), st.floats(0.0, 0.009))
def test_bound_rises_with_p(n: int, p: float, step: float) -> None:
    lower = percentile.upper_bound(range(n), p)
    higher = percentile.upper_bound(range(n), p + step)
    assert higher is None or (lower is not None and lower <= higher)


def test_bound_is_above_the_true_percentile_99_times_in_100() -> None:
    samples = np.sort(np.random.default_rng(1).random((2000, 500)), axis=1)
    below = sum((percentile.upper_bound((row * 1e9).astype(np.int64), 0.9) or 0) < 9e8
                for row in samples)  # fmt: skip
    assert below / len(samples) <= 0.015


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 99.0])
def test_a_percentile_lies_between_0_and_1(p: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        percentile.floor(p)
    with pytest.raises(ValueError, match="between 0 and 1"):
        percentile.upper_bound(range(1000), p)
