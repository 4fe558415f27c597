"""Student's t and the incomplete beta function, against tables and closed forms."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbench.measure import student
from onnxbench.measure.beta import regularized_beta

# NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2, upper critical values.
TABLE = [
    (0.90, 1, 3.078), (0.95, 1, 6.314), (0.975, 1, 12.706), (0.99, 1, 31.821), (0.995, 1, 63.657),
    (0.975, 2, 4.303), (0.975, 3, 3.182), (0.975, 4, 2.776), (0.975, 5, 2.571), (0.975, 6, 2.447),
    (0.975, 9, 2.262), (0.95, 5, 2.015), (0.995, 10, 3.169), (0.975, 19, 2.093), (0.975, 30, 2.042),
    (0.999, 30, 3.385), (0.975, 100, 1.984), (0.975, 10**7, 1.960),
]  # fmt: skip


@pytest.mark.parametrize(("p", "degrees", "expected"), TABLE)
def test_quantile_equals_the_published_table(p: float, degrees: int, expected: float) -> None:
    assert round(student.quantile(p, degrees), 3) == expected


def test_two_sided_takes_both_tails() -> None:
    assert student.two_sided(0.95, 4) == pytest.approx(2.7764451051977987, rel=1e-12)


@given(st.floats(1e-6, 1 - 1e-6))
def test_quantile_equals_the_closed_forms_for_one_and_two_degrees(p: float) -> None:
    assert student.quantile(p, 1) == pytest.approx(
        math.tan(math.pi * (p - 0.5)), rel=1e-9, abs=1e-9
    )
    two = (2 * p - 1) / math.sqrt(2 * p * (1 - p))
    assert student.quantile(p, 2) == pytest.approx(two, rel=1e-9, abs=1e-9)


@given(st.floats(0.001, 0.499), st.integers(1, 200))
def test_quantile_is_antisymmetric_and_rises(p: float, degrees: int) -> None:
    assert student.quantile(p, degrees) == pytest.approx(-student.quantile(1 - p, degrees))
    assert student.quantile(p, degrees) < student.quantile(p + 0.01, degrees)


@pytest.mark.parametrize(("p", "degrees"), [(0, 5), (1, 5), (-1, 5), (math.nan, 5), (0.9, 0)])
def test_quantile_refuses_what_has_none(p: float, degrees: float) -> None:
    with pytest.raises(ValueError, match="no Student quantile"):
        student.quantile(p, degrees)


@given(st.floats(0.0, 1.0), st.integers(1, 40), st.integers(1, 40))
def test_beta_equals_the_binomial_sum(x: float, a: int, b: int) -> None:
    # DLMF 8.17.5: I_x(a, b) is the chance of at least a successes in a + b - 1 trials.
    n = a + b - 1
    chance = math.fsum(math.comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1))
    assert regularized_beta(x, a, b) == pytest.approx(chance, rel=1e-11, abs=1e-13)
