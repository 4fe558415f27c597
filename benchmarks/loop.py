"""Two loops over one session in one process, in pairs of blocks in random order. *Ours* is
``onnxbench.worker.loop.sample`` around the call that the adapter made; its result is the mean of
the recorded samples. *Bare* is what anyone would type, ``for _ in range(n): session.run(None,
feed)`` (``run_with_iobinding`` for boundary ``device``), timed as a whole and divided by n.

A bare loop that read the clock around each call would contain the very readings that are on trial,
and they would cancel. Timed as a whole it holds nothing of ours, so whatever the adapter's
binding, the clock readings, or the bookkeeping between two calls (by pushing the model out of the
caches) add to a recorded sample shows in the ratio. Means, not medians, because a loop timed as a
whole has no median. Both sides run with the garbage collector off, as samples are taken, and with
one thread, which leaves other processes a core. Blocks are short, because the speed of a shared
machine changes from one 0.1 s to the next; they go on until the interval is within ± 0.4 %,
whatever the ratio, or for 100 s.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import light
from benchmarks.figure import Figure, progress
from onnxbench.measure.interval import Ratio, paired_ratio
from onnxbench.session import job_for
from onnxbench.types import Sampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.pairs import Pairs
    from onnxbench.types import PlannedCell

NETWORKS = ("shufflenet", "squeezenet", "inception_v1")
WITHIN = 0.01
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Effort:
    """When it is enough: ``least_pairs``, and the interval of the ratio within ± ``width`` or
    ``most_s`` used up. ``block_s``: aim for the duration of a block."""

    block_s: float = 0.02
    least_pairs: int = 30
    most_s: float = 100.0
    width: float = 0.004


@dataclass(frozen=True, slots=True)
class Comparison:
    """Our loop and a bare one on one cell: ``pairs`` of mean ns per call over ``calls``."""

    name: str
    calls: int
    pairs: Pairs

    @property
    def ratio(self) -> Ratio:
        """Ours over bare."""
        found = paired_ratio([ours for ours, _ in self.pairs], [bare for _, bare in self.pairs])
        assert found is not None
        return found

    @property
    def holds(self) -> bool:
        """Whether the whole interval lies within 1 ± 1 %."""
        return self.ratio.low >= 1 - WITHIN and self.ratio.high <= 1 + WITHIN


def measure(tiny: bool) -> Figure:
    sampling, effort = Sampling.quick(), Effort()
    if tiny:
        sampling = replace(sampling, warmup_s=0.0, warmup_cap_s=0.0)
        effort = Effort(least_pairs=2, most_s=0.0)
    plan = light.plan(
        NETWORKS[:1] if tiny else NETWORKS, sampling, boundaries=("host", "device"), threads=1
    )
    return judge([_compare(cell, sampling, effort) for cell in plan.cells])


def judge(comparisons: Sequence[Comparison]) -> Figure:
    """Return the figure of all comparisons; ``measured`` is the interval end farthest from 1."""
    ends = [end for c in comparisons for end in (c.ratio.low, c.ratio.high)]
    farthest = max(ends, key=lambda end: abs(end - 1))
    return Figure(
        title="our loop vs a bare loop over the runtime's own call",
        target="95 % t-interval of the ratio inside 1 ± 1 %, 3 networks, ≥ 20 pairs",
        measured=f"the worst of {len(comparisons)} intervals ends {farthest - 1:+.2%} from 1",
        met=all(comparison.holds for comparison in comparisons),
        table=(
            ("network, boundary", "pairs × calls", "bare loop per call", "ratio [95 %]", "met"),
            *(_row(comparison) for comparison in comparisons),
        ),
        raw={c.name: {"calls": c.calls, "ours_bare_ns": c.pairs} for c in comparisons},
    )


def _row(comparison: Comparison) -> tuple[str, ...]:
    ratio = comparison.ratio
    mean_ms = sum(bare for _, bare in comparison.pairs) / len(comparison.pairs) / 1e6
    return (
        comparison.name,
        f"{len(comparison.pairs)} × {comparison.calls}",
        f"{mean_ms:.3f} ms",
        f"{ratio.estimate:.4f} [{ratio.low:.4f}, {ratio.high:.4f}]",
        "yes" if comparison.holds else "**no**",
    )


def _compare(planned: PlannedCell, sampling: Sampling, effort: Effort) -> Comparison:
    """Run both loops in a child, for this process imports no runtime."""
    name = f"{planned.cell.model_id}, {planned.cell.boundary}"
    progress(f"loop: {name}")
    with tempfile.TemporaryDirectory(prefix="onnxbench-figure-") as folder:
        job = Path(folder, "job.json")
        document = job_for(planned, sampling, "timed").document()
        job.write_text(json.dumps(document), encoding="utf-8")
        ended = subprocess.run(
            [sys.executable, "-m", "benchmarks.blocks", str(job), *map(str, astuple(effort))],
            cwd=ROOT,
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
            stdout=subprocess.PIPE,
            check=True,
        )
    found = json.loads(ended.stdout)
    return Comparison(name, found["calls"], [(ours, bare) for ours, bare in found["pairs"]])
