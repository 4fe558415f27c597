"""The command ``onnxbench run --suite classics --quick``, nine networks, with a store of its own.
Wall time runs from the start of its process to the end of it, so interpreter, imports, plan,
pre-flight, the store's writes and the printed table are all in it; the sum of its children's lives
(pre-flight and facts children included) and the share of it spent sampling are what the command
itself says on stderr when it ends.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.command import ONNXBENCH
from benchmarks.figure import Figure, progress
from onnxbench.errors import WorkerError
from onnxbench.text import safe_block
from onnxbench.worker.clock import now_ns

CLASSICS = ("--suite", "classics", "--quick")
TINY = ("shufflenet-light", "--processes", "1", "--min-time", "0.01s", "--warmup", "1")
ALLOWED = 1.05
LEAST_S = 30.0
CLOSING = re.compile(
    r"(?P<children>\d+) processes lived (?P<lives>[\d.]+) s, (?P<share>\d+)% of it sampling; "
    r"wall time (?P<wall>[\d.]+) s"
)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep: ``children`` processes that lived ``lives_s`` in all; ``own_wall_s`` by its own
    clock, from the measuring lock to the last child; ``wall_s`` of the whole command."""

    children: int
    lives_s: float
    sampling_share: float
    own_wall_s: float
    wall_s: float


def measure(tiny: bool) -> Figure:
    words = TINY if tiny else CLASSICS
    progress(f"sweep: onnxbench run {' '.join(words)}")
    with tempfile.TemporaryDirectory(prefix="onnxbench-figure-") as folder:
        start = now_ns()
        ended = subprocess.run(
            [*ONNXBENCH, "run", *words, "--store", str(Path(folder, "results.db"))],
            # This process holds the host's lock already.
            env={**os.environ, "ONNXBENCH_LOCK": str(Path(folder, "lock"))},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        wall_s = (now_ns() - start) / 1e9
    return judge(read(ended.stderr, ended.returncode, wall_s))


def read(stderr: str, code: int, wall_s: float) -> Sweep:
    """Return the sweep from what the command said; raises WorkerError if it did not end well."""
    found = CLOSING.search(stderr)
    if code != 0 or found is None:
        raise WorkerError(f"the sweep ended with code {code}: {safe_block(stderr[-2000:])}")
    return Sweep(
        children=int(found["children"]),
        lives_s=float(found["lives"]),
        sampling_share=int(found["share"]) / 100,
        own_wall_s=float(found["wall"]),
        wall_s=wall_s,
    )


def judge(sweep: Sweep) -> Figure:
    """Return the figure of one sweep."""
    ratio = sweep.wall_s / sweep.lives_s
    return Figure(
        title="wall time of a sweep / sum of its children's lives",
        target="≤ 1.05 for a sweep of ≥ 30 s",
        measured=f"{ratio:.3f} over {sweep.wall_s:.0f} s; {sweep.sampling_share:.0%} sampling",
        met=ratio <= ALLOWED and sweep.wall_s >= LEAST_S,
        table=(
            ("of the sweep", "value"),
            ("wall time of the command", f"{sweep.wall_s:.1f} s"),
            ("wall time by its own clock", f"{sweep.own_wall_s:.1f} s"),
            ("child processes", str(sweep.children)),
            ("sum of their lives", f"{sweep.lives_s:.1f} s"),
            ("share of those lives spent sampling", f"{sweep.sampling_share:.0%}"),
        ),
        raw=asdict(sweep),
    )
