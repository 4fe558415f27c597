"""Quantiles of Student's t distribution."""

from __future__ import annotations

from functools import lru_cache

from onnxbench.measure.beta import regularized_beta


@lru_cache(maxsize=1024)
def quantile(p: float, degrees: float) -> float:
    """Return the t that a Student variable with ``degrees`` of freedom exceeds in 1 - ``p``.

    Bisection down to neighbouring floats on the tail given by Abramowitz & Stegun 26.7.1.
    Raises ValueError unless 0 < p < 1 and degrees > 0.
    """
    if not 0.0 < p < 1.0 or degrees <= 0.0:
        raise ValueError(f"no Student quantile for p={p}, degrees={degrees}")
    if p < 0.5:
        return -_above(p, degrees)
    return _above(1.0 - p, degrees)


def two_sided(confidence: float, degrees: float) -> float:
    """Return the t that |Student| stays below with probability ``confidence``."""
    return quantile((1.0 + confidence) / 2.0, degrees)


def _above(tail: float, degrees: float) -> float:
    """Return the t >= 0 with P(T > t) = ``tail``, for a tail of at most one half."""
    low, high = 0.0, 1.0
    while _tail(high, degrees) > tail:
        low, high = high, 2.0 * high
    while low < (middle := (low + high) / 2.0) < high:
        if _tail(middle, degrees) > tail:
            low = middle
        else:
            high = middle
    return low


def _tail(t: float, degrees: float) -> float:
    return regularized_beta(degrees / (degrees + t * t), degrees / 2.0, 0.5) / 2.0
