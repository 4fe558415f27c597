"""The soft limit asks once, and only what can be asked."""

from __future__ import annotations

import threading
import time

from onnxbench.worker.watchdog import Watchdog

FOREVER_S = 3600.0


def test_what_lasts_too_long_is_asked_to_stop_once() -> None:
    asked = threading.Event()
    calls: list[int] = []
    watchdog = Watchdog()
    watchdog.interrupt = lambda: (calls.append(1), asked.set())  # type: ignore[assignment, func-returns-value]
    watchdog.arm(0.01)
    assert asked.wait(30)
    time.sleep(0.05)
    assert watchdog.fired
    assert calls == [1]


def test_a_phase_that_ends_in_time_is_left_alone() -> None:
    calls: list[int] = []
    watchdog = Watchdog()
    watchdog.interrupt = lambda: calls.append(1)
    watchdog.arm(0.02)
    watchdog.disarm()
    watchdog.arm(FOREVER_S)
    time.sleep(0.1)
    assert calls == []
    assert not watchdog.fired


def test_with_nothing_to_stop_it_has_not_fired() -> None:
    watchdog = Watchdog()
    watchdog.arm(0.01)
    time.sleep(0.1)
    assert not watchdog.fired
    asked = threading.Event()
    watchdog.interrupt = asked.set
    watchdog.arm(0.01)
    assert asked.wait(30), "it is still awake for the next phase"


def test_it_is_one_thread_however_many_phases() -> None:
    watchdog = Watchdog()
    before = threading.active_count()
    for _ in range(20):
        watchdog.arm(FOREVER_S)
        watchdog.disarm()
    assert threading.active_count() == before
