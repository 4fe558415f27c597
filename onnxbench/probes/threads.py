"""Threads of this process: how many there are, and how much each has computed."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BUSY_SHARE = 0.1
"""A thread that was on a processor for this share of the time takes part in the work, or spins."""


def count() -> int:
    """Return the number of threads of this process that the system sees."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


def cpu_ns() -> Mapping[str, int] | None:
    """Return the time that each thread has been on a processor, by its id; None if untold.

    `Documentation/scheduler/sched-stats.rst`: the first field of ``schedstat`` is in ns.
    """
    try:
        found = {thread: _cpu_ns_of(thread) for thread in os.listdir("/proc/self/task")}
    except (OSError, ValueError, IndexError):
        return None
    return {thread: spent for thread, spent in found.items() if spent is not None}


def _cpu_ns_of(thread: str) -> int | None:
    try:
        with open(f"/proc/self/task/{thread}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0])
    except ProcessLookupError:  # it has just ended
        return None


def busy(
    before: Mapping[str, int] | None, after: Mapping[str, int] | None, wall_ns: int
) -> int | None:
    """Return how many threads were busy between two readings of `cpu_ns`, ``wall_ns`` apart."""
    if before is None or after is None or wall_ns <= 0:
        return None
    spent = (total - before.get(thread, 0) for thread, total in after.items())
    return sum(time >= BUSY_SHARE * wall_ns for time in spent)
