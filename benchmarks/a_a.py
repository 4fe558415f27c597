"""One network under two labels is the same thing twice, so a 95 % interval of its ratio should
exclude 1 in about 2 of 40 runs; six or more happen by chance in 1.4 % of cases. Each run is one of
the real session with ``--quick`` rules, five timed children per label, the order within each block
at random, in a store of its own; its ratio is paired by block, as for any comparison.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import light
from benchmarks.figure import Figure, progress
from onnxbench.cli.running import tool_document
from onnxbench.errors import WorkerError
from onnxbench.measure.interval import Ratio, paired_ratio
from onnxbench.probes import host
from onnxbench.report.progress import Progress
from onnxbench.session import execute, process_median_ns
from onnxbench.store import Store
from onnxbench.targets import bundle
from onnxbench.targets.local import LocalTarget
from onnxbench.types import Sampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.plan import Plan

NETWORK = "shufflenet"
RUNS = 40
ALLOWED = 5
LABELS = ("a", "b")
TINY = dataclasses.replace(
    Sampling.quick(),
    warmup_s=0.0,
    warmup_cap_s=0.0,
    min_time_s=0.01,
    min_samples=1,
    processes_min=2,
    processes_max=2,
)


@dataclass(frozen=True, slots=True)
class Run:
    """Process medians in ns of both labels, in the order of the blocks."""

    a_ns: tuple[float, ...]
    b_ns: tuple[float, ...]

    @property
    def ratio(self) -> Ratio:
        """Label a over label b."""
        found = paired_ratio(self.a_ns, self.b_ns)
        assert found is not None
        return found


def measure(tiny: bool) -> Figure:
    count = 1 if tiny else RUNS
    plan = light.plan((NETWORK,), TINY if tiny else Sampling.quick(), labels=LABELS)
    runs: list[Run] = []
    with (
        tempfile.TemporaryDirectory(prefix="onnxbench-figure-") as folder,
        Store.open(Path(folder, "results.db")) as store,
    ):
        for number in range(count):
            run = _run(plan, store)
            ratio = run.ratio
            progress(
                f"a_a: run {number + 1} of {count}: "
                f"{ratio.estimate:.4f} [{ratio.low:.4f}, {ratio.high:.4f}]"
            )
            runs.append(run)
    return judge(runs)


def judge(runs: Sequence[Run]) -> Figure:
    """Return the figure of all runs."""
    ratios = [run.ratio for run in runs]
    excluding = sum(ratio.excludes_one for ratio in ratios)
    widths = [ratio.half_width for ratio in ratios]
    pooled = paired_ratio(
        [value for run in runs for value in run.a_ns], [value for run in runs for value in run.b_ns]
    )
    assert pooled is not None
    return Figure(
        title="A/A: the same model under two labels, runs whose interval excludes 1",
        target=f"≤ {ALLOWED} of {RUNS}",
        measured=f"{excluding} of {len(runs)}",
        met=excluding <= ALLOWED,
        table=(
            ("of the runs", "value"),
            ("interval excludes 1", f"{excluding} of {len(runs)}"),
            ("median half-width of the interval", f"±{statistics.median(widths):.2%}"),
            ("ratio farthest from 1",
             f"{max((r.estimate for r in ratios), key=lambda r: abs(r - 1)):.4f}"),
            (f"ratio over all {pooled.n} blocks [95 %]",
             f"{pooled.estimate:.4f} [{pooled.low:.4f}, {pooled.high:.4f}]"),
        ),
        raw={
            "runs": [
                {"ratio": r.ratio.estimate, "low": r.ratio.low, "high": r.ratio.high,
                 "a_ns": r.a_ns, "b_ns": r.b_ns}
                for r in runs
            ]
        },
    )  # fmt: skip


def _run(plan: Plan, store: Store) -> Run:
    outcome = execute(
        plan,
        target_for=lambda _: LocalTarget(),
        builds=bundle.cache_folder(),
        store=store,
        host_id=host.host_id(),
        tool=tool_document(),
        observer=Progress(sys.stderr, quiet=True),
        fresh=True,
    )
    failed = [record["error"] for record in outcome.records if record["status"] != "ok"]
    if failed or outcome.ending != "finished":
        raise WorkerError(f"a run of the A/A comparison ended {outcome.ending}: {failed}")
    sides: list[tuple[float, ...]] = []
    for planned in plan.cells:
        children = store.children(outcome.run_id, planned.cell.cell_id)
        timed = {c.block: process_median_ns(c) for c in children if c.mode == "timed"}
        sides.append(tuple(timed[block] for block in sorted(timed)))
    return Run(*sides)
