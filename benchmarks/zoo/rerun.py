"""Wall time of ``onnxbench export --weights random --jobs 2 --json`` over the whole catalogue in a
home where all of it is exported, one process after another. A first, unmeasured run exports what is
not there yet; models that fail are told apart and left out. That each of the others was found
unchanged is checked in every run.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.analyzer import given
from benchmarks.command import ONNXBENCH
from benchmarks.figure import Figure
from onnxbench.errors import WorkerError
from onnxbench.measure.interval import t_interval
from onnxbench.worker.clock import now_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.types import JsonObject

RUNS = 10
ALLOWED_S = 2.0
LIMIT_S = 7200.0
TRIED = "classics"
"""What ``--tiny`` exports: files that need no conversion."""
EXPORT = ("export", "--weights", "random", "--jobs", "2", "--json", "--quiet")
MISSING = f"no models exported: {given.EXPORTED} is not set"


class There(NamedTuple):
    """How many models were asked for, and the ids of those that are exported."""

    models: int
    exported: tuple[str, ...]


def measure(tiny: bool) -> Figure:
    home = os.environ.get(given.EXPORTED)
    if not home:
        return judge(There(0, ()), [])
    asked: tuple[str, ...] = ("--suite", TRIED) if tiny else ()
    rows = _export(home, *asked)["artifacts"]
    there = There(len(rows), tuple(row["id"] for row in rows if row["status"] == "ok"))
    if len(there.exported) < there.models:
        asked = there.exported
    return judge(there, [_again(home, asked) for _ in range(2 if tiny else RUNS)])


def judge(there: There, walls_ns: Sequence[int]) -> Figure:
    """Return the figure of the runs' wall times: the whole interval must be low."""
    interval = t_interval(walls_ns)
    unchanged = f"{len(there.exported)} of {there.models} models unchanged"
    if interval is None:
        measured, met = MISSING, False
    else:
        mean, low, high = (each / 1e9 for each in (interval.estimate, interval.low, interval.high))
        measured = f"{mean:.2f} s [{low:.2f}, {high:.2f}], {unchanged}"
        met = high <= ALLOWED_S and len(there.exported) == there.models
    return Figure(
        title="exporting the whole catalogue again without a change",
        target="≤ 2 s",
        measured=measured,
        met=met,
        table=(
            ("models", "runs", "shortest", "median", "longest"),
            (unchanged, str(len(walls_ns)), *(
                f"{each(walls_ns) / 1e9:.2f} s" for each in (min, statistics.median, max)
            )),
        ) if walls_ns else (),
        raw={"models": there.models, "unchanged": len(there.exported), "wall_ns": list(walls_ns)},
    )  # fmt: skip


def _again(home: str, asked: Sequence[str]) -> int:
    """Return the wall time in ns of a run that must find all unchanged. Raises WorkerError."""
    start = now_ns()
    rows = _export(home, *asked)["artifacts"]
    wall_ns = now_ns() - start
    changed = [row["id"] for row in rows if not row["cached"]]
    if changed:
        raise WorkerError(f"exported again: {', '.join(changed)}")
    return wall_ns


def _export(home: str, *asked: str) -> JsonObject:
    """Run the command and return its document; raises SubprocessError where it ends too late."""
    command = [*ONNXBENCH, *EXPORT, *asked]
    ended = subprocess.run(
        command,
        env={**os.environ, "ONNXBENCH_HOME": str(Path(home).absolute())},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        timeout=LIMIT_S,
        check=False,
    )
    if not ended.stdout:
        raise subprocess.CalledProcessError(ended.returncode, command)
    document: JsonObject = json.loads(ended.stdout)
    return document
