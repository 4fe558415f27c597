"""Tail percentiles by the early-stopping rule of MLPerf LoadGen.

Source: mlcommons/inference_policies ``inference_rules.adoc``, appendix "Early Stopping", and
mlcommons/inference ``loadgen/early_stopping.cc`` and ``results.cc``: with percentile p, tolerance
d = 0 and confidence c = 0.99, h(t) is the smallest number of queries under the bound that makes
P(Binomial(h + t, 1 - p) <= t) <= 1 - c. With n samples take the largest t with n >= h(t) + t, drop
the t - 1 slowest and report the slowest that is left. The result is an upper bound of the true
percentile at 99 % confidence; it assumes independent samples and says nothing between processes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from onnxbench.measure.beta import regularized_beta

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

_DOUBT = 0.01
"""1 - c. Written out: 1 - 0.99 is not 0.01 in floating point."""


def floor(p: float) -> int:
    """Return the fewest samples from which percentile ``p`` (0 < p < 1) may be told: h(1) + 1."""
    _check(p)
    low, high = 1, 2
    while not _holds(high, 1, p):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _holds(middle, 1, p) else (middle, high)
    return high


def upper_bound(sorted_samples: Sequence[int] | npt.NDArray[np.int64], p: float) -> int | None:
    """Return LoadGen's estimate of percentile ``p`` in the unit of the ascending samples.

    None when there are fewer than `floor` of ``p`` samples.
    """
    n = len(sorted_samples)
    t = _over_latency(n, p)
    return None if t == 0 else int(sorted_samples[n - t])


@lru_cache(maxsize=256)
def _over_latency(n: int, p: float) -> int:
    """Return the largest t >= 1 with n >= h(t) + t, or 0.

    The binomial tail falls with n and grows with t, so "n >= h(t) + t" is "the tail holds at n",
    and t can be searched by bisection below the mean n (1 - p), where the tail is about one half.
    """
    _check(p)
    if n < 2 or not _holds(n, 1, p):
        return 0
    low, high = 1, int(n * (1.0 - p)) + 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _holds(n, middle, p) else (low, middle)
    return low


def _holds(n: int, t: int, p: float) -> bool:
    """Whether P(Binomial(n, 1 - p) <= t) <= 1 - c."""
    return t < n and regularized_beta(p, n - t, t + 1) <= _DOUBT


def _check(p: float) -> None:
    if not 0.0 < p < 1.0:
        raise ValueError(f"a percentile lies between 0 and 1, not {p}")
