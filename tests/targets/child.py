"""Real worker processes for tests: a job, the test-only adapter, and what is left afterwards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench.types import ArtifactFile, ChildResult, Limits, Sampling
from onnxbench.worker.job import Job

if TYPE_CHECKING:
    from onnxbench.protocols import Target

FAULTY = "fault_adapter:FaultAdapter"

TEST = "OMP_ONNXBENCH_TEST"
"""Environment variable that names the running test to all its processes."""

BRIEF = Sampling(
    warmup_s=0.0, warmup_cap_s=0.1, warmup_runs=3, min_time_s=0.0, min_samples=5, iterations=10
)
SHORT = Limits(start_s=30.0, build_s=0.4, run_s=0.4, steady_s=0.4, grace_s=0.4)
"""Less than a second for each phase of ours; Python and numpy may take their time to start."""

LONG = Limits(build_s=60.0, run_s=60.0, steady_s=60.0)


def job(adapter: str = FAULTY, model: str = "", **changes: Any) -> Job:
    """Return a job of one facts child without inputs; ``changes`` replace fields."""
    fields: dict[str, Any] = {
        "nonce": "",
        "mode": "facts",
        "parent_pid": os.getpid(),
        "adapter": adapter,
        "model": model,
        "files": (),
        "threads": 1,
        "boundary": "host",
        "precision": "model",
        "options": {},
        "inputs": (),
        "expected": (),
        "sampling": BRIEF,
        "limits": LONG,
    }
    return Job(**fields | changes)


def run(target: Target, what: Job) -> ChildResult:
    """Run ``what`` to its end."""
    return target.run_worker(what.document(), what.limits)


def as_preflight_saw(path: Path) -> ArtifactFile:
    """Return the model file as it is now."""
    now = path.stat()
    return ArtifactFile(str(path), "model", now.st_size, now.st_mtime_ns, now.st_ino)


def alive() -> set[int]:
    """Return every process that descends from a child of the test that is running.

    Known by `TEST`, which ``private`` sets, the allow-list passes, and descendants inherit.
    """
    mark = f"{TEST}={os.environ[TEST]}".encode()
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in variables and int(process.name) != os.getpid():
            found.add(int(process.name))
    return found
