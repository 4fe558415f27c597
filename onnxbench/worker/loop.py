"""Warm-up and the timed loop. Nothing in here prints, allocates per sample or knows a runtime."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxbench.worker.clock import SECOND_NS, now_ns

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.types import Sampling

RUNS_BEFORE_WARM_UP = 2
"""Of a timed child: the first, and the one whose outputs are kept."""

WINDOW = 10
"""Runs per window of the steady-state test."""

STEADY_WITHIN = 0.02
"""Medians of two windows that differ by at most this share count as steady."""

SLOW_RUN_NS = 10 * SECOND_NS
SLOW_MIN_SAMPLES = 5
"""A model that needs more than ten seconds per run is sampled five times, without percentiles."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What the warm-up did; ``steady`` is False when the cap was reached first."""

    runs: int
    duration_ns: int
    steady: bool


@dataclass(frozen=True, slots=True)
class Sampled:
    """How sampling went; ``stop`` is what ended it: time, iterations, room or limit."""

    count: int
    duration_ns: int
    stop: str


def preallocate(sampling: Sampling) -> array[int]:
    """Return the array that samples go to, with its pages touched.

    Made before memory is read for the first time, so that it never counts as the model's.
    """
    return array("q", bytes(8 * (sampling.iterations or sampling.max_samples)))


def one_call(run: Callable[[], object], sync: Callable[[], object] | None) -> Callable[[], object]:
    """Return the callable that is timed: ``run``, followed by ``sync`` where there is one."""
    if sync is None:
        return run

    def run_and_wait() -> None:
        run()
        sync()

    return run_and_wait


def warm_up(call: Callable[[], object], sampling: Sampling) -> WarmUp:
    """Run until the least warm-up is over and two windows of ten runs agree, or to the cap.

    The cap is one of time, not of runs: a cap of 300 runs flagged half of the fast networks.
    """
    start = now_ns()
    least = start + int(sampling.warmup_s * SECOND_NS)
    cap = start + int(max(sampling.warmup_cap_s, sampling.warmup_s) * SECOND_NS)
    window: list[int] = []
    previous: float | None = None
    runs, steady = 0, False
    while True:
        before = now_ns()
        call()
        after = now_ns()
        runs += 1
        window.append(after - before)
        if len(window) == WINDOW:
            median = _median(window)
            steady = previous is not None and abs(median - previous) <= STEADY_WITHIN * previous
            previous = median
            window.clear()
        enough = after >= least and runs >= sampling.warmup_runs
        if (enough and steady) or (after >= cap and runs >= sampling.warmup_runs):
            return WarmUp(runs, after - start, steady)


def sample(
    call: Callable[[], object], sampling: Sampling, room: array[int], limit_ns: int
) -> Sampled:
    """Fill ``room`` with the duration of each call in ns; return how many and why it ended.

    Ends after ``min_time_s`` and ``min_samples``, or after exactly ``iterations``; in any case
    when ``room`` is full or ``limit_ns`` has passed. The two clock readings enclose nothing but
    the call: storing the sample and testing for the end happen outside of them.
    """
    wanted = sampling.iterations or sampling.min_samples
    least_ns = 0 if sampling.iterations else int(sampling.min_time_s * SECOND_NS)
    clock = now_ns
    capacity = len(room)
    count = 0
    start = clock()
    while True:
        before = clock()
        call()
        after = clock()
        room[count] = after - before
        count += 1
        if count >= wanted and after - start >= least_ns:
            return Sampled(count, after - start, "iterations" if sampling.iterations else "time")
        if count == capacity:
            return Sampled(count, after - start, "room")
        if after - start >= limit_ns:
            return Sampled(count, after - start, "limit")
        if after - before > SLOW_RUN_NS and not sampling.iterations:
            wanted = min(wanted, SLOW_MIN_SAMPLES)


def _median(values: list[int]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
