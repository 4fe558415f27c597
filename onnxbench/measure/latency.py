"""The latency of one cell from the samples of its good processes."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import numpy as np

from onnxbench.measure import percentile
from onnxbench.measure.interval import geometric_mean, missing_reason, t_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from onnxbench.measure.distribution import Distribution
    from onnxbench.types import LatencyDoc


def latency(
    samples_ns: Sequence[npt.NDArray[np.int64]], distributions: Sequence[Distribution]
) -> LatencyDoc:
    """Return the latency over processes; ``samples_ns`` and ``distributions`` in equal order.

    ``median_ns``: exp(mean log) of the process medians, with its 95 % t-interval. ``mean_ns``:
    mean of the process means, so that each process weighs the same. ``min_ns``: of all samples.
    ``p90_ns`` …: median over processes of LoadGen's upper bound. ``iqr_over_median``: median over
    processes. ``outlier_share``: of all samples, each against the fences of its own process.
    """
    if not distributions:
        return no_latency("no process was timed to its end")
    medians = [distribution.median_ns for distribution in distributions]
    if min(medians) <= 0.0:
        return no_latency("a process median is 0 ns: the clock does not resolve this model")
    ordered = [np.sort(samples) for samples in samples_ns]
    spreads = [d.iqr_over_median for d in distributions if d.iqr_over_median is not None]
    count = sum(distribution.count for distribution in distributions)
    document: LatencyDoc = {
        "median_ns": geometric_mean(medians),
        "ci95_ns": None,
        "min_ns": min(distribution.min_ns for distribution in distributions),
        "mean_ns": statistics.fmean(distribution.mean_ns for distribution in distributions),
        "p90_ns": _bound(ordered, 0.90),
        "p95_ns": _bound(ordered, 0.95),
        "p99_ns": _bound(ordered, 0.99),
        "iqr_over_median": statistics.median(spreads),
        "outlier_share": sum(d.outliers.count for d in distributions) / count,
        "samples": count,
        "samples_per_process": [distribution.count for distribution in distributions],
        "processes": len(distributions),
        "process_medians_ns": medians,
    }
    _give_reasons(document, min(distribution.count for distribution in distributions))
    interval = t_interval(medians)
    if interval is None:
        document["ci95_reason"] = missing_reason(medians) or ""
    else:
        document["ci95_ns"] = [interval.low, interval.high]
    return document


def no_latency(reason: str) -> LatencyDoc:
    """Return the latency of a cell that has none: nulls, and the one reason for all of them."""
    return {
        "median_ns": None,
        "ci95_ns": None,
        "ci95_reason": reason,
        "min_ns": None,
        "mean_ns": None,
        "p90_ns": None,
        "p95_ns": None,
        "p99_ns": None,
        "p90_reason": reason,
        "p95_reason": reason,
        "p99_reason": reason,
        "iqr_over_median": None,
        "outlier_share": None,
        "samples": 0,
        "samples_per_process": [],
        "processes": 0,
        "process_medians_ns": [],
        "reason": reason,
    }


def _bound(ordered: Sequence[npt.NDArray[np.int64]], p: float) -> int | None:
    """Return the median over processes of LoadGen's bound; None unless every process has one."""
    bounds = [percentile.upper_bound(samples, p) for samples in ordered]
    known = [bound for bound in bounds if bound is not None]
    return round(statistics.median(known)) if len(known) == len(bounds) else None


def _give_reasons(document: LatencyDoc, fewest: int) -> None:
    if document["p90_ns"] is None:
        document["p90_reason"] = _too_few(fewest, 0.90)
    if document["p95_ns"] is None:
        document["p95_reason"] = _too_few(fewest, 0.95)
    if document["p99_ns"] is None:
        document["p99_reason"] = _too_few(fewest, 0.99)


def _too_few(fewest: int, p: float) -> str:
    return f"n={fewest} < {percentile.floor(p)} in the smallest process"
