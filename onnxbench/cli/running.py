"""Carries out a request: pre-flight, plan, measure under the host's lock, print."""

import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TextIO

from onnxbench import __version__, registry
from onnxbench.cli import values
from onnxbench.cli.export_request import on_demand
from onnxbench.cli.request import Request, with_memory
from onnxbench.intake import preflight_lives_ns, take_in
from onnxbench.oracle import Oracle
from onnxbench.plan import Candidate, Plan, make_plan
from onnxbench.probes import host
from onnxbench.protocols import Target
from onnxbench.report.progress import Progress
from onnxbench.session import Bounds, Ending, Outcome, execute
from onnxbench.store import Store
from onnxbench.targets import bundle
from onnxbench.targets.local import LocalTarget
from onnxbench.targets.lock import Holder, measuring_lock
from onnxbench.text import safe_text
from onnxbench.types import JsonObject, PlannedCell

REFERENCE_RUNTIME = "cpu"
REFERENCE_EVALUATOR = "onnxbench.runtimes.reference:REFERENCE"
SOME_FAILED, NONE_MEASURED, TIMED_OUT, INTERRUPTED = 3, 4, 124, 130


def carry_out(
    request: Request,
    *,
    store_path: Path,
    output: Path | None,
    json: bool,
    dry_run: bool,
    quiet: bool,
) -> int:
    """Measure what ``request`` asks for, print the result, return the exit code."""
    if output is not None:
        from onnxbench.report.export import check_writable

        check_writable(output)
    with (
        Progress(sys.stderr, quiet=quiet) as progress,
        tempfile.TemporaryDirectory(prefix="onnxbench-run-") as keep,
    ):
        if dry_run:
            request = replace(request, limits=with_memory(request.limits))
            plan = _plan(request, _take_in(request, Path(keep), progress, request.bounds))
            _print_plan(plan, json=json)
            return 0 if plan.cells else NONE_MEASURED
        with Store.open(store_path) as store, only_one(request.command, progress):
            # Waiting for the lock does not count.
            bounds = replace(request.bounds, started=time.monotonic())
            request = replace(request, limits=with_memory(request.limits))
            candidates = _take_in(request, Path(keep), progress, bounds)
            plan = _plan(request, candidates)
            if request.nothing_named and not quiet:
                _print_plan(plan, json=False, stream=sys.stderr)
            progress.start(plan.processes, plan.estimate_s)
            outcome = execute(
                plan,
                target_for=targets(),
                store=store,
                host_id=host.host_id(),
                tool=tool_document(),
                observer=progress,
                builds=bundle.cache_folder(),
                oracles=oracles(),
                bounds=bounds,
                fresh=request.fresh,
                on_resume=lambda run_id, children: progress.note(
                    f"continuing run {run_id}: {children} processes are there (--fresh starts anew)"
                ),
                reproduce=lambda planned: reproduce(planned, request.common),
            )
            wall_s = time.monotonic() - bounds.started
        progress.close()
        for line in _closing_notes(outcome, candidates, wall_s):
            progress.note(line) if not quiet else None
    _print_result(outcome, plan, request.command, store_path, json=json)
    if output is not None:
        from onnxbench.report.export import write

        write(outcome.records, output, [skip.document() for skip in plan.skips])
    return exit_code(outcome.ending, [record["status"] for record in outcome.records])


def targets() -> Callable[[str], Target]:
    """Return what gives the target of an interpreter's path, each made once."""
    return cache(lambda interpreter: LocalTarget(interpreter or sys.executable))


def oracles() -> list[Oracle]:
    """Return whom to ask for the right outputs: ONNX Runtime where it is, then onnx itself."""
    from onnxbench.cli.request import choice

    found = choice(registry.find_runtime(REFERENCE_RUNTIME))
    here = Oracle("onnx-reference", "", REFERENCE_EVALUATOR, "", sys.executable)
    if not found.capability.available:
        return [here]
    runtime = Oracle("onnxruntime-cpu", found.name, found.adapter, found.build, found.interpreter)
    return [runtime, here]


def tool_document() -> JsonObject:
    """Return what measured; the hash of the worker is added to it for each cell."""
    return {"name": "onnxbench", "version": __version__}


def reproduce(planned: PlannedCell, common: Sequence[str]) -> str:
    """Return the command line that measures one cell again, with the options ``common``."""
    cell = planned.cell
    model = planned.artifact.path if planned.source.startswith("file:") else cell.model_id
    words = ["onnxbench", "run", model, "-r", cell.runtime, "-t", str(cell.threads)]
    for recipe in planned.workload.inputs:  # those from a file come with --inputs
        if recipe.kind != "file":
            words += ["--shape", f"{recipe.name}:{'x'.join(map(str, recipe.shape))}"]
    if cell.boundary != "host":
        words += ["--boundary", cell.boundary]
    if cell.precision != "model":
        words += ["--precision", cell.precision]
    for key, value in cell.options.items():
        words += ["--set", f"{key}={values.option_text(value)}"]
    if cell.label is not None:
        words += ["--label", cell.label]
    return shlex.join([*words, *common])


def exit_code(ending: Ending, statuses: list[str]) -> int:
    """Return the exit code of a run; see docs/reference/exit-codes.md."""
    if ending == "interrupted":
        return INTERRUPTED
    if ending == "timeout":
        return TIMED_OUT
    if "ok" not in statuses:
        return NONE_MEASURED
    excused = ("ok", "skipped", "interrupted") if ending == "budget" else ("ok", "skipped")
    return SOME_FAILED if any(status not in excused for status in statuses) else 0


def _take_in(request: Request, keep: Path, progress: Progress, bounds: Bounds) -> list[Candidate]:
    candidates = []
    exports = on_demand(
        request.weights,
        say=lambda spec: progress.note(f"exporting {spec.id}"),
        memory=request.limits.memory_bytes,
        left_s=bounds.left_s,
    )
    for done, spec in enumerate(request.specs):
        if bounds.is_over:
            break
        progress.before(f"{spec.id} pre-flight", done, len(request.specs), None)
        folder = keep / str(done)
        folder.mkdir()
        candidate = take_in(
            spec,
            exports,
            inputs=request.inputs,
            keep=folder,
            memory_bytes=request.limits.memory_bytes,
            life_s=bounds.left_s,
            asks=list(request.sweep.asks(request.ask)),
            nodes=request.op_times,
        )
        if bounds.left_s == 0 and candidate.preflight.status == "timeout-hard":
            break  # killed because the run's time was up, which says nothing about the model
        candidates.append(candidate)
    progress.close()
    return candidates


def _plan(request: Request, candidates: list[Candidate]) -> Plan:
    return make_plan(
        candidates,
        request.choices,
        request.sweep,
        request.ask,
        device=host.device(),
        sampling=request.sampling,
        limits=request.limits,
        op_times=request.op_times,
        parity=request.parity,
    )


@contextmanager
def only_one(command: str, progress: Progress) -> Iterator[None]:
    """Hold the host's measuring lock; say on stderr whom it waits for."""

    def say(holder: Holder | None) -> None:
        who = safe_text(str(holder), 300) if holder is not None else "another process"
        progress.note(f"waiting: this host is measuring for {who}")

    with measuring_lock(command, on_wait=say):
        yield


def _closing_notes(
    outcome: Outcome, candidates: Sequence[Candidate], wall_s: float
) -> Iterator[str]:
    if outcome.ending != "finished":
        yield {
            "budget": "the budget is used up: what was not started is missing",
            "timeout": "the time limit was reached: the run was stopped",
            "interrupted": "the same command continues this run",
        }[outcome.ending]
    lives_s = (outcome.lives_ns + preflight_lives_ns(candidates)) / 1e9
    if lives_s > 0:
        share = outcome.sampling_ns / 1e9 / lives_s
        yield (
            f"{outcome.children + len(candidates)} processes lived {lives_s:.1f} s, "
            f"{share:.0%} of it sampling; "
            f"wall time {wall_s:.1f} s is {wall_s / lives_s:.2f} times that"
        )


def _print_plan(plan: Plan, *, json: bool, stream: TextIO = sys.stdout) -> None:
    from onnxbench.report.document import dumps
    from onnxbench.report.listing import plan_listing
    from onnxbench.report.terminal import console

    if json:
        print(dumps({"plan": plan.document()}, indent=2))
    else:
        console(stream).print(plan_listing(plan.document()))


def _print_result(
    outcome: Outcome, plan: Plan, command: str, store_path: Path, *, json: bool
) -> None:
    skipped = [skip.document() for skip in plan.skips]
    if json:
        from onnxbench.report.document import dumps, run_document

        print(dumps(run_document(outcome.run_id, str(store_path), outcome.records, skipped)))
        return
    from onnxbench.report.hotspots import hot_spots_table
    from onnxbench.report.op_times import op_times_table
    from onnxbench.report.table import results_table
    from onnxbench.report.terminal import console

    out = console(sys.stdout)
    out.print(results_table(outcome.records, skipped, width=out.width, reproduce=command))
    for record in outcome.records:
        if record.get("op_times"):
            out.print()
            out.print(safe_text(record["cell"]["model"]["id"]))
            out.print(op_times_table(record["op_times"], width=out.width))
        if record.get("hot_spots"):
            out.print()
            out.print(hot_spots_table(record["hot_spots"], width=out.width))
