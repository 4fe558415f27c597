"""What a child can do with a loaded model: be the reference, give facts, be timed, profiled."""

from __future__ import annotations

import gc
import json
from array import array
from typing import TYPE_CHECKING, Any

from onnxbench.errors import AdapterError
from onnxbench.probes import gpu, host, load, memory, threads
from onnxbench.worker import agreement, answer, inputs, judging, loop, outputs
from onnxbench.worker.clock import SECOND_NS, now_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onnxbench.protocols import Array, Engine
    from onnxbench.types import ErrorDoc, JsonObject, Measurement, MemoryDoc, ParityDoc, Status
    from onnxbench.worker.channel import Channel
    from onnxbench.worker.inputs import InputTensor
    from onnxbench.worker.job import Job, Reference

    Room = array[int]
    ModeRunner = Callable[[Job, Channel, Engine, Measurement, Room], int]

PROFILED_RUNS = 10
"""Runs of an ``op-times`` child: enough for shares, few enough for the profile's memory."""


def room_for(job: Job) -> Room:
    """Return the preallocated array for samples; empty for a child that is never timed."""
    return loop.preallocate(job.sampling) if job.mode == "timed" else array("q")


def prepare_inputs(job: Job, measurement: Measurement) -> list[InputTensor]:
    """Make the inputs; record their hash and the generator."""
    tensors = inputs.make_inputs(job.inputs)
    measurement["inputs_sha256"] = inputs.fingerprint((t.name, t.array) for t in tensors)
    measurement["inputs_generator"] = inputs.GENERATOR
    return tensors


class Baseline:
    """Memory and threads of this process before the model is loaded, and memory as it grows.

    Peak memory is VmHWM after a reset through clear_refs (man proc_pid_clear_refs); where the
    reset is not allowed the peak before the model counts too, and the record says so.
    """

    def __init__(self, device: str = "cpu") -> None:
        # First of all: NVML is not the model's.
        self._device = gpu.DeviceMemory() if device == "cuda" else None
        self._unread = (
            "the device is the CPU" if device == "cpu" else "the memory of this device is not read"
        )
        self._was_reset = memory.reset_peak()
        self._threads = threads.count()
        self._phases: dict[str, JsonObject] = {}
        self.note("import")

    def note(self, phase: str) -> None:
        """Keep the memory of this process at the end of ``phase``. Never within a timed block."""
        shares = memory.uss_pss_bytes()
        self._phases[phase] = {
            "rss_bytes": memory.rss_bytes(),
            "uss_bytes": shares[0] if shares else None,
            "pss_bytes": shares[1] if shares else None,
        }

    def threads_since(self) -> int:
        """Return how many threads compute: those started since, and the calling one."""
        return threads.count() - self._threads + 1

    def memory(self) -> MemoryDoc:
        """Return the memory of this process now, relative to the baseline.

        ``weights_bytes``: what loading added to the memory of this process alone (USS);
        ``working_set_bytes``: what running added to that.
        """
        peak = memory.peak_rss_bytes()
        self.note("steady")
        first, last = self._phases["import"], self._phases["steady"]
        document: MemoryDoc = {
            "peak_rss_bytes": peak,
            "model_rss_bytes": None,
            "imported_rss_bytes": first["rss_bytes"],
            "uss_bytes": last["uss_bytes"],
            "pss_bytes": last["pss_bytes"],
            "weights_bytes": self._growth("import", "load"),
            "working_set_bytes": self._growth("load", "steady"),
            "phases": self._phases,
            **self._device_memory(),
        }
        if peak is None or first["rss_bytes"] is None:
            document["reason"] = "this system does not tell a process its resident set"
        else:
            document["model_rss_bytes"] = max(0, peak - first["rss_bytes"])
            if not self._was_reset:
                document["reason"] = "the peak includes the time before the model was loaded"
        return document

    def _device_memory(self) -> MemoryDoc:
        if self._device is None:
            return {"device_bytes": None, "device_reason": self._unread}
        taken, source, reason = self._device.read()
        if taken is None or source is None:
            return {"device_bytes": None, "device_reason": reason}
        return {"device_bytes": taken, "device_bytes_source": source}

    def _growth(self, before: str, after: str) -> int | None:
        first, last = (self._phases.get(phase, {}).get("uss_bytes") for phase in (before, after))
        return None if first is None or last is None else max(0, last - first)


def run_reference(
    job: Job, channel: Channel, engine: Engine, measurement: Measurement, _room: Room
) -> int:
    """Write the outputs for the inputs and for others: what every runtime has to give."""
    assert job.reference is not None
    with channel.timed_phase("outputs", job.limits.run_s * 3):
        first, second = answer.of_one_run(engine), _answer_to_others(job, engine)
        agreement.save_reference(job.reference.path, first, second)
    measurement["outputs_sha256"] = outputs.outputs_sha256(first)
    return 0


def run_facts(
    job: Job, channel: Channel, engine: Engine, measurement: Measurement, _room: Room
) -> int:
    """Check outputs and describe the machine; nothing here is timed for a result."""
    with channel.timed_phase("outputs", job.limits.run_s * 4):
        first, again = answer.of_one_run(engine), answer.of_one_run(engine)
        others = _answer_to_others(job, engine) if job.reference is not None else {}
    measurement["outputs_sha256"] = outputs.outputs_sha256(first)
    measurement["outputs_sha256_after"] = outputs.outputs_sha256(again)
    parity = outputs.self_parity(
        first, deterministic=measurement["outputs_sha256"] == measurement["outputs_sha256_after"]
    )
    if job.declared:
        parity["declared"] = job.declared
    if job.reference is not None:
        parity = {**parity, **_compared(job, job.reference, first, others)}
        if not parity["deterministic"]:
            second = _compared(job, job.reference, again, others)
            if (second["max_rel"] or 0.0) > (parity["max_rel"] or 0.0) or second["reason"]:
                parity = {**parity, **second}
    if job.expected:
        parity = outputs.compare_expected(first, job.expected, parity)
    measurement["parity"] = parity
    measurement["environment"] = host.environment()
    return 0


def _compared(job: Job, reference: Reference, *runs: Mapping[str, Array]) -> ParityDoc:
    types = {spec.name: spec.dtype for spec in job.declared_outputs}
    return agreement.compare_reference(reference, *runs, types=types)


def check_timed(job: Job, channel: Channel, engine: Engine, measurement: Measurement) -> None:
    """Compare what the engine that was timed gives now; after all figures of it are taken.

    A runtime may be right in a facts child, which profiles, and wrong when it is timed, or after a
    thousand runs.
    """
    if job.reference is None:
        return
    with channel.timed_phase("check", job.limits.run_s * 2):
        parity = _compared(job, job.reference, answer.of_one_run(engine))
    measurement["parity"] = judging.judge_parity(parity, job.reference, None, "model")


def _answer_to_others(job: Job, engine: Engine) -> Mapping[str, Array]:
    """Bind other inputs than the job's, and return the outputs for them."""
    engine.bind(inputs.other_inputs(job.inputs))
    return answer.of_one_run(engine)


def run_timed(
    job: Job, channel: Channel, engine: Engine, measurement: Measurement, room: Room
) -> int:
    """Warm up, sample, and read the machine's load around the samples; return their number."""
    with channel.timed_phase("outputs", job.limits.run_s):
        measurement["outputs_sha256"] = outputs.outputs_sha256(answer.of_one_run(engine))
    call = loop.one_call(engine.run, engine.sync)
    warmup_s, sampling_s = _allowances(job, channel.phases_ns["first_run"] / SECOND_NS)
    gc.collect()
    gc.freeze()
    gc.disable()
    with channel.timed_phase("warmup", warmup_s + job.limits.run_s):
        warm = loop.warm_up(call, job.sampling)
    with channel.timed_phase("steady", sampling_s + job.limits.run_s):
        before, spent = load.snapshot(), threads.cpu_ns()
        started = now_ns()
        sampled = loop.sample(call, job.sampling, room, int(sampling_s * SECOND_NS))
        wall_ns = now_ns() - started
        after, spent_after = load.snapshot(), threads.cpu_ns()
    gc.enable()
    measurement["threads_busy"] = threads.busy(spent, spent_after, wall_ns)
    measurement["load"] = load.between(before, after)
    measurement["warmup"] = {
        "runs": warm.runs, "duration_ns": warm.duration_ns, "steady": warm.steady
    }  # fmt: skip
    measurement["samples"] = sampled.count
    measurement["stop"] = sampled.stop
    with channel.timed_phase("outputs_after", job.limits.run_s * answer.ATTEMPTS):
        measurement["outputs_sha256_after"] = outputs.outputs_sha256(answer.of_timed_call(engine))
    return sampled.count


def _allowances(job: Job, first_run_s: float) -> tuple[float, float]:
    """Return the seconds that warm-up and sampling may take.

    A slow model needs more than the least times: three times what its first run promises.
    Sampling that reaches its allowance ends with the samples it has.
    """
    rules = job.sampling
    warmup_s = max(rules.warmup_cap_s, rules.warmup_s, 3 * first_run_s * rules.warmup_runs)
    wanted = rules.iterations or rules.min_samples
    least_s = 0.0 if rules.iterations else rules.min_time_s
    sampling_s = least_s + 3 * first_run_s * wanted + 30
    return warmup_s, min(job.limits.steady_s, sampling_s)


def run_op_times(
    job: Job, channel: Channel, engine: Engine, _measurement: Measurement, _room: Room
) -> int:
    """Run the profiled engine a few times; its times serve shares of operators only."""
    with channel.timed_phase("profiled_runs", job.limits.run_s * PROFILED_RUNS):
        for _ in range(PROFILED_RUNS):
            answer.run_once(engine)
    return 0


def said(method: str, ask: Callable[[], Any]) -> Any:
    """Return what an engine says of itself. Raises AdapterError for what no document can hold."""
    try:
        told = ask()
        json.dumps(told)
        if method == "placement":
            _, _ = told
    except (TypeError, ValueError) as error:
        raise AdapterError(
            f"the adapter's {method}() gives no answer that can be kept: {error}",
            "report it to the author of the adapter",
        ) from error
    return told


def placement(job: Job, engine: Engine, measurement: Measurement) -> None:
    """Record where nodes ran and in which precision; operators' times where asked for."""
    placed, effective = said("placement", engine.placement)
    if effective and judging.narrowest(effective) is None:
        why = f"the adapter calls it {effective!r}, which names no known type"
        measurement["facts"]["precision_reason"], effective = why, None
    measurement["placement"], measurement["precision_effective"] = placed, effective
    if job.mode == "op-times":
        measurement["op_times"] = said("op_times", engine.op_times)
    parity = measurement.get("parity", {})
    if job.reference is not None and parity.get("reference") == job.reference.name:
        measurement["parity"] = judging.judge_parity(
            parity, job.reference, effective, job.precision
        )


def verdict(job: Job, measurement: Measurement) -> tuple[Status, ErrorDoc | None]:
    """Return the state of a child that ran to its end: ok, unless a gate says otherwise.

    A fallback that is allowed is kept as ``fallback``, to label every row with.
    """
    if job.mode == "facts":
        fault = judging.placement_fault(measurement.get("placement", []), job.provider)
        if fault is not None and not job.allow_fallback:
            return fault
        if fault is not None:
            measurement["fallback"] = fault[1]["message"] if fault[1] else ""
        effective = measurement.get("precision_effective")
        lowest = job.reference.dtype if job.reference is not None else None
        if lowered := judging.precision_fault(effective, job.declared, job.precision, lowest):
            return lowered
    parity = measurement.get("parity", {})
    if parity.get("passed") is not False:
        return "ok", None
    return "wrong-output", {
        "kind": "wrong-output",
        "message": f"outputs differ from {parity['reference']}: {parity['reason']}",
        "hint": "no result: the runtime computes something else; --no-parity compares nothing",
        "phase": "outputs",
    }


MODES: dict[str, ModeRunner] = {
    "reference": run_reference,
    "facts": run_facts,
    "timed": run_timed,
    "op-times": run_op_times,
}
