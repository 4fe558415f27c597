"""CPU time of the parent (user and system, all threads) around the call that runs a child which
samples a real network for ten seconds. Start and end of a child are no measuring: the same call
for a child that takes one sample is taken off, from CPU time and wall time alike.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import light
from benchmarks.figure import Figure, progress
from benchmarks.isolation import NO_SAMPLING
from onnxbench.errors import WorkerError
from onnxbench.session import job_for
from onnxbench.targets.local import LocalTarget
from onnxbench.worker.clock import now_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.types import PlannedCell, Sampling

SECONDS = 10.0
REPEATS = 3
ALLOWED = 0.01


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU time of the parent, and wall time, for one child."""

    cpu_ns: int
    wall_ns: int


def measure(tiny: bool) -> Figure:
    planned = light.plan(("squeezenet",), NO_SAMPLING).cells[0]
    sampling = dataclasses.replace(NO_SAMPLING, min_time_s=0.5 if tiny else SECONDS)
    target = LocalTarget()
    _spend(target, planned, NO_SAMPLING)  # writes the bundle, imports what the first child needs
    found: list[tuple[Spent, Spent]] = []
    for number in range(1 if tiny else REPEATS):
        progress(f"parent: child {number + 1}")
        short = _spend(target, planned, NO_SAMPLING)
        found.append((_spend(target, planned, sampling), short))
    return judge(found)


def judge(found: Sequence[tuple[Spent, Spent]]) -> Figure:
    """Return the figure of (sampling child, child that takes one sample); the worst one counts."""
    shares = [
        (long.cpu_ns - short.cpu_ns) / (long.wall_ns - short.wall_ns) for long, short in found
    ]
    worst = max(shares)
    return Figure(
        title="parent's CPU while a child measures",
        target="< 1 % of a core",
        measured=f"{worst:.3%} of a core",
        met=worst < ALLOWED,
        table=(
            ("child", "parent's CPU, all", "start and end", "while sampling", "share of a core"),
            *(
                (
                    f"{long.wall_ns / 1e9:.1f} s",
                    f"{long.cpu_ns / 1e6:.1f} ms",
                    f"{short.cpu_ns / 1e6:.1f} ms",
                    f"{(long.cpu_ns - short.cpu_ns) / 1e6:.1f} ms",
                    f"{share:.3%}",
                )
                for share, (long, short) in zip(shares, found, strict=True)
            ),
        ),
        raw={
            "children": [
                {"sampling": dataclasses.asdict(long), "one_sample": dataclasses.asdict(short)}
                for long, short in found
            ]
        },
    )


def _spend(target: LocalTarget, planned: PlannedCell, sampling: Sampling) -> Spent:
    job = job_for(planned, sampling, "timed").document()
    start, cpu_start = now_ns(), time.process_time_ns()
    result = target.run_worker(job, planned.limits)
    spent = Spent(time.process_time_ns() - cpu_start, now_ns() - start)
    if result.status != "ok":
        raise WorkerError(f"a child ended {result.status}: {result.error}")
    return spent
