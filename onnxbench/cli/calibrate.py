"""``onnxbench calibrate``: the rates that a runtime attains on this machine."""

import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxbench.cli import values
from onnxbench.errors import UsageError
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from onnxbench.calibration.cases import Case
    from onnxbench.calibration.files import Kept
    from onnxbench.plan import Candidate, Choice, Plan
    from onnxbench.report.progress import Progress
    from onnxbench.session import Outcome
    from onnxbench.store import Store
    from onnxbench.types import Device, JsonObject, Sampling

SOME_FAILED, NONE_MEASURED, INTERRUPTED = 3, 4, 130


def calibrate(
    runtime: Annotated[
        str,
        typer.Option("--runtime", "-r", "--ep", help="Runtimes, comma separated, or all."),
    ] = "cpu",
    threads: Annotated[
        str | None,
        typer.Option(
            "--threads",
            "-t",
            help="Thread counts: 1,2. Default: one per physical core that may be used.",
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="model: the types of the networks. native: the runtime's own default for "
            "float32. Or model,native."
        ),
    ] = "model",
    store: Annotated[
        Path | None,
        typer.Option(help="Results file of the records. Default: one beside the calibrations."),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Show what is calibrated; measure nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
) -> int:
    """Measure what runtimes attain here: FLOP/s of products by precision, and bytes/s of memory.

    `run` and `analyze` tell then how far a model is from what is possible.
    """
    from onnxbench import places
    from onnxbench.calibration import files
    from onnxbench.cli import request
    from onnxbench.probes import cpu, host

    if show:
        found = files.kept(host.host_id())
        _print(found.documents, found, json=json)
        return 0
    precisions = values.names(precision)
    unknown = sorted(set(precisions) - {"model", "native"})
    if unknown or not precisions:
        message = f"--precision {safe_text(precision)}: there is model and native"
        raise UsageError(message, "--precision model,native")
    counts = values.whole_numbers(threads, "--threads") if threads else (cpu.default_threads()[0],)
    choices = _usable(request.choices(values.names(runtime)))
    documents, skipped, ending = _measured(
        choices, counts, precisions, store or places.calibrations() / "records.db", quiet=quiet
    )
    if ending == "interrupted":
        return INTERRUPTED  # half of a calibration would hold ceilings that are too low
    good = [document for document in documents if document["compute"] or document["bandwidth"]]
    for document in good:
        files.keep(document)
    for reason in skipped:
        print(reason, file=sys.stderr)
    _print(documents, files.Kept((), ()), json=json)
    if not good:
        return NONE_MEASURED
    return SOME_FAILED if skipped or len(good) < len(documents) else 0


def _measured(
    choices: "Sequence[Choice]",
    threads: tuple[int, ...],
    precisions: tuple[str, ...],
    store_path: Path,
    *,
    quiet: bool,
) -> "tuple[list[JsonObject], list[str], str]":
    """Return a document for each runtime and number of threads, what was skipped, the ending."""
    from onnxbench.calibration.results import calibration_document
    from onnxbench.cli.running import only_one
    from onnxbench.probes import host
    from onnxbench.report.progress import Progress
    from onnxbench.store import Store

    store_path.parent.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["onnxbench", *sys.argv[1:]])
    with (
        Progress(sys.stderr, quiet=quiet) as progress,
        tempfile.TemporaryDirectory(prefix="onnxbench-calibrate-") as folder,
        Store.open(store_path) as store,
        only_one(command, progress),
    ):
        cache_bytes = _cache_bytes()
        by_id, plan = _planned(choices, threads, precisions, cache_bytes, Path(folder), progress)
        progress.start(plan.processes, plan.estimate_s)
        outcome = _executed(plan, store, progress, command)
    documents = [
        calibration_document(
            by_id,
            outcome.records,
            host=host.host_id(),
            runtime=choice.name,
            build=choice.build,
            threads=count,
            cache_bytes=cache_bytes if _device(choice).kind == "cpu" else None,
        )
        for choice in choices
        if choice.capability.available
        for count in threads
    ]
    lacking = dict.fromkeys(f"{skip.runtime}: {skip.reason}" for skip in plan.skips)
    return documents, [safe_text(each, 400) for each in lacking], outcome.ending


def _usable(choices: "Sequence[Choice]") -> "Sequence[Choice]":
    """Return ``choices`` if one of them can run here; else raise UsageError that says why not."""
    from onnxbench.errors import UsageError

    if not any(choice.capability.available for choice in choices):
        found = choices[0].capability
        raise UsageError(f"{choices[0].name} cannot run here: {found.reason}", found.hint)
    return choices


def _planned(
    choices: "Sequence[Choice]",
    threads: tuple[int, ...],
    precisions: tuple[str, ...],
    cache_bytes: int | None,
    folder: Path,
    progress: "Progress",
) -> "tuple[dict[str, Case], Plan]":
    """Return the networks by the id of their model, and the plan that measures all of them.

    Memory is measured in the types of the graph, whatever was asked for: a runtime that stores
    them in a narrower one moves fewer bytes than are known.
    """
    from onnxbench.calibration.cases import TYPES, compute_cases, memory_cases
    from onnxbench.probes import memory

    own = compute_cases(TYPES) if "model" in precisions else []
    native = compute_cases(["float32"]) if "native" in precisions else []
    rooms = memory_cases(cache_bytes, memory.available_bytes())
    cases = {case.name: case for case in (*own, *native, *rooms)}
    candidates = _taken_in(list(cases.values()), folder, progress)
    plans = [
        _plan([candidates[case.name] for case in wanted], choice, threads, precision)
        for choice in choices
        for precision, wanted in (("model", [*own, *rooms]), ("native", native))
        if wanted
    ]
    joined = replace(
        plans[0],
        cells=tuple(cell for plan in plans for cell in plan.cells),
        refused=tuple(refusal for plan in plans for refusal in plan.refused),
        skips=tuple(skip for plan in plans for skip in plan.skips),
    )
    return {_model_id(name): case for name, case in cases.items()}, joined


def _model_id(name: str) -> str:
    return f"calibration:{name}"


def _taken_in(
    cases: "Sequence[Case]", folder: Path, progress: "Progress"
) -> "dict[str, Candidate]":
    from onnxbench.exporting import Exports
    from onnxbench.intake import take_in
    from onnxbench.types import ModelSpec

    found = {}
    for done, case in enumerate(cases):
        progress.before(f"{case.name} pre-flight", done, len(cases), None)
        keep = folder / str(done)
        keep.mkdir()
        spec = ModelSpec(_model_id(case.name), f"file:{case.write(keep)}", weights="random")
        found[case.name] = take_in(spec, Exports(), inputs=None, keep=keep, memory_bytes=None)
    return found


def _plan(
    candidates: "Sequence[Candidate]", choice: "Choice", threads: tuple[int, ...], precision: str
) -> "Plan":
    from onnxbench.cli.request import with_memory
    from onnxbench.plan import make_plan
    from onnxbench.probes import host
    from onnxbench.sweep import Sweep
    from onnxbench.types import Limits
    from onnxbench.workload import Ask

    return make_plan(
        candidates,
        [choice],
        Sweep(
            threads=threads,
            # What is asked is the device's own rate, not that of the bus to it; adapters for other
            # devices than CUDA's have no boundary without that bus.
            boundaries=("device" if _device(choice).kind == "cuda" else "host",),
            precisions=(precision,),
        ),
        Ask(),
        device=host.device(),
        sampling=_sampling(),
        limits=with_memory(Limits()),
    )


def _device(choice: "Choice") -> "Device":
    from onnxbench.probes import host

    return choice.device_for({}, host.device())


def _sampling() -> "Sampling":
    """Return the rules: short, for the best of several networks counts and not one of them."""
    from onnxbench.types import Sampling

    return replace(
        Sampling.quick(),
        warmup_s=0.2,
        warmup_cap_s=1.0,
        min_time_s=0.25,
        min_samples=8,
        processes_min=3,
        processes_max=3,
    )


def _executed(plan: "Plan", store: "Store", progress: "Progress", command: str) -> "Outcome":
    from onnxbench.cli import running
    from onnxbench.probes import host
    from onnxbench.session import execute
    from onnxbench.targets import bundle

    return execute(
        plan,
        target_for=running.targets(),
        store=store,
        host_id=host.host_id(),
        tool=running.tool_document(),
        observer=progress,
        builds=bundle.cache_folder(),
        oracles=running.oracles(),
        fresh=True,
        reproduce=lambda _planned: command,
    )


def _cache_bytes() -> int | None:
    """Return the size of the last-level cache that this process may use, None if not told."""
    from onnxbench.probes import cpu, processor

    sizes = [cache["bytes"] for cache in processor.caches(cpu.affinity()[0])]
    return max((size for size in sizes if isinstance(size, int)), default=None)


def _print(documents: "Sequence[JsonObject]", found: "Kept", *, json: bool) -> None:
    from onnxbench.report.calibration import calibrations
    from onnxbench.report.document import dumps
    from onnxbench.report.terminal import console

    for path, reason in found.damaged:
        print(f"ignored: {safe_text(path)}: {safe_text(reason)}", file=sys.stderr)
    if json:
        damaged = [{"path": path, "reason": reason} for path, reason in found.damaged]
        print(dumps({"calibrations": list(documents), "damaged": damaged}, indent=2))
    elif documents:
        out = console(sys.stdout)
        out.print(calibrations(documents, width=out.width))
    else:
        print("nothing is calibrated here: onnxbench calibrate")
