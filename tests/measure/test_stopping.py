"""When a cell is finished."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onnxbench.measure.interval import t_interval
from onnxbench.measure.stopping import INTERVAL_NARROW, PROCESSES_MAX_REACHED, decide
from onnxbench.types import Sampling

NARROW = [100.0, 100.1, 99.9, 100.0, 100.05]
WIDE = [80.0, 120.0] * 5
FULL = Sampling()


@pytest.mark.parametrize("n", range(5))
def test_never_before_processes_min(n: int) -> None:
    decision = decide(NARROW[:n], FULL)
    assert not decision.done
    assert decision.reason == f"{n} of 5 processes"


def test_stops_when_the_interval_is_narrow() -> None:
    assert decide(NARROW, FULL).done
    assert decide(NARROW, FULL).reason == INTERVAL_NARROW


def test_goes_on_while_the_interval_is_wide_and_says_how_wide() -> None:
    decision = decide(WIDE[:9], FULL)
    assert not decision.done
    assert "target 2.0 %" in decision.reason


def test_the_target_is_compared_with_the_half_width() -> None:
    values = [97.0, 99.0, 100.0, 101.0, 103.0]
    interval = t_interval(values)
    assert interval is not None
    just, short = interval.half_width, interval.half_width * 0.999
    assert decide(values, Sampling(target_half_width=just)).done
    assert not decide(values, Sampling(target_half_width=short)).done


def test_stops_at_processes_max() -> None:
    assert decide(WIDE, FULL).done
    assert decide(WIDE, FULL).reason == PROCESSES_MAX_REACHED


def test_quick_takes_exactly_its_number_however_narrow() -> None:
    quick = Sampling.quick()
    assert [decide(NARROW[:n], quick).done for n in range(6)] == [False] * 5 + [True]
    assert decide(NARROW, quick).reason == PROCESSES_MAX_REACHED


def test_one_process_may_be_all_that_is_asked_for() -> None:
    one = Sampling(processes_min=1, processes_max=1, target_half_width=0.02)
    assert decide([5.0], one).reason == PROCESSES_MAX_REACHED


def test_stopping_on_width_keeps_the_coverage() -> None:
    random_ = np.random.default_rng(5)
    hits = 0
    for logs in random_.normal(0.0, 0.02, (1500, 10)).tolist():
        values = [math.exp(log) for log in logs]
        n = next(n for n in range(1, 11) if decide(values[:n], FULL).done)
        interval = t_interval(values[:n])
        assert interval is not None
        hits += interval.low <= 1.0 <= interval.high
    assert hits / 1500 >= 0.91  # docs/method.md, finding 3: 92-94 % from five processes on
