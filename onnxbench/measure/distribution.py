"""The shape of the samples of one process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_MILD = 1.5
_SEVERE = 3.0
_LEAST_FOR_DRIFT = 4


@dataclass(frozen=True, slots=True)
class Outliers:
    """Samples outside Tukey's fences: counted by kind and kept, never dropped.

    Mild: beyond 1.5 interquartile ranges from the quartiles; severe: beyond 3 (J. W. Tukey,
    Exploratory Data Analysis, 1977; the four kinds as in criterion.rs). ``time_share``: of the
    summed time of all samples.
    """

    low_severe: int
    low_mild: int
    high_mild: int
    high_severe: int
    time_share: float

    @property
    def count(self) -> int:
        """All four kinds together."""
        return self.low_severe + self.low_mild + self.high_mild + self.high_severe


@dataclass(frozen=True, slots=True)
class Distribution:
    """What the samples of one process look like.

    ``iqr_over_median``: interquartile range by the median; one spike moves it little, where it
    would double a coefficient of variation. ``drift``: median of the second half by that of the
    first half, minus 1; None below four samples. Both are None when the median they divide by is 0.
    """

    count: int
    median_ns: float
    min_ns: int
    mean_ns: float
    iqr_over_median: float | None
    drift: float | None
    outliers: Outliers


def describe(samples_ns: npt.NDArray[np.int64]) -> Distribution:
    """Return the distribution of ``samples_ns``, in the order in which they were taken.

    Quartiles are interpolated linearly (type 7 of Hyndman & Fan 1996, numpy's default). Raises
    ValueError when there is no sample.
    """
    if samples_ns.size == 0:
        raise ValueError("no samples")
    q1, median, q3 = (float(q) for q in np.percentile(samples_ns, (25, 50, 75)))
    return Distribution(
        count=int(samples_ns.size),
        median_ns=median,
        min_ns=int(samples_ns.min()),
        mean_ns=float(samples_ns.mean()),
        iqr_over_median=(q3 - q1) / median if median > 0.0 else None,
        drift=_drift(samples_ns),
        outliers=_outliers(samples_ns, q1, q3),
    )


def _drift(samples_ns: npt.NDArray[np.int64]) -> float | None:
    if samples_ns.size < _LEAST_FOR_DRIFT:
        return None
    half = samples_ns.size // 2
    first, second = float(np.median(samples_ns[:half])), float(np.median(samples_ns[half:]))
    return second / first - 1.0 if first > 0.0 else None


def _outliers(samples_ns: npt.NDArray[np.int64], q1: float, q3: float) -> Outliers:
    iqr = q3 - q1
    below, above = samples_ns < q1 - _MILD * iqr, samples_ns > q3 + _MILD * iqr
    low_severe = int(np.count_nonzero(samples_ns < q1 - _SEVERE * iqr))
    high_severe = int(np.count_nonzero(samples_ns > q3 + _SEVERE * iqr))
    total = int(samples_ns.sum())
    return Outliers(
        low_severe=low_severe,
        low_mild=int(np.count_nonzero(below)) - low_severe,
        high_mild=int(np.count_nonzero(above)) - high_severe,
        high_severe=high_severe,
        time_share=int(samples_ns[below | above].sum()) / total if total else 0.0,
    )
