"""Confidence intervals over processes, on logarithms.

Latencies are positive and their errors multiply, so a process counts by the logarithm of its
median. Student's t on logarithms kept 94-95 % coverage at every number of processes, where a
percentile bootstrap of five processes covered 83 % (docs/method.md, finding 2).
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxbench.measure import student

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the interval around it, in the unit of the values; ``n`` of them."""

    estimate: float
    low: float
    high: float
    n: int

    @property
    def half_width(self) -> float:
        """Half of the interval's width, relative to the estimate."""
        return (self.high - self.low) / (2.0 * self.estimate)


@dataclass(frozen=True, slots=True)
class Ratio(Interval):
    """A ratio of two things that were measured in the same ``n`` blocks."""

    @property
    def excludes_one(self) -> bool:
        """Whether the interval leaves no room for "no difference"."""
        return not self.low <= 1.0 <= self.high


def missing_reason(values: Sequence[float]) -> str | None:
    """Return why `t_interval` has no answer for ``values``, None if it has one."""
    if len(values) < 2:
        return f"an interval needs at least 2 processes, there are {len(values)}"
    if not all(value > 0.0 for value in values):
        return "a process median is 0 ns: the clock does not resolve this model"
    return None


def geometric_mean(values: Sequence[float]) -> float:
    """Return exp(mean log) of positive ``values``; raises ValueError for others or none."""
    if not values:
        raise ValueError("no values")
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Return the geometric mean of ``values``, one per process, and its t-interval.

    None where `missing_reason` says why.
    """
    if missing_reason(values) is not None:
        return None
    center, margin = _center_and_margin([math.log(value) for value in values], confidence)
    return Interval(
        math.exp(center), math.exp(center - margin), _finite_exp(center + margin), len(values)
    )


def paired_ratio(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> Ratio | None:
    """Return a / b with its t-interval, from values that are paired by block.

    What a block does to both sides cancels. None where `missing_reason` says why; raises
    ValueError when the two sides differ in length.
    """
    if missing_reason(a) is not None or missing_reason(b) is not None:
        return None
    logs = [math.log(x) - math.log(y) for x, y in zip(a, b, strict=True)]
    center, margin = _center_and_margin(logs, confidence)
    return Ratio(
        math.exp(center), math.exp(center - margin), _finite_exp(center + margin), len(logs)
    )


def _finite_exp(exponent: float) -> float:
    # Two wildly different processes leave the interval without a bound that a float, or a JSON
    # document, can hold.
    return math.exp(min(exponent, math.log(sys.float_info.max)))


def _center_and_margin(values: Sequence[float], confidence: float) -> tuple[float, float]:
    # fsum: the result does not depend on the order of the processes, not even in the last bit.
    n = len(values)
    mean = math.fsum(values) / n
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return mean, student.two_sided(confidence, n - 1) * math.sqrt(variance / n)
