"""Wall time of ``onnxbench export --weights random --jobs 2 --json`` over the whole catalogue in a
home where all of it is exported, one process after another. A first, unmeasured run tells what is
there; models that are not are told apart and left out.
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
from benchmarks.pairs import wall_ns
from onnxbench.measure.interval import t_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.types import JsonObject

RUNS = 10
ALLOWED_S = 2.0
LIMIT_S = 300.0
EXPORT = ("export", "--weights", "random", "--jobs", "2", "--json", "--quiet")
MISSING = f"no models exported: {given.EXPORTED} is not set"


class There(NamedTuple):
    """How many models the catalogue has, and the ids of those that are exported unchanged."""

    models: int
    unchanged: tuple[str, ...]


def measure(tiny: bool) -> Figure:
    home = os.environ.get(given.EXPORTED)
    if not home:
        return judge(There(0, ()), [])
    there = _there(_export(home))
    named = there.unchanged if len(there.unchanged) < there.models else ()
    runs = 2 if tiny else RUNS
    return judge(there, [wall_ns(lambda: _export(home, *named)) for _ in range(runs)])


def judge(there: There, walls_ns: Sequence[int]) -> Figure:
    """Return the figure of the runs' wall times: the whole interval must be low."""
    interval = t_interval(walls_ns)
    unchanged = f"{len(there.unchanged)} of {there.models} models unchanged"
    if interval is None:
        measured, met = MISSING, False
    else:
        mean, low, high = (each / 1e9 for each in (interval.estimate, interval.low, interval.high))
        measured = f"{mean:.2f} s [{low:.2f}, {high:.2f}], {unchanged}"
        met = high <= ALLOWED_S and len(there.unchanged) == there.models
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
        raw={"models": there.models, "unchanged": len(there.unchanged), "wall_ns": list(walls_ns)},
    )  # fmt: skip


def _there(document: JsonObject) -> There:
    rows = document["artifacts"]
    return There(
        len(rows), tuple(row["id"] for row in rows if row["status"] == "ok" and row["cached"])
    )


def _export(home: str, *models: str) -> JsonObject:
    """Run the command and return its document; raises SubprocessError where it ends too late."""
    command = [*ONNXBENCH, *EXPORT, *models]
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
