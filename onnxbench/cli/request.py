"""What one ``onnxbench run`` asks for, put together from its options."""

import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from onnxbench import artifacts, registry
from onnxbench.cli import values
from onnxbench.errors import UsageError
from onnxbench.plan import Choice
from onnxbench.probes import cpu, device, memory
from onnxbench.session import Bounds
from onnxbench.sources import WeightsChoice
from onnxbench.sweep import Setting, Sweep
from onnxbench.targets import bundle
from onnxbench.text import safe_text
from onnxbench.types import Boundary, Limits, ModelSpec, Sampling
from onnxbench.workload import Ask

DEFAULT_STORE = Path("reports/results.db")
THREADS_PER_CPU = 32
"""More is a slip: thousands of spinning threads take minutes to come to an end."""

MEMORY_SHARE = 0.8
"""Share of the memory that is free at the start which one child may take."""


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that decides what is measured and how.

    ``nothing_named``: no model and no suite was given, so the plan is shown before it is run.
    ``command``: the whole command line. ``common``: those of its options that hold for every cell
    and that no cell tells of itself. ``weights``: of models that have to be exported.
    """

    specs: tuple[ModelSpec, ...]
    choices: tuple[Choice, ...]
    sweep: Sweep
    ask: Ask
    inputs: Path | None
    sampling: Sampling
    limits: Limits
    bounds: Bounds
    op_times: bool
    parity: bool
    fresh: bool
    nothing_named: bool
    command: str
    weights: WeightsChoice | None = None
    common: tuple[str, ...] = ()


def specs(models: Sequence[str], suite: str | None, catalog: Path | None) -> tuple[ModelSpec, ...]:
    """Return the models that were named: files, ids or wildcards, a suite, or the default suite."""
    from onnxbench.catalog import DEFAULT_SUITE, load

    found = [artifacts.spec_for_file(m) for m in models if artifacts.is_file_argument(m)]
    ids = [model for model in models if not artifacts.is_file_argument(model)]
    if ids or suite is not None or not models:
        entries = load(catalog)
        found += entries.select(ids)
        if suite is not None or not models:
            found += entries.suite(suite or DEFAULT_SUITE)
    if not found:
        raise UsageError("the suite is empty", "onnxbench list models shows what there is")
    for spec in found:
        if spec.scheme == "file":  # a mistyped path is told now, not after a wait for the lock
            _must_exist(spec)
    return _told_apart(found)


def _must_exist(spec: ModelSpec) -> None:
    source: Any = registry.load(registry.find_exporter(spec.scheme))
    source.locate(spec, Path())


def _told_apart(found: Sequence[ModelSpec]) -> tuple[ModelSpec, ...]:
    """Return the models with distinct ids: two files of one name keep their folders' names."""
    ids = [spec.id for spec in found]
    return tuple(
        replace(spec, id=spec.location)
        if spec.scheme == "file" and ids.count(spec.id) > 1
        else spec
        for spec in found
    )


def choices(names: Sequence[str]) -> tuple[Choice, ...]:
    """Return the runtimes that were named; ``all`` are all: the plan skips what is not usable.

    A runtime that cannot run without a setting of its own has to be named.
    """
    if not names:
        raise UsageError("--runtime names no runtime", "onnxbench list runtimes")
    found = dict.fromkeys(registry.find_runtime(name) for name in names if name != "all")
    if "all" in names:
        found |= dict.fromkeys(filter(_runs_by_itself, registry.runtimes()))
    return tuple(map(choice, found))


def _runs_by_itself(registered: registry.Registered) -> bool:
    from onnxbench.cli.runtimes import find

    return not getattr(find(registered).adapter, "only_named", False)


def choice(registered: registry.Registered) -> Choice:
    """Return one runtime as the plan takes it: where it runs, what it is made of."""
    from onnxbench.cli.runtimes import find
    from onnxbench.protocols import Converting

    found = find(registered)
    capability, versions = found.capability, found.interpreter.versions
    made_of = versions or {str(capability.distribution): str(capability.version)}
    return Choice(
        registered.name,
        registered.value,
        capability,
        worker=_worker(registered.value) if capability.available else "",
        build=", ".join(f"{name} {version}" for name, version in made_of.items()),
        interpreter=str(found.interpreter.path),
        provider=getattr(found.adapter, "provider", ""),
        converter=found.adapter.revision if isinstance(found.adapter, Converting) else None,
        build_s=getattr(found.adapter, "build_s", 0.0),
        device=partial(device.of, found.adapter) if found.adapter else None,
        wants_origin=getattr(found.adapter, "wants_origin", None),
        source_worker=lambda origin: _worker(registered.value, origin.exporter),
    )


def _worker(adapter: str, exporter: str = "") -> str:
    """Return the hash of the bundle that serves ``adapter``: it names the code that measures."""
    modules = (each.partition(":")[0] for each in (adapter, exporter))
    return bundle.fingerprint(bundle.contents(*modules))[:20]


def threads(text: str | None) -> tuple[int, ...]:
    """Return the thread counts of ``--threads``; by default one per physical core."""
    if text is None:
        return (cpu.default_threads()[0],)
    found, most = values.whole_numbers(text, "--threads"), THREADS_PER_CPU * (os.cpu_count() or 1)
    if max(found) > most:
        message = f"--threads {max(found)}: this machine has {os.cpu_count()} CPUs"
        raise UsageError(message, f"at most {most}: more would wait for one another for minutes")
    return found


def labels(text: str | None) -> tuple[str | None, ...]:
    """Return the labels of a comma list; one cell without a label where there is none."""
    if text is None:
        return (None,)
    found = values.names(text)
    if not found:
        raise UsageError("--label names no label", "--label before,after")
    return found


def boundaries(text: str) -> tuple[Boundary, ...]:
    """Return the boundaries of a comma list."""
    known: dict[str, Boundary] = {"host": "host", "device": "device"}
    found = values.names(text)
    unknown = [name for name in found if name not in known]
    if unknown or not found:
        message = f"--boundary {safe_text(text)}: boundaries are host and device"
        raise UsageError(message, "--boundary host,device")
    return tuple(known[name] for name in found)


def settings(items: Sequence[str], runtimes: Sequence[Choice]) -> tuple[Setting, ...]:
    """Return what ``--set`` says: ``KEY=VALUES`` for all runtimes, ``RUNTIME.KEY=VALUES`` for one.

    Raises UsageError for a runtime that is not among ``runtimes``: its options would be ignored.
    """
    chosen = {choice.name for choice in runtimes}
    return tuple(
        _setting(name, value, chosen) for name, value in values.assignments(items, "--set").items()
    )


def _setting(name: str, text: str, chosen: AbstractSet[str]) -> Setting:
    own, dot, key = name.partition(".")
    if not dot or own not in {*chosen, *(found.name for found in registry.runtimes())}:
        return Setting(name, values.option_values(text, f"--set {safe_text(name)}"))
    if own not in chosen or not key:
        message = f"--set {safe_text(name)}: {own} is not among the runtimes of this run"
        hint = f"give --runtime {own} too" if own not in chosen else f"--set {own}.KEY=VALUE"
        raise UsageError(message if own not in chosen else f"--set {own}. names no key", hint)
    return Setting(key, values.option_values(text, f"--set {safe_text(name)}"), own)


def precisions(text: str) -> tuple[str, ...]:
    """Return the precisions of a comma list."""
    found = values.names(text)
    if not found:
        raise UsageError("--precision names no precision", "--precision model,native")
    return found


def existing(inputs: Path | None) -> Path | None:
    """Return ``--inputs`` if it is there."""
    if inputs is not None and not inputs.exists():
        message = f"--inputs {safe_text(str(inputs))}: there is no such file or folder"
        raise UsageError(message, "give an .npz keyed by input name, or a test_data_set_N folder")
    return inputs


def sampling(
    *,
    quick: bool,
    processes: int | None,
    min_time: str | None,
    iterations: int | None,
    warmup: str | None,
    max_noise: str | None,
) -> Sampling:
    """Return the rules of sampling: the preset, with what was asked for on top."""
    rules = Sampling.quick() if quick else Sampling()
    if max_noise is not None:
        rules = replace(
            rules,
            target_half_width=values.share(max_noise, "--max-noise"),
            processes_max=max(rules.processes_max, Sampling().processes_max),
        )
    if processes is not None and max_noise is not None:
        message = "--processes fixes what --max-noise would decide"
        raise UsageError(message, "give one of the two")
    if processes is not None:
        rules = replace(
            rules, processes_min=processes, processes_max=processes, target_half_width=None
        )
    if min_time is not None:
        rules = replace(rules, min_time_s=values.seconds(min_time, "--min-time"))
    if iterations is not None:
        rules = replace(rules, iterations=iterations)
    if warmup is not None:
        rules = _with_warmup(rules, warmup)
    return rules


def _with_warmup(rules: Sampling, text: str) -> Sampling:
    """Return ``rules`` with a least warm-up: a bare number counts runs, a unit makes it a time."""
    if text.strip().isdecimal():
        return replace(rules, warmup_s=0.0, warmup_runs=int(text))
    return replace(rules, warmup_s=values.seconds(text, "--warmup"))


def words(options: Mapping[str, str | Path | int | None]) -> tuple[str, ...]:
    """Return options as command-line words; those that are None or False were not given."""
    return tuple(
        word
        for flag, value in options.items()
        if value is not None and value is not False
        for word in ([flag] if value is True else [flag, str(value)])
    )


def limits(cell_timeout: str | None, max_memory: str | None, asked_s: float = 0.0) -> Limits:
    """Return what one child may use, as far as it was said.

    ``asked_s``: the warm-up and sampling that were asked for, which must fit.
    """
    rules = Limits()
    if cell_timeout is not None:
        limit_s = values.seconds(cell_timeout, "--cell-timeout")
        rules = replace(rules, build_s=limit_s, run_s=limit_s)
    rules = replace(rules, steady_s=rules.steady_s + asked_s)
    if max_memory is not None:
        rules = replace(rules, memory_bytes=values.size_bytes(max_memory, "--max-memory"))
    return rules


def with_memory(limits: Limits) -> Limits:
    """Return ``limits`` with a share of the memory that is free now, unless one was named."""
    available_bytes = memory.available_bytes()
    if limits.memory_bytes is not None or available_bytes is None:
        return limits
    return replace(limits, memory_bytes=int(available_bytes * MEMORY_SHARE))


def store_path(store: Path | None) -> Path:
    """Return the results file: ``--store``, else ONNXBENCH_STORE, else under ./reports."""
    if store is not None:
        return store
    chosen = os.environ.get("ONNXBENCH_STORE")
    return Path(chosen) if chosen else DEFAULT_STORE
