"""What a process of its own costs each child: wall time of a child that imports the runtime and
does nothing with it, minus that of ``python -c "import numpy, onnxruntime"``, in alternating pairs.

The child is a real one: the job of a real cell (its inputs are made and hashed, its model file is
checked, room for samples is made), the same supervisor, bundle, phases and result channel; only
its adapter builds an engine without a model, so that none of the runtime's own work is in it. Its
wall time is that of the parent's whole call, private folder and job file included. The bare
process ends by ``os._exit``, as a child does: shutting an interpreter down is not importing.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import light
from benchmarks.figure import Figure
from benchmarks.pairs import alternate, mean_difference, wall_ns
from onnxbench.errors import WorkerError
from onnxbench.session import job_for
from onnxbench.targets.local import LocalTarget
from onnxbench.types import Limits, Sampling

if TYPE_CHECKING:
    from benchmarks.pairs import Pairs

ADAPTER = "benchmarks.import_only:IMPORT_ONLY"
BARE = "import os, numpy, onnxruntime; os._exit(0)"
PAIRS = 20
ALLOWED_S = 0.15
NO_SAMPLING = dataclasses.replace(
    Sampling.quick(), warmup_s=0.0, warmup_cap_s=0.0, min_time_s=0.0, min_samples=1
)


def measure(tiny: bool) -> Figure:
    planned = light.plan(("squeezenet",), NO_SAMPLING).cells[0]
    job = dataclasses.replace(job_for(planned, NO_SAMPLING, "timed"), adapter=ADAPTER)
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    with tempfile.TemporaryDirectory(prefix="onnxbench-figure-") as cache:
        target = LocalTarget(cache=Path(cache))

        def child() -> None:
            result = target.run_worker(job.document(), Limits())
            if result.status != "ok":
                raise WorkerError(f"a child ended {result.status}: {result.error}")

        def bare() -> None:
            subprocess.run([sys.executable, "-c", BARE], env=environment, check=True)

        pairs = alternate(lambda: wall_ns(child), lambda: wall_ns(bare), 2 if tiny else PAIRS)
    return judge(pairs)


def judge(pairs: Pairs) -> Figure:
    """Return the figure of pairs (child, bare process) in ns: the whole interval must be low."""
    cost = mean_difference([(child / 1e9, bare / 1e9) for child, bare in pairs])
    child_s, bare_s = (statistics.median(side) / 1e9 for side in zip(*pairs, strict=True))
    return Figure(
        title="cost of isolation per child beyond importing the runtime",
        target="≤ 0.15 s",
        measured=f"{cost.estimate:.3f} s [{cost.low:.3f}, {cost.high:.3f}]",
        met=cost.high <= ALLOWED_S,
        table=(
            ("process", "median wall time"),
            ("child that imports the runtime", f"{child_s:.3f} s"),
            ("python that imports the runtime", f"{bare_s:.3f} s"),
            (f"mean difference of {cost.n} pairs [95 %]",
             f"{cost.estimate:.3f} s [{cost.low:.3f}, {cost.high:.3f}]"),
        ),
        raw={"child_bare_wall_ns": pairs},
    )  # fmt: skip
