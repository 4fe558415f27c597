"""When a cell has been measured by enough processes.

Stop on width, never on significance: testing for a difference after each process gives 23 % false
alarms, stopping on a narrow interval keeps its coverage (docs/method.md, finding 3). The rule sees
the medians of one cell and nothing of any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxbench.measure.interval import t_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.types import Sampling

INTERVAL_NARROW = "interval narrow"
PROCESSES_MAX_REACHED = "processes_max reached"


@dataclass(frozen=True, slots=True)
class Stop:
    """Whether to stop: ``reason`` says what ended the cell, or what is still missing."""

    done: bool
    reason: str


def decide(process_medians: Sequence[float], sampling: Sampling) -> Stop:
    """Decide from the medians of the good processes so far whether the cell is finished.

    Without a target width (quick mode) a cell takes exactly ``processes_max`` processes.
    """
    n, target = len(process_medians), sampling.target_half_width
    interval = t_interval(process_medians)
    narrow = target is not None and interval is not None and interval.half_width <= target
    if narrow and n >= sampling.processes_min:
        return Stop(done=True, reason=INTERVAL_NARROW)
    if n >= sampling.processes_max:
        return Stop(done=True, reason=PROCESSES_MAX_REACHED)
    if target is None or n < sampling.processes_min:
        needed = sampling.processes_max if target is None else sampling.processes_min
        return Stop(done=False, reason=f"{n} of {needed} processes")
    width = "no interval" if interval is None else f"half-width {100 * interval.half_width:.1f} %"
    return Stop(done=False, reason=f"{width}, target {100 * target:.1f} %")
