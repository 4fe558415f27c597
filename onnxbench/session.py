"""Carries out a plan: conversion and facts first, then blocks of timed children in random order.

One child runs at a time. Each is in the store before the next one starts, so whatever ends this
process loses at most the child that was running.
"""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from onnxbench.calibration.bounds import compare
from onnxbench.calibration.files import kept
from onnxbench.measure.children import is_wrong, outcome, samples_ns
from onnxbench.measure.stopping import decide
from onnxbench.measure.summary import summarize
from onnxbench.oracle import References, declared_precision, for_native, say_why_unjudged
from onnxbench.types import Child
from onnxbench.worker.conversion import UNFINISHED
from onnxbench.worker.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from onnxbench.calibration.files import Kept
    from onnxbench.oracle import Oracle
    from onnxbench.plan import Plan
    from onnxbench.protocols import Target
    from onnxbench.store import Store
    from onnxbench.types import (
        Artifact,
        ChildMode,
        ChildResult,
        JsonObject,
        Limits,
        Measurement,
        PlannedCell,
        Record,
        Sampling,
        Status,
    )
    from onnxbench.worker.job import Mode, Reference

Ending = Literal["finished", "budget", "timeout", "interrupted"]

RETRIED = ("crashed", "throttled")
"""States that are worth a second attempt; a wrong or refused model stays wrong."""


class Observer(Protocol):
    """Who watches a run. Called between children only, never while one is timed.

    ``done`` of at most ``total`` children have run; ``remaining_s`` is an estimate.
    """

    def before(self, label: str, done: int, total: int, remaining_s: float | None) -> None:
        """A child is about to start."""

    def after(
        self,
        label: str,
        done: int,
        total: int,
        remaining_s: float | None,
        median_ns: float | None = None,
    ) -> None:
        """A child has ended and is stored; ``median_ns`` of its samples, if it took some."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of wall time. ``budget_s``: start nothing more after it; ``timeout_s``: kill.

    Both count from ``started`` (`time.monotonic`), so that pre-flight counts too.
    """

    budget_s: float | None = None
    timeout_s: float | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """Whether nothing more may be started."""
        elapsed_s = time.monotonic() - self.started
        return any(b is not None and elapsed_s >= b for b in (self.budget_s, self.timeout_s))

    @property
    def left_s(self) -> float | None:
        """Seconds until everything is killed; None if never."""
        if self.timeout_s is None:
            return None
        return max(0.0, self.timeout_s - (time.monotonic() - self.started))


@dataclass(slots=True)
class Outcome:
    """What a run came to.

    ``lives_ns``: sum over its children of spawn to end; ``sampling_ns``: the part of it spent
    taking samples. ``resumed``: children taken over from the unfinished run.
    """

    run_id: str
    ending: Ending = "finished"
    records: list[Record] = field(default_factory=list)
    children: int = 0
    resumed: int = 0
    lives_ns: int = 0
    sampling_ns: int = 0


class _Ended(Exception):
    def __init__(self, ending: Ending) -> None:
        super().__init__(ending)
        self.ending = ending


@dataclass(frozen=True, slots=True)
class _Ran:
    """What is remembered of a stored child; its samples stay in the store.

    ``goes_on``: whether its cell may be timed after it. Wrong outputs do not end a cell: what came
    of it is shown struck out.
    """

    mode: ChildMode
    block: int
    status: Status
    goes_on: bool
    median_ns: float | None
    precision: str | None = None

    @classmethod
    def of(cls, child: Child) -> _Ran:
        status, _ = outcome(child)
        goes_on = status == "ok" or is_wrong(child)
        has_samples = child.mode == "timed" and goes_on and bool(child.result.samples)
        found: Measurement = child.result.measurement or {}
        return cls(
            child.mode,
            child.block,
            status,
            goes_on,
            process_median_ns(child) if has_samples else None,
            found.get("precision_effective"),
        )


@dataclass(slots=True)
class _Progress:
    """One cell on its way: its children so far, and why it needs no more of them."""

    planned: PlannedCell
    ran: list[_Ran] = field(default_factory=list)
    stop: str | None = None
    reference: Reference | None = None
    no_reference: str = ""

    def has(self, mode: ChildMode, block: int) -> bool:
        """Tell whether the child of this block is there already, ok or beyond a retry."""
        tries = [ran for ran in self.ran if ran.mode == mode and ran.block == block]
        return any(ran.status not in RETRIED for ran in tries) or len(tries) > 1

    def judged_by(self, mode: ChildMode) -> Reference | None:
        """Return what the outputs of a child are compared with.

        A timed child does not profile, so it is told the precision that the facts child found:
        under ``native`` that decides how far an answer may be off.
        """
        if self.reference is None or mode not in ("facts", "timed"):
            return None
        if self.planned.cell.precision != "native" or mode == "facts":
            return self.reference
        effective = next((ran.precision for ran in self.ran if ran.mode == "facts"), None)
        return for_native(self.reference, effective)

    @property
    def is_wrong(self) -> bool:
        """Whether some child computed something else than the reference."""
        return any(ran.goes_on and ran.status != "ok" for ran in self.ran)

    @property
    def medians_ns(self) -> list[float]:
        """Medians of the timed children that were sampled."""
        return [ran.median_ns for ran in self.ran if ran.median_ns is not None]


def execute(
    plan: Plan,
    *,
    target_for: Callable[[str], Target],
    store: Store,
    host_id: str,
    tool: JsonObject,
    observer: Observer,
    builds: Path,
    oracles: Sequence[Oracle] = (),
    bounds: Bounds | None = None,
    fresh: bool = False,
    on_resume: Callable[[str, int], None] = lambda _run_id, _children: None,
    reproduce: Callable[[PlannedCell], str] = lambda _planned: "",
) -> Outcome:
    """Measure every cell of ``plan``; return its records, in the order of the plan.

    ``target_for``: the target of an interpreter's path, "" for this one. ``builds``: the folder of
    what is converted and compiled, kept between runs. ``oracles``: whom to ask for the right
    outputs, the first that can answer; without any, outputs are compared with nothing.

    An unfinished run of the same plan is continued unless ``fresh``. Ctrl-C, the budget and the
    time limit end the run early; what was measured by then is summarized and kept.
    """
    key = plan.key(host_id)
    run_id = None if fresh else store.unfinished_run(key)
    resumed = store.children(run_id) if run_id is not None else []
    if run_id is None:
        run_id = store.begin_run(plan_key=key, host_id=host_id, plan=plan.document(), tool=tool)
    store.put_skips(run_id, [skip.document() for skip in plan.skips])
    run = _Run(plan, target_for, store, observer, bounds or Bounds(), run_id, builds)
    run.resume(resumed)
    if run.outcome.resumed:
        on_resume(run_id, run.outcome.resumed)
    try:
        with tempfile.TemporaryDirectory(prefix="onnxbench-reference-") as folder:
            run.measure(oracles, Path(folder))
    except KeyboardInterrupt:
        run.outcome.ending = "interrupted"
    except _Ended as ended:
        run.outcome.ending = ended.ending
    run.outcome.records = [
        _complete(
            record,
            run_id,
            {**tool, "worker": planned.worker} if planned else tool,
            reproduce(planned) if planned else "",
        )
        for planned, record in run.records(kept(host_id))
    ]
    for record in run.outcome.records:
        store.put_record(run_id, record)
    _sweep(builds / "converted")
    done = run.outcome.ending in ("finished", "budget")
    store.set_run_state(run_id, "finished" if done else "interrupted")
    return run.outcome


def _sweep(folder: Path) -> None:
    """Remove what converters that were killed had begun; only one run at a time converts."""
    for left in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)


class _Run:
    """The state of one run."""

    def __init__(
        self,
        plan: Plan,
        target_for: Callable[[str], Target],
        store: Store,
        observer: Observer,
        bounds: Bounds,
        run_id: str,
        builds: Path,
    ) -> None:
        self.outcome = Outcome(run_id)
        self._plan = plan
        self._target_for = target_for
        self._builds = builds
        self._store = store
        self._observer = observer
        self._bounds = bounds
        self._cells = [_Progress(planned) for planned in plan.cells]

    def resume(self, children: list[Child]) -> None:
        """Take over the children of an unfinished run."""
        by_id = {progress.planned.cell.cell_id: progress for progress in self._cells}
        for child in children:
            if child.cell_id in by_id:
                by_id[child.cell_id].ran.append(_Ran.of(child))
                self.outcome.resumed += 1
        for progress in self._cells:
            progress.stop = self._stop_reason(progress)

    def measure(self, oracles: Sequence[Oracle], folder: Path) -> None:
        """Convert, run facts children, then blocks until every cell may stop, then operator times.

        ``folder`` takes the outputs of ``oracles``.
        """
        self._check_bounds()
        references = References(oracles, folder, self._ask_oracle)
        for progress in self._cells:
            planned = progress.planned
            if planned.converter is not None:
                self._child(progress, "convert", 0)
            if progress.stop is None:
                job = job_for(planned, self._plan.sampling, "reference", self._builds)
                progress.reference, progress.no_reference = references.of(planned, job)
                self._child(progress, "facts", 0)
        for block in range(1, self._plan.sampling.processes_max + 1):
            order = [progress for progress in self._cells if progress.stop is None]
            # Random order within a block, so that drift of the host hits all cells alike.
            random.Random(f"{self.outcome.run_id}:{block}").shuffle(order)
            for progress in order:
                self._child(progress, "timed", block)
        if self._plan.op_times:
            for progress in self._cells:
                if progress.medians_ns and not progress.is_wrong:
                    self._child(progress, "op-times", 0)

    def records(self, calibrated: Kept) -> Iterator[tuple[PlannedCell | None, Record]]:
        """Yield the record of every cell, refused models included."""
        for refusal in self._plan.refused:
            child = Child(refusal.cell.cell_id, 0, "facts", refusal.result)
            yield None, summarize(refusal.cell, [child], self._plan.sampling, "refused")
        for progress in self._cells:
            planned, stop = progress.planned, progress.stop or self.outcome.ending
            children = self._store.children(self.outcome.run_id, planned.cell.cell_id)
            record = summarize(planned.cell, children, self._plan.sampling, stop, planned.static)
            record["artifact"] = _artifact_document(planned.artifact)
            record["inputs"]["tensors"] = [
                {k: v for k, v in dataclasses.asdict(recipe).items() if k != "path"}
                for recipe in planned.workload.inputs
            ]
            record["notes"] = [*planned.artifact.notes, *planned.workload.notes, *record["notes"]]
            compare(record, planned.static, planned.runtime_build, calibrated)
            yield planned, record

    def _ask_oracle(self, planned: PlannedCell, oracle: Oracle, asked: Job) -> ChildResult:
        """Run the job of an oracle; what it writes is compared with later."""
        self._observer.before(f"{planned.cell.model_id} reference", *self._standing())
        target = self._target_for(oracle.interpreter)
        result = target.run_worker(asked.document(), self._limits(planned))
        self._check_bounds()
        return result

    def _child(self, progress: _Progress, mode: ChildMode, block: int) -> None:
        """Run the child of one block, and once more if it crashed."""
        while not progress.has(mode, block):
            self._check_bounds()
            label = f"{progress.planned.cell.model_id} {f'block {block}' if block else mode}"
            self._observer.before(label, *self._standing())
            job = job_for(progress.planned, self._plan.sampling, mode, self._builds)
            job = dataclasses.replace(job, reference=progress.judged_by(mode))
            target = self._target_for(progress.planned.interpreter)
            result = target.run_worker(job.document(), self._limits(progress.planned))
            if mode == "facts":
                say_why_unjudged(result, progress.no_reference)
            if result.status == "timeout-hard" and self._past(self._bounds.timeout_s):
                # Killed because the run's time was up, which says nothing about the cell.
                raise _Ended("timeout")
            child = Child(progress.planned.cell.cell_id, block, mode, result)
            self._store.append_child(self.outcome.run_id, child)
            ran = _Ran.of(child)
            progress.ran.append(ran)
            progress.stop = self._stop_reason(progress)
            self._count(result)
            self._observer.after(label, *self._standing(), ran.median_ns)

    def _stop_reason(self, progress: _Progress) -> str | None:
        """Return why a cell needs no more timed processes, None if it does."""
        deciding = [ran for ran in progress.ran if ran.mode != "op-times"]
        if not deciding:
            return None
        last = deciding[-1]
        if not last.goes_on:
            ended = f"the {last.mode} process ended {last.status}"
            return ended if progress.has(last.mode, last.block) else None
        if not progress.medians_ns:
            return None
        stop = decide(progress.medians_ns, self._plan.sampling)
        return stop.reason if stop.done else None

    def _standing(self) -> tuple[int, int, float]:
        """Return children done, children in all, and the seconds that the rest may take."""
        done = sum(len(progress.ran) for progress in self._cells)
        left = self._processes_left()
        mean_s = (
            self.outcome.lives_ns / 1e9 / self.outcome.children
            if self.outcome.children
            else self._plan.estimate_s / max(1, self._plan.processes)
        )
        return done, done + left, left * mean_s

    def _processes_left(self) -> int:
        """Return the least number of children that the cells still need."""
        return sum(self._needs(progress) for progress in self._cells)

    def _needs(self, progress: _Progress) -> int:
        least = self._plan.sampling.processes_min
        facts = progress.stop is None and not any(ran.mode == "facts" for ran in progress.ran)
        converter = progress.planned.converter is not None
        converts = converter and not any(ran.mode == "convert" for ran in progress.ran)
        timed = max(1, least - len(progress.medians_ns)) if progress.stop is None else 0
        timed_at_all = progress.stop is None or bool(progress.medians_ns)
        wanted = self._plan.op_times and timed_at_all and not progress.is_wrong
        return converts + facts + timed + (wanted and not progress.has("op-times", 0))

    def _count(self, result: ChildResult) -> None:
        self.outcome.children += 1
        self.outcome.lives_ns += result.wall_ns
        if result.measurement is not None and result.measurement["mode"] == "timed":
            self.outcome.sampling_ns += result.measurement["phases_ns"].get("steady", 0)

    def _limits(self, planned: PlannedCell) -> Limits:
        """Return the limits of a child that starts now: it may not outlive the run's timeout."""
        return dataclasses.replace(planned.limits, life_s=self._bounds.left_s)

    def _check_bounds(self) -> None:
        if self._past(self._bounds.timeout_s):
            raise _Ended("timeout")
        if self._past(self._bounds.budget_s):
            raise _Ended("budget")

    def _past(self, bound_s: float | None) -> bool:
        return bound_s is not None and time.monotonic() - self._bounds.started >= bound_s


def process_median_ns(child: Child) -> float:
    """Return the median of a good timed child's samples in ns."""
    import numpy as np  # noqa: PLC0415 - the parent needs numpy only from here on

    return float(np.median(samples_ns(child)))


def job_for(
    planned: PlannedCell, sampling: Sampling, mode: Mode, builds: Path | None = None
) -> Job:
    """Return what a worker is told for one child of a cell.

    ``builds`` as for `execute`; without it nothing is converted, and what is compiled is not kept.
    """
    cell, artifact = planned.cell, planned.artifact
    converted = cache = None
    if builds is not None:
        cache = str(builds / "compiled" / planned.build_key)
        if planned.converter is not None:
            converted = str(builds / "converted" / planned.build_key)
    return Job(
        nonce="",
        mode=mode,
        parent_pid=os.getpid(),
        adapter=planned.adapter,
        model=artifact.path,
        files=artifact.files,
        threads=cell.threads,
        boundary=cell.boundary,
        precision=cell.precision,
        options=dict(cell.options),
        inputs=planned.workload.inputs,
        expected=planned.workload.expected,
        sampling=sampling,
        limits=planned.limits,
        declared_inputs=artifact.inputs,
        declared_outputs=artifact.outputs,
        converted=converted,
        cache=cache,
        provider=planned.provider,
        allow_fallback=planned.allow_fallback,
        declared=declared_precision(artifact, planned.static),
        origin=planned.origin,
    )


def _artifact_document(artifact: Artifact) -> JsonObject:
    """Return what pre-flight found out about the file, without where it lies."""
    return {
        "ir_version": artifact.ir_version,
        "opset": artifact.opset,
        "producer": artifact.producer,
        "node_count": artifact.node_count,
        "operators": artifact.operators,
        "initializer_bytes": artifact.initializer_bytes,
        "files": len(artifact.files),
        "inputs": [dataclasses.asdict(spec) for spec in artifact.inputs],
        "outputs": [dataclasses.asdict(spec) for spec in artifact.outputs],
    }


def _complete(record: Record, run_id: str, tool: JsonObject, reproduce: str) -> Record:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return {**record, "run_id": run_id, "created": created, "tool": tool, "reproduce": reproduce}
