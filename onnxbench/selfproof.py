"""What the harness itself adds, shown on engines whose truth is known.

Three proofs: a null engine (cost of a recorded sample), a sleep engine (bias against the engine's
own clock), and an A/A comparison (the same model under two labels must not differ). The last
result is kept with its date in the user's cache folder, where ``doctor`` finds it.
"""

from __future__ import annotations

import json
import os
import statistics
from array import array
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onnxbench import __version__
from onnxbench.errors import WorkerError
from onnxbench.measure.interval import paired_ratio
from onnxbench.targets import bundle
from onnxbench.types import ChildResult, Limits, Sampling
from onnxbench.worker.job import Job
from onnxbench.worker.loop import RUNS_BEFORE_WARM_UP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from onnxbench.protocols import Target
    from onnxbench.types import JsonObject, PlannedCell

ADAPTER = "onnxbench.runtimes.proof:PROOF"
NULL_CALLS = 100_000
SLEEPS_S = (0.001, 0.005, 0.05)


@dataclass(frozen=True, slots=True)
class Proof:
    """One proof: what was claimed (``target``), what was measured, and whether it held."""

    name: str
    target: str
    measured: str
    holds: bool
    figures: tuple[tuple[str, float], ...]


def null_engine(target: Target, calls: int = NULL_CALLS) -> Proof:
    """Prove what one recorded sample costs: the median over ``calls`` samples of no work."""
    samples = _samples(_run(target, {}, Sampling(iterations=calls, warmup_s=0.05)))
    median_ns = statistics.median(samples)
    return Proof(
        "null engine",
        "median recorded sample at most 0.2 µs",
        f"{median_ns / 1000:.3f} µs over {len(samples)} calls",
        median_ns <= 200,
        (("median_ns", median_ns),),
    )


def sleep_engine(target: Target, seconds: float, runs: int | None = None) -> Proof:
    """Prove the bias of a sample: its median against what the sleeping engine clocked itself."""
    count = runs or max(20, int(1 / seconds / 2))
    result = _run(
        target, {"sleep_s": repr(seconds)}, Sampling(iterations=count, warmup_s=0.0, warmup_runs=3)
    )
    samples = _samples(result)
    assert result.measurement is not None
    # The engine counted what comes before the samples and after them too.
    before = RUNS_BEFORE_WARM_UP + result.measurement["warmup"]["runs"]
    own = result.measurement["facts"]["own_ns"][before : before + len(samples)]
    own_ns = statistics.median(own)
    bias_ns = statistics.median(s - o for s, o in zip(samples, own, strict=True))
    allowed_ns = max(1000.0, 0.001 * own_ns)
    return Proof(
        f"sleep engine {seconds * 1000:g} ms",
        "reported - own at most 1 µs or 0.1 %",
        f"{bias_ns / 1000:+.3f} µs over {len(samples)} runs of {own_ns / 1e6:.3f} ms",
        abs(bias_ns) <= allowed_ns,
        (("bias_ns", bias_ns), ("own_median_ns", own_ns)),
    )


def a_a(pairs: Sequence[tuple[float, float]]) -> Proof:
    """Prove that equal things do not differ, from block-paired medians under two labels."""
    ratio = paired_ratio([a for a, _ in pairs], [b for _, b in pairs])
    if ratio is None:
        raise WorkerError("an A/A comparison needs at least two pairs", "run it again")
    return Proof(
        "A/A",
        "95 % interval of the ratio of a model to itself contains 1",
        f"{ratio.estimate:.4f} [{ratio.low:.4f}, {ratio.high:.4f}] over {len(pairs)} pairs",
        not ratio.excludes_one,
        (("ratio", ratio.estimate), ("low", ratio.low), ("high", ratio.high)),
    )


def a_a_pairs(
    target: Target,
    planned: PlannedCell,
    pairs: int,
    between: Callable[[int], None] = lambda _done: None,
) -> list[tuple[float, float]]:
    """Return block-paired process medians in ns of one cell run under two labels.

    The order within a block alternates. ``between`` is called before each block.
    """
    found: list[tuple[float, float]] = []
    for block in range(pairs):
        between(block)
        medians = [_timed_median(target, planned) for _ in range(2)]
        # The first of a block is A in even blocks and B in odd ones.
        found.append((medians[block % 2], medians[1 - block % 2]))
    return found


def document(proofs: Sequence[Proof]) -> JsonObject:
    """Return proofs as JSON, with date and versions."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "holds": all(proof.holds for proof in proofs),
        "proofs": [
            {
                "name": proof.name,
                "target": proof.target,
                "measured": proof.measured,
                "holds": proof.holds,
                **dict(proof.figures),
            }
            for proof in proofs
        ],
    }


def remember(found: JsonObject) -> None:
    """Keep the latest self-proof for `recall`."""
    path = _memory()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(found), encoding="utf-8")
    fresh.replace(path)


def recall() -> JsonObject | None:
    """Return the latest self-proof of this version, None if there is none."""
    try:
        found = json.loads(_memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("version") == __version__ else None


def _memory() -> Path:
    return bundle.cache_folder() / "self-proof.json"


def _run(target: Target, options: dict[str, str], sampling: Sampling) -> ChildResult:
    limits = Limits()
    job = Job(
        nonce="",
        mode="timed",
        parent_pid=os.getpid(),
        adapter=ADAPTER,
        model="",
        files=(),
        threads=1,
        boundary="host",
        precision="model",
        options=options,
        inputs=(),
        expected=(),
        sampling=sampling,
        limits=limits,
    )
    result = target.run_worker(job.document(), limits)
    if result.status != "ok":
        message = f"the proof engine ended {result.status}: {result.error}"
        raise WorkerError(message, "report it: the worker itself does not run here")
    return result


def _timed_median(target: Target, planned: PlannedCell) -> float:
    from onnxbench.session import job_for, process_median_ns  # noqa: PLC0415
    from onnxbench.types import Child  # noqa: PLC0415

    job = job_for(planned, Sampling.quick(), "timed")
    result = target.run_worker(job.document(), planned.limits)
    if result.status != "ok":
        message = f"a child of the A/A comparison ended {result.status}: {result.error}"
        raise WorkerError(message, "onnxbench doctor")
    return process_median_ns(Child("", 0, "timed", result))


def _samples(result: ChildResult) -> array[int]:
    samples = array("q")
    samples.frombytes(result.samples)
    return samples
