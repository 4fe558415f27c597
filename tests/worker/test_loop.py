"""Warm-up and sampling by a clock that runs only when a call takes time: exact counts."""

from __future__ import annotations

import itertools
from array import array
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbench.types import Sampling
from onnxbench.worker import loop
from onnxbench.worker.clock import SECOND_NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MS = 1_000_000


class Engine:
    """Calls take the durations given (ns), the last of them for ever; nothing else takes time."""

    def __init__(self, durations_ns: Iterable[int]) -> None:
        self.now_ns = 0
        self.calls = 0
        self._durations = iter(durations_ns)
        self._last = 0

    def clock(self) -> int:
        return self.now_ns

    def run(self) -> None:
        self.calls += 1
        self._last = next(self._durations, self._last)
        self.now_ns += self._last


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Engine]:
    """Makes an engine and lets the loop read its clock."""

    def make(*durations_ns: int) -> Engine:
        made = Engine(durations_ns)
        monkeypatch.setattr(loop, "now_ns", made.clock)
        return made

    return make


def sampling(**changes: Any) -> Sampling:
    """Return rules without any least time, so that a test names those it is about."""
    none: dict[str, Any] = {"warmup_s": 0.0, "warmup_runs": 0, "min_time_s": 0.0, "min_samples": 1}
    return Sampling(**none | changes)


def take(made: Engine, rules: Sampling, limit_ns: int = 10**15) -> tuple[loop.Sampled, list[int]]:
    room = loop.preallocate(rules)
    sampled = loop.sample(made.run, rules, room, limit_ns)
    return sampled, list(room[: sampled.count])


def test_samples_are_the_durations_of_the_calls(engine: Callable[..., Engine]) -> None:
    durations = [3, 1, 4, 1, 5, 9, 2, 6]
    sampled, taken = take(engine(*durations), sampling(min_samples=8))
    assert taken == durations
    assert (sampled.count, sampled.duration_ns, sampled.stop) == (8, sum(durations), "time")


@given(wanted=st.integers(1, 200))
def test_iterations_are_exact(wanted: int) -> None:
    made = Engine([1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "now_ns", made.clock)
        sampled, taken = take(made, sampling(iterations=wanted, min_time_s=9.0, min_samples=500))
    assert made.calls == sampled.count == len(taken) == wanted
    assert sampled.stop == "iterations"


def test_iterations_are_exact_for_slow_models_too(engine: Callable[..., Engine]) -> None:
    sampled, _ = take(engine(11 * SECOND_NS), sampling(iterations=12))
    assert (sampled.count, sampled.stop) == (12, "iterations")


def test_least_time_and_least_samples_must_both_be_met(engine: Callable[..., Engine]) -> None:
    fast, _ = take(engine(MS), sampling(min_samples=64, min_time_s=2.0))
    assert (fast.count, fast.stop) == (2000, "time")
    slow, _ = take(engine(100 * MS), sampling(min_samples=64, min_time_s=2.0))
    assert (slow.count, slow.stop) == (64, "time")


def test_room_ends_it(engine: Callable[..., Engine]) -> None:
    sampled, taken = take(engine(1), sampling(min_time_s=1.0, max_samples=100))
    assert (sampled.count, sampled.stop, len(taken)) == (100, "room", 100)


def test_the_limit_ends_it(engine: Callable[..., Engine]) -> None:
    sampled, _ = take(engine(300 * MS), sampling(min_samples=64), limit_ns=SECOND_NS)
    assert (sampled.count, sampled.stop) == (4, "limit")


def test_a_model_slower_than_ten_seconds_is_sampled_five_times(
    engine: Callable[..., Engine],
) -> None:
    slow, _ = take(engine(11 * SECOND_NS), sampling(min_samples=64, min_time_s=2.0))
    assert slow.count == loop.SLOW_MIN_SAMPLES == 5
    borderline, _ = take(engine(10 * SECOND_NS), sampling(min_samples=7))
    assert borderline.count == 7


def test_the_first_sample_may_be_the_last(engine: Callable[..., Engine]) -> None:
    assert take(engine(1), sampling(min_samples=1))[0].count == 1
    assert take(engine(SECOND_NS), sampling(min_samples=64), limit_ns=1)[0].count == 1


def test_room_is_preallocated_and_zero() -> None:
    assert loop.preallocate(sampling(max_samples=10)) == array("q", [0] * 10)
    assert len(loop.preallocate(sampling(iterations=7))) == 7


def test_warm_up_ends_when_two_windows_agree(engine: Callable[..., Engine]) -> None:
    falling = [MS * n for n in range(20, 0, -1)]  # two windows that differ
    made = engine(*falling, *[MS] * 100)
    warm = loop.warm_up(made.run, sampling(warmup_cap_s=100.0))
    # Windows: 20…11, 10…1, then 1 ms; the fourth agrees with the third.
    assert (warm.runs, warm.steady) == (40, True)
    assert warm.duration_ns == made.now_ns == sum(falling) + 20 * MS
    assert made.calls == 40


@pytest.mark.parametrize(("change", "runs"), [(1.019, 20), (1.021, 30), (0.981, 20), (0.979, 30)])
def test_windows_agree_within_two_percent(
    engine: Callable[..., Engine], change: float, runs: int
) -> None:
    made = engine(*[1000 * MS] * 10, *[int(1000 * MS * change)] * 20)
    assert loop.warm_up(made.run, sampling(warmup_cap_s=1000.0)).runs == runs


def test_one_stall_in_a_window_does_not_count_for_its_median(
    engine: Callable[..., Engine],
) -> None:
    made = engine(*[MS] * 10, SECOND_NS, *[MS] * 9)
    warm = loop.warm_up(made.run, sampling())
    assert (warm.runs, warm.steady) == (20, True)


def test_warm_up_gives_up_at_the_cap(engine: Callable[..., Engine]) -> None:
    growing = engine(*(int(MS * 1.1**n) for n in range(200)))
    warm = loop.warm_up(growing.run, sampling(warmup_cap_s=10.0))
    assert not warm.steady
    assert warm.duration_ns >= 10 * SECOND_NS
    assert warm.duration_ns / 1.1 < 11 * SECOND_NS, "no run more than needed"


def test_the_least_warm_up_is_kept_even_when_steady(engine: Callable[..., Engine]) -> None:
    assert loop.warm_up(engine(MS).run, sampling(warmup_s=0.5)).runs == 500
    assert loop.warm_up(engine(MS).run, sampling(warmup_runs=77)).runs == 77


def test_a_least_warm_up_beyond_the_cap_moves_the_cap(engine: Callable[..., Engine]) -> None:
    unsteady = engine(*itertools.islice(itertools.cycle([MS] * 10 + [2 * MS] * 10), 100_000))
    warm = loop.warm_up(unsteady.run, sampling(warmup_s=20.0, warmup_cap_s=10.0))
    assert warm.duration_ns >= 20 * SECOND_NS


def test_a_slow_model_is_warmed_up_the_least_number_of_runs(engine: Callable[..., Engine]) -> None:
    warm = loop.warm_up(engine(60 * SECOND_NS).run, sampling(warmup_runs=3))
    assert (warm.runs, warm.steady) == (3, False)


def test_sync_belongs_to_the_call() -> None:
    order: list[str] = []

    def run() -> None:
        order.append("run")

    def sync() -> None:
        order.append("sync")

    assert loop.one_call(run, None) is run
    loop.one_call(run, sync)()
    assert order == ["run", "sync"]
