"""What a verdict is judged by: each possible suspicion as one number.

A rate (steal, foreign CPU use, drift, spread) is the median over processes, so that one unlucky
process does not decide, and comes with that of the worst process. An event (swap-in, throttling)
counts wherever it happened. What a machine does not tell makes no reading.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from onnxbench.worker.loop import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onnxbench.measure.distribution import Distribution
    from onnxbench.measure.interval import Interval
    from onnxbench.types import LoadDoc, Measurement

Code = Literal[
    "throttled",
    "swap-in",
    "clock-drop",
    "steal",
    "foreign-cores",
    "no-steady-state",
    "drift",
    "process-apart",
    "interval-wide",
    "iqr-wide",
    "few-processes",
    "small-sample",
    "engine-builds",
]

TRUSTED_PROCESSES = 5
"""With three or four processes an interval that also stops the run covers 90-93 %, not 95 %
(docs/method.md, finding 3)."""

ENGINE_BUILDS = 3
"""A build of an engine picks its kernels by times that noise has part in (NVIDIA, TensorRT
documentation), so one build is one draw, however many processes run it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One suspicion as a number: ``value`` is judged, ``worst`` is that of the worst process."""

    code: Code
    value: float
    worst: float


def gather(
    distributions: Sequence[Distribution],
    measurements: Sequence[Measurement],
    interval: Interval | None,
    processes_min: int,
) -> list[Reading]:
    """Return the readings of one cell from its good processes (at least one)."""
    return [
        *_from_load([measurement.get("load", {}) for measurement in measurements]),
        *_from_warmup(measurements),
        *_from_samples(distributions),
        *_from_processes(distributions, interval, processes_min),
        *_from_engines(measurements),
    ]


def reached_steady_state(measurement: Measurement) -> bool | None:
    """Return whether warm-up ended steady; None where it was too short for the worker's test.

    The test compares two windows, which a model of seconds per run does not fill before the cap;
    its drift while sampling is then the only witness.
    """
    warmup = measurement.get("warmup", {})
    if warmup.get("steady") is False and warmup.get("runs", 0) < 2 * WINDOW:
        return None
    steady: bool | None = warmup.get("steady")
    return steady


def _from_load(loads: Sequence[LoadDoc]) -> Iterator[Reading]:
    yield from _event("throttled", [load.get("throttle_events") for load in loads])
    yield from _event("swap-in", [load.get("swapped_in_pages") for load in loads])
    yield from _rate("clock-drop", [_clock_drop(load) for load in loads])
    yield from _rate("steal", [load.get("steal_share") for load in loads])
    yield from _rate("foreign-cores", [load.get("foreign_cores") for load in loads])


def _from_warmup(measurements: Sequence[Measurement]) -> Iterator[Reading]:
    tested = [flag for flag in map(reached_steady_state, measurements) if flag is not None]
    if tested:
        share = tested.count(False) / len(tested)
        yield Reading("no-steady-state", share, share)


def _from_samples(distributions: Sequence[Distribution]) -> Iterator[Reading]:
    yield from _rate("drift", [d.drift for d in distributions])
    yield from _rate("iqr-wide", [d.iqr_over_median for d in distributions])


def _from_processes(
    distributions: Sequence[Distribution], interval: Interval | None, processes_min: int
) -> Iterator[Reading]:
    n = len(distributions)
    missing = max(2, processes_min) - n
    yield Reading("few-processes", max(0, missing), max(0, missing))
    yield Reading("small-sample", max(0, TRUSTED_PROCESSES - n), max(0, TRUSTED_PROCESSES - n))
    if interval is not None:
        yield Reading("interval-wide", interval.half_width, interval.half_width)
        medians = [d.median_ns for d in distributions]
        middle = statistics.median(medians)
        apart = max((median / middle - 1.0 for median in medians), key=abs)
        yield Reading("process-apart", apart, apart)


def _from_engines(measurements: Sequence[Measurement]) -> Iterator[Reading]:
    """Count the builds behind processes whose runtime says that it runs an engine.

    A process without a cache built its own. Engines from a cache that it does not tell apart count
    as one.
    """
    found = [measurement.get("facts", {}).get("engine") for measurement in measurements]
    engines = [engine for engine in found if engine is not None]
    if engines:
        kept = {engine.get("build") for engine in engines if engine.get("cache")}
        builds = len(kept) + sum(not engine.get("cache") for engine in engines)
        missing = max(0, ENGINE_BUILDS - builds)
        yield Reading("engine-builds", missing, missing)


def _rate(code: Code, values: Sequence[float | None]) -> Iterator[Reading]:
    known = [value for value in values if value is not None]
    if known:
        yield Reading(code, statistics.median(known), max(known, key=abs))


def _event(code: Code, counts: Sequence[int | None]) -> Iterator[Reading]:
    known = [count for count in counts if count is not None]
    if known:
        yield Reading(code, sum(known), max(known))


def _clock_drop(load: LoadDoc) -> float | None:
    before, after = load.get("clock_hz_before"), load.get("clock_hz_after")
    return max(0.0, 1.0 - after / before) if before and after is not None else None
