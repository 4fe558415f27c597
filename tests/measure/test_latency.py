"""The latency document: which statistic over which samples, and a reason beside every null."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from onnxbench.measure import percentile
from onnxbench.measure.distribution import describe
from onnxbench.measure.latency import latency, no_latency

if TYPE_CHECKING:
    from onnxbench.types import LatencyDoc


def of(*processes: Any) -> LatencyDoc:
    arrays = [np.asarray(process, dtype=np.int64) for process in processes]
    return latency(arrays, [describe(array) for array in arrays])


def test_statistics_over_processes() -> None:
    found = of([100] * 9 + [900], [400] * 20)
    assert found["median_ns"] == pytest.approx(200.0)
    assert found["process_medians_ns"] == [100.0, 400.0]
    assert found["mean_ns"] == pytest.approx((180 + 400) / 2)
    assert found["min_ns"] == 100
    assert (found["samples"], found["samples_per_process"], found["processes"]) == (30, [10, 20], 2)
    assert found["outlier_share"] == pytest.approx(1 / 30)
    assert found["iqr_over_median"] == 0.0
    low, high = found["ci95_ns"] or []
    assert low < 200.0 < high
    assert math.sqrt(low * high) == pytest.approx(200.0)


def test_a_percentile_is_the_median_of_the_processes_own() -> None:
    processes = [np.random.default_rng(seed).integers(10**6, 2 * 10**6, 700) for seed in range(5)]
    found = of(*processes)
    for p, key in ((0.90, "p90_ns"), (0.95, "p95_ns"), (0.99, "p99_ns")):
        bounds = sorted(percentile.upper_bound(np.sort(process), p) or 0 for process in processes)
        assert found.get(key) == bounds[2]
    assert not [key for key in found if key.endswith("_reason")]


def test_one_short_process_withholds_the_percentile_and_says_so() -> None:
    found = of(range(1000, 2000), range(1000, 1120))
    assert found["p90_ns"] is not None
    assert found["p95_ns"] is None
    assert found["p95_reason"] == "n=120 < 130 in the smallest process"
    assert found["p99_ns"] is None
    assert found["p99_reason"] == "n=120 < 662 in the smallest process"


def test_one_process_has_a_median_and_no_interval() -> None:
    found = of([7, 8, 9])
    assert found["median_ns"] == pytest.approx(8.0)
    assert found["ci95_ns"] is None
    assert "at least 2 processes" in found["ci95_reason"]


@pytest.mark.parametrize(
    "document", [no_latency("because"), of(), of([0, 0, 0], [5, 5, 5])], ids=["no", "none", "zero"]
)
def test_a_cell_without_latency_gives_nulls_and_reasons(document: LatencyDoc) -> None:
    values: dict[str, Any] = dict(document)
    nulls = [key for key, value in values.items() if value is None]
    assert {"median_ns", "ci95_ns", "min_ns", "mean_ns", "p90_ns", "p95_ns", "p99_ns"} < set(nulls)
    assert values["reason"]
    assert all(values[f"{name}_reason"] for name in ("ci95", "p90", "p95", "p99"))
