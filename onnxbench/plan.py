"""models × runtimes × workload → cells to measure, and what will not be, with reasons. Pure."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from onnxbench import __version__
from onnxbench.errors import PlanError, UsageError
from onnxbench.text import safe_text
from onnxbench.types import Cell, Limits, PlannedCell, Sampling, Skip, digest
from onnxbench.workload import Ask, make_workload, symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from onnxbench.sweep import Sweep
    from onnxbench.types import (
        Artifact,
        Capability,
        ChildResult,
        Device,
        ExpectedOutput,
        GivenTensor,
        JsonObject,
        ModelSpec,
        Origin,
        Workload,
    )

MAX_CELLS = 10_000
"""More than this is a mistyped sweep; at a second per process it would take days."""

PRECISIONS = ("model", "native")
"""``model``: the types that the graph declares; ``native``: the runtime's own default."""

START_S = 0.6
"""Start and imports of one child, for estimates before anything has run."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model with what pre-flight said of it: an artifact, or the result that refuses it.

    ``static``: input shapes, each with what the analyzer found at them. ``origin``: what it was
    exported from, None for a file.
    """

    spec: ModelSpec
    artifact: Artifact | None
    preflight: ChildResult
    given: tuple[GivenTensor, ...] = ()
    expected: tuple[ExpectedOutput, ...] = ()
    static: tuple[tuple[Mapping[str, tuple[int, ...]], JsonObject], ...] = ()
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A runtime that was asked for: the reference to its adapter, what its probe found, and the
    hash of the worker bundle that serves it.

    ``build``: the distributions and versions that make it up. ``device``: gives the device by the
    options of a cell, None for the processor. ``build_s``: how long loading may take at least.
    ``wants_origin``: whether a cell with these options runs the network as its source builds it;
    ``source_worker``: gives the hash of the bundle that serves such a cell. The rest is as in
    `PlannedCell`.
    """

    name: str
    adapter: str
    capability: Capability
    worker: str = ""
    build: str = ""
    interpreter: str = ""
    provider: str = ""
    converter: int | None = None
    device: Callable[[Mapping[str, str]], Device | None] | None = None
    build_s: float = 0.0
    wants_origin: Callable[[Mapping[str, str]], bool] | None = None
    source_worker: Callable[[Origin], str] | None = None

    def device_for(self, options: Mapping[str, str], processor: Device) -> Device:
        """Return where a cell with ``options`` computes."""
        return (self.device and self.device(options)) or processor

    def runs_source(self, options: Mapping[str, str]) -> bool:
        """Tell whether a cell with ``options`` runs the network as its source builds it."""
        return self.wants_origin is not None and self.wants_origin(options)

    def worker_for(self, origin: Origin | None) -> str:
        """Return the hash of the bundle that serves a cell."""
        return self.source_worker(origin) if origin and self.source_worker else self.worker


@dataclass(frozen=True, slots=True)
class Refusal:
    """A cell that ended before any runtime saw its model."""

    cell: Cell
    result: ChildResult


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be measured, what was refused, and what is left out.

    ``op_times``: run one more child per cell that times operators.
    """

    cells: tuple[PlannedCell, ...]
    refused: tuple[Refusal, ...]
    skips: tuple[Skip, ...]
    sampling: Sampling
    op_times: bool = False

    @property
    def processes(self) -> int:
        """Most child processes that the plan can take: conversion, facts, timed, operators."""
        converted = sum(planned.converter is not None for planned in self.cells)
        return converted + len(self.cells) * (1 + self.sampling.processes_max + self.op_times)

    @property
    def estimate_s(self) -> float:
        """Seconds that the least number of processes takes if nothing is slow."""
        timed_s = START_S + self.sampling.warmup_s + self.sampling.min_time_s
        return len(self.cells) * (2 * START_S + self.sampling.processes_min * timed_s)

    def key(self, host_id: str) -> str:
        """Return the key under which an unfinished run of this plan is found again.

        Equal keys mean the same cells, rules, time limits, host, runtime builds and tool version,
        so that their children may be pooled and none of them needs to run again.
        """
        return digest(
            [
                sorted(
                    [
                        p.cell.cell_id,
                        p.limits.build_s,
                        p.limits.run_s,
                        p.workload.expected_key,
                        p.allow_fallback,
                        p.parity,
                        p.origin and dataclasses.asdict(p.origin),
                    ]
                    for p in self.cells
                ),
                dataclasses.asdict(self.sampling),
                host_id,
                sorted({f"{p.cell.runtime} {p.runtime_build} {p.worker}" for p in self.cells}),
                __version__,
                self.op_times,
            ]
        )

    def document(self) -> JsonObject:
        """Return the plan as the store and ``--dry-run --json`` show it."""
        return {
            "cells": [planned.cell.document() for planned in self.cells],
            "refused": [refusal.cell.document() for refusal in self.refused],
            "skipped": [skip.document() for skip in self.skips],
            "sampling": dataclasses.asdict(self.sampling),
            "op_times": self.op_times,
            "processes_max": self.processes,
            "estimate_s": round(self.estimate_s, 1),
            "limits": [
                {"model": p.cell.model_id, **dataclasses.asdict(p.limits)} for p in self.cells
            ],
        }


def make_plan(
    candidates: Sequence[Candidate],
    choices: Sequence[Choice],
    sweep: Sweep,
    ask: Ask,
    *,
    device: Device,
    sampling: Sampling,
    limits: Limits,
    op_times: bool = False,
    parity: bool = True,
) -> Plan:
    """Return the plan of a run.

    Raises UsageError for a dim or an input that no model has, for two equal cells, and for more
    than `MAX_CELLS` cells.
    """
    check_size(len(candidates), choices, sweep)
    _check_names(candidates, ask, sweep)
    cells: list[PlannedCell] = []
    refused: list[Refusal] = []
    skips: list[Skip] = []
    for candidate, choice in itertools.product(candidates, choices):
        draft = _draft(candidate, choice, device, sweep)
        if candidate.artifact is None:
            refused.append(Refusal(draft, candidate.preflight))
            continue
        if not choice.capability.available:
            skips.append(_missing(candidate.spec.id, choice))
            continue
        cells_of = partial(_cells, draft, partial(choice.device_for, processor=device), sweep)
        for found in _cross(candidate, choice, cells_of, sweep, ask, limits, parity=parity):
            (skips if isinstance(found, Skip) else cells).append(found)  # type: ignore[arg-type]
    _check_unique(cells)
    return Plan(tuple(cells), tuple(refused), tuple(skips), sampling, op_times)


def check_size(models: int, choices: Sequence[Choice], sweep: Sweep) -> None:
    """Raise UsageError for a sweep of more than `MAX_CELLS` cells: it is mistyped."""
    if models * sum(sweep.count(choice.name) for choice in choices) > MAX_CELLS:
        message = f"this sweep has more than {MAX_CELLS} cells"
        raise UsageError(message, "shorten a list of values, or the list of models")


def _cross(
    candidate: Candidate,
    choice: Choice,
    cells: Callable[[], Iterator[Cell]],
    sweep: Sweep,
    ask: Ask,
    limits: Limits,
    *,
    parity: bool,
) -> Iterator[PlannedCell | Skip]:
    """Yield the cells of one model on one runtime, in the order in which they are shown."""
    artifact = candidate.artifact
    assert artifact is not None
    own = replace(
        ask,
        given={tensor.name: tensor for tensor in candidate.given},
        expected=candidate.expected if parity else (),
        float_range=candidate.spec.input_range or ask.float_range,
    )
    for asked in sweep.asks(own):
        made = _workload(artifact, asked)
        for cell in cells():
            if isinstance(made, PlanError):
                cell = replace(cell, shapes=dict(asked.shapes), batch=asked.batch)  # noqa: PLW2901
                yield _unsupported(cell, made)
                continue
            cell = replace(  # noqa: PLW2901
                cell, shapes=made.shapes, batch=made.batch, inputs=made.key
            )
            if cell.precision not in PRECISIONS:
                yield _unsupported(cell, _no_variant(cell.precision))
                continue
            runs_source = choice.runs_source(cell.options)
            if runs_source and candidate.origin is None:
                yield _unsupported(cell, _no_source(cell))
                continue
            yield PlannedCell(
                cell,
                artifact,
                made,
                choice.adapter,
                _limits_for(artifact, limits, choice),
                source=candidate.spec.source,
                runtime_build=choice.build,
                worker=choice.worker_for(candidate.origin if runs_source else None),
                interpreter=choice.interpreter,
                provider=choice.provider,
                converter=choice.converter,
                allow_fallback=sweep.allow_fallback,
                parity=parity,
                static=next((found for at, found in candidate.static if at == made.shapes), None),
                origin=candidate.origin if runs_source else None,
            )


def _workload(artifact: Artifact, ask: Ask) -> Workload | PlanError:
    """Return the workload, or why there is none."""
    try:
        return make_workload(artifact, ask)
    except PlanError as error:
        return error


def _cells(
    draft: Cell, device_for: Callable[[Mapping[str, str]], Device], sweep: Sweep
) -> Iterator[Cell]:
    """Yield the cells of one workload: precisions, options, threads, boundaries, labels."""
    for precision, options, threads, boundary, label in itertools.product(
        sweep.precisions,
        sweep.options_of(draft.runtime),
        sweep.threads,
        sweep.boundaries,
        sweep.labels,
    ):
        yield replace(
            draft,
            device=device_for(options),
            precision=precision,
            options=options,
            threads=threads,
            boundary=boundary,
            label=label,
        )


def _unsupported(cell: Cell, why: PlanError) -> Skip:
    """Return the skip of a cell that the model cannot do, with the cell as far as it is known."""
    detail = (("batch", cell.batch),) if cell.batch is not None else ()
    return Skip(
        cell.model_id,
        cell.runtime,
        "unsupported",
        why.message,
        why.hint,
        (*detail, ("cell", cell.document())),
    )


def _draft(candidate: Candidate, choice: Choice, device: Device, sweep: Sweep) -> Cell:
    """Return the cell of a model on a runtime before a workload is chosen."""
    artifact = candidate.artifact
    options = next(sweep.options_of(choice.name))
    return Cell(
        model_id=candidate.spec.id,
        sha256=artifact.sha256 if artifact else None,
        bytes=artifact.bytes if artifact else None,
        opset=artifact.main_opset if artifact else None,
        weights=candidate.spec.weights,
        runtime=choice.name,
        device=choice.device_for(options, device),
        shapes={},
        batch=None,
        inputs="",
        precision=sweep.precisions[0],
        threads=sweep.threads[0],
        boundary=sweep.boundaries[0],
        options=options,
        label=sweep.labels[0],
    )


def _limits_for(artifact: Artifact, limits: Limits, choice: Choice) -> Limits:
    """Return ``limits`` with room to read a large model: 20 MB/s is slower than any SD card.

    A runtime that needs longer to load has it, unless the user said how long that may be.
    """
    is_default = limits.build_s == Limits().build_s
    build_s = max(limits.build_s, choice.build_s) if is_default else limits.build_s
    return replace(limits, build_s=build_s + artifact.bytes / 20e6)


def _missing(model_id: str, choice: Choice) -> Skip:
    found = choice.capability
    return Skip(model_id, choice.name, "provider-missing", found.reason, found.hint)


def _no_variant(precision: str) -> PlanError:
    reason = f"there is no variant of this model in precision {safe_text(precision)}"
    return PlanError(
        reason, "use --precision model (the graph's types) or native (the runtime's default)"
    )


def _no_source(cell: Cell) -> PlanError:
    told = " ".join(f"{cell.runtime}.{name}={value}" for name, value in cell.options.items())
    return PlanError(
        f"--set {safe_text(told)} runs a network as its framework builds it, and this is a file",
        "name a model of the catalogue (onnxbench list models), or leave the setting out",
    )


def _check_names(candidates: Sequence[Candidate], ask: Ask, sweep: Sweep) -> None:
    """Refuse a dim or an input that no model has: a typo must not be ignored."""
    artifacts = [c.artifact for c in candidates if c.artifact is not None]
    if not artifacts:
        return
    known_dims = {name for artifact in artifacts for name in symbols(artifact)}
    known_inputs = {spec.name for artifact in artifacts for spec in artifact.inputs}
    given = {tensor.name for candidate in candidates for tensor in candidate.given}
    for flag, names, known in (
        ("--dim", {*ask.dims, *sweep.dims}, known_dims),
        ("--shape", {*ask.shapes, *sweep.shapes}, known_inputs),
        ("--inputs", given, known_inputs),
    ):
        for name in sorted(names - known):
            near = difflib.get_close_matches(name, known, 1)
            listed = ", ".join(safe_text(k, 60) for k in sorted(known)[:8]) or "none"
            message = f"{flag} {safe_text(name)}: no model has that; there is {listed}"
            hint = f"did you mean {safe_text(near[0])}?" if near else "check the name"
            if flag == "--shape" and "," in name:
                hint = "say --shape once for each input"
            raise UsageError(message, hint)


def _check_unique(cells: Sequence[PlannedCell]) -> None:
    seen: set[str] = set()
    for planned in cells:
        if planned.cell.cell_id in seen:
            message = f"the same cell twice: {safe_text(planned.cell.model_id)}"
            raise UsageError(message, "name each model and each value once, or use --label")
        seen.add(planned.cell.cell_id)
