"""From the raw children of one cell to its record.

Static figures aside, a record holds nothing that cannot be computed again from the stored children
by the same formulas; `FORMULA` names their version. The caller adds ``run_id``, ``created``,
``tool`` and ``reproduce``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import statistics
from typing import TYPE_CHECKING, Any

from onnxbench import SCHEMA
from onnxbench.measure.children import Children, is_wrong, measurements, outcome, samples_ns
from onnxbench.measure.distribution import describe
from onnxbench.measure.evidence import gather
from onnxbench.measure.interval import t_interval
from onnxbench.measure.latency import latency, no_latency
from onnxbench.measure.notes import notes
from onnxbench.measure.static import derived_figures, static_figures
from onnxbench.measure.verdict import Situation, judge, no_result, not_measured, with_fallback
from onnxbench.types import PHASES, digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onnxbench.measure.distribution import Distribution
    from onnxbench.types import (
        Cell,
        Child,
        JsonObject,
        LatencyDoc,
        Measurement,
        MemoryDoc,
        ParityDoc,
        Record,
        Sampling,
        VerdictDoc,
    )

FORMULA = 1
"""Version of the formulas behind a summary; goes up whenever equal samples would give another."""

ENERGY = ("joules_per_inference", "idle_watts", "sensor")


def summarize(
    cell: Cell,
    children: Sequence[Child],
    sampling: Sampling,
    stop: str,
    static: JsonObject | None = None,
) -> Record:
    """Return the record of ``cell`` from its children, in the order in which they ran.

    ``stop``: what ended the cell, as `stopping.decide` or the session says. ``static``: what the
    analyzer found at the shapes of the cell.
    """
    static = static_figures(static)
    sorted_children = Children.sort(children)
    good = sorted_children.good
    status, error = sorted_children.ending()
    samples = [samples_ns(child) for child in good]
    distributions = [describe(of_process) for of_process in samples]
    cause = f"{status}: {error['message']}" if error else status
    measured = latency(samples, distributions) if good else no_latency(f"not timed: {cause}")
    described = measurements(sorted_children.facts)
    facts: Measurement = described[0] if described else {}
    tables = measurements(sorted_children.op_times)
    environment = _environment(facts, children)
    throughput, throughput_reason = _throughput(cell.batch, measured)
    record: Record = {
        "schema": SCHEMA,
        "record_id": digest([cell.document(), digest(environment), _evidence_hash(children)]),
        "status": status,
        "error": error,
        "cell_id": cell.cell_id,
        "cell": cell.document(),
        "latency": measured,
        "throughput_per_s": throughput,
        "phases_ns": _phases(good),
        "memory": _memory(good),
        "load": [
            {"block": child.block, **found.get("load", {})}
            for child in good
            for found in measurements([child])
        ],
        "placement": facts.get("placement", []),
        "precision_effective": facts.get("precision_effective"),
        "effective": _effective(good, sorted_children.facts),
        "inputs": _inputs(facts),
        "parity": _parity(facts, sorted_children.good),
        "energy": _nulls(ENERGY, "no sensor is read yet"),
        "static": static,
        "derived": derived_figures(static, measured["median_ns"]),
        "verdict": with_fallback(
            _verdict(sorted_children, distributions, measured, sampling, stop),
            facts.get("fallback"),
        ),
        "op_times": [row for table in tables for row in table.get("op_times", [])],
        "notes": notes(sorted_children, distributions),
        "sampling": {**dataclasses.asdict(sampling), "formula": FORMULA},
        "stop": stop,
        "environment": environment,
    }
    if throughput_reason:
        record["throughput_reason"] = throughput_reason
    if sorted_children.convert:
        record["conversion"] = _conversion(sorted_children.convert)
    if "fallback" in facts:
        record["fallback"] = facts["fallback"]
    return record


def _verdict(
    children: Children,
    distributions: Sequence[Distribution],
    measured: LatencyDoc,
    sampling: Sampling,
    stop: str,
) -> VerdictDoc:
    if measured["median_ns"] is None:
        return not_measured(measured["reason"])
    good = measurements(children.good)
    interval = t_interval(measured["process_medians_ns"])
    readings = gather(distributions, good, interval, sampling.processes_min)
    failed = len(children.timed) - len(children.good)
    verdict = judge(readings, Situation(len(distributions), failed, sampling, stop))
    wrong = next((outcome(c) for c in (*children.facts, *children.timed) if is_wrong(c)), None)
    if wrong is None:
        return verdict
    status, error = wrong
    return no_result(verdict, f"{status}: {error['message']}" if error else status)


def _throughput(batch: int | None, measured: LatencyDoc) -> tuple[float | None, str]:
    """Return items per second of one stream, or None and the reason."""
    median = measured["median_ns"]
    if median is None:
        return None, measured["reason"]
    if batch is None:
        return None, "the batch size is not known, so nothing says how many items one run takes"
    return batch / (median * 1e-9), ""


def _phases(good: Sequence[Child]) -> dict[str, int | None]:
    """Return each phase as the median over processes; all None where none was timed."""
    reported = [measurement.get("phases_ns", {}) for measurement in measurements(good)]
    return {phase: _median(phases.get(phase) for phases in reported) for phase in PHASES}


def _memory(good: Sequence[Child]) -> MemoryDoc:
    """Return each figure as the median over processes.

    The median and not the largest: the largest of K grows with K, and records of different K
    would not be comparable.
    """
    reported = [measurement.get("memory", {}) for measurement in measurements(good)]
    document: MemoryDoc = {
        "peak_rss_bytes": _median(memory.get("peak_rss_bytes") for memory in reported),
        "model_rss_bytes": _median(memory.get("model_rss_bytes") for memory in reported),
        "imported_rss_bytes": _median(memory.get("imported_rss_bytes") for memory in reported),
        "uss_bytes": _median(memory.get("uss_bytes") for memory in reported),
        "pss_bytes": _median(memory.get("pss_bytes") for memory in reported),
        "weights_bytes": _median(memory.get("weights_bytes") for memory in reported),
        "working_set_bytes": _median(memory.get("working_set_bytes") for memory in reported),
        "phases": _memory_phases(reported),
        "device_bytes": _median(memory.get("device_bytes") for memory in reported),
    }
    sources = {memory.get("device_bytes_source", "") for memory in reported} - {""}
    if sources:
        document["device_bytes_source"] = " or ".join(sorted(sources))
    document.update(_memory_reasons(document, reported))
    return document


def _memory_phases(reported: Sequence[MemoryDoc]) -> dict[str, JsonObject]:
    """Return each figure at the end of each phase as the median over processes."""
    phases = {phase for memory in reported for phase in memory.get("phases", {})}
    figures = ("rss_bytes", "uss_bytes", "pss_bytes")
    return {
        phase: {
            figure: _median(
                memory.get("phases", {}).get(phase, {}).get(figure) for memory in reported
            )
            for figure in figures
        }
        for phase in ("import", "load", "first_run", "steady", "close")
        if phase in phases
    }


def _memory_reasons(document: MemoryDoc, reported: Sequence[MemoryDoc]) -> MemoryDoc:
    """Return the reasons of the processes themselves, and one for every figure that none gave."""
    if not reported:
        reason = "no process was timed to its end"
        return {"reason": reason, "device_reason": reason}
    unknown = [key for key, figure in document.items() if figure is None and key != "device_bytes"]
    said = [*dict.fromkeys(memory.get("reason", "") for memory in reported)]
    said.append(f"not reported: {', '.join(unknown)}" if unknown else "")
    reasons: MemoryDoc = {}
    if any(said):
        reasons["reason"] = "; ".join(filter(None, said))
    if document["device_bytes"] is None:
        device = (memory.get("device_reason") for memory in reported)
        reasons["device_reason"] = next(filter(None, device), "not reported: device_bytes")
    return reasons


def _conversion(convert: Sequence[Child]) -> JsonObject:
    """Return what became of the conversion into the runtime's own format."""
    for measurement in measurements(convert):
        if "conversion" in measurement:
            return measurement["conversion"]
    return _nulls(("cached", "duration_ns", "bytes"), "the conversion failed")


def _parity(facts: Measurement, timed: Sequence[Child]) -> ParityDoc:
    """Return what the facts child found, or the first timed one that found otherwise."""
    found = facts.get("parity")
    if found is not None and found.get("passed") is not False:
        wrong = measurements(child for child in timed if is_wrong(child))
        found = next((m["parity"] for m in wrong if "parity" in m), found)
    if found is not None:
        return found
    return {
        "reference": None,
        "max_abs": None,
        "max_rel": None,
        "top1_agree": None,
        "passed": None,
        "reason": "no facts process reported outputs",
    }


def _effective(good: Sequence[Child], facts: Sequence[Child]) -> JsonObject:
    """Return what the runtime said of itself: versions, options as they took effect, threads.

    Asked of a timed process where there is one, for a facts process is built to be profiled.
    """
    for measurement in measurements([*good, *facts]):
        if "facts" in measurement:
            return measurement["facts"]
    return {"reason": "no process got as far as a session"}


def _inputs(facts: Measurement) -> JsonObject:
    if "inputs_sha256" not in facts:
        return _nulls(("sha256", "generator"), "no facts process reported inputs")
    return {"sha256": facts["inputs_sha256"], "generator": facts.get("inputs_generator")}


def _environment(facts: Measurement, children: Sequence[Child]) -> JsonObject:
    for measurement in (facts, *measurements(children)):
        if environment := measurement.get("environment"):
            return environment
    return {"reason": "no process reported it"}


def _evidence_hash(children: Sequence[Child]) -> str:
    """Return the digest of everything that was observed, failures included.

    Start times are part of it: two runs of a cell that fails the same way are two records.
    """
    return digest(
        [
            [
                child.mode,
                child.block,
                outcome(child)[0],
                child.result.started,
                hashlib.sha256(child.result.samples).hexdigest(),
            ]
            for child in children
        ],
        length=64,
    )


def _nulls(keys: Iterable[str], reason: str) -> dict[str, Any]:
    return {**dict.fromkeys(keys), "reason": reason}


def _median(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known)) if known else None
