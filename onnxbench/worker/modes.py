"""The three things a child can do with a loaded model: give facts, be timed, time operators."""

from __future__ import annotations

import gc
import os
import threading
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxbench.probes import host, load, memory
from onnxbench.worker import inputs, loop, outputs
from onnxbench.worker.clock import SECOND_NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.protocols import Engine
    from onnxbench.types import Measurement, MemoryDoc
    from onnxbench.worker.channel import Channel
    from onnxbench.worker.inputs import InputTensor
    from onnxbench.worker.job import Job

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


@dataclass(frozen=True, slots=True)
class Baseline:
    """Memory and threads of this process before the model is loaded.

    Peak memory is VmHWM after a reset through clear_refs (man proc_pid_clear_refs); where the
    reset is not allowed the peak before the model counts too, and the record says so.
    """

    rss_bytes: int | None
    threads: int
    was_reset: bool

    @classmethod
    def take(cls) -> Baseline:
        """Read the baseline now."""
        was_reset = memory.reset_peak()
        return cls(memory.rss_bytes(), _thread_count(), was_reset)

    def threads_since(self) -> int:
        """Return how many threads compute: those started since, and the calling one."""
        return _thread_count() - self.threads + 1

    def memory(self) -> MemoryDoc:
        """Return the memory of this process now, relative to the baseline."""
        peak = memory.peak_rss_bytes()
        shares = memory.uss_pss_bytes()
        document: MemoryDoc = {
            "peak_rss_bytes": peak,
            "model_rss_bytes": None,
            "imported_rss_bytes": self.rss_bytes,
            "uss_bytes": shares[0] if shares else None,
            "pss_bytes": shares[1] if shares else None,
            "device_bytes": None,
            "device_reason": "the device is the CPU",
        }
        if peak is None or self.rss_bytes is None:
            document["reason"] = "this system does not tell a process its resident set"
        else:
            document["model_rss_bytes"] = max(0, peak - self.rss_bytes)
            if not self.was_reset:
                document["reason"] = "the peak includes the time before the model was loaded"
        return document


def run_facts(
    job: Job, channel: Channel, engine: Engine, measurement: Measurement, _room: Room
) -> int:
    """Check outputs and describe the machine; nothing here is timed for a result."""
    with channel.timed_phase("outputs", job.limits.run_s * 3):
        first = {name: value.copy() for name, value in engine.outputs().items()}
        engine.run()
        if engine.sync is not None:
            engine.sync()
        again = outputs.outputs_sha256(engine.outputs())
    measurement["outputs_sha256"] = outputs.outputs_sha256(first)
    measurement["outputs_sha256_after"] = again
    parity = outputs.self_parity(
        first, deterministic=measurement["outputs_sha256"] == measurement["outputs_sha256_after"]
    )
    if job.expected:
        parity = outputs.compare_expected(first, job.expected, parity)
    measurement["parity"] = parity
    measurement["environment"] = host.environment()
    return 0


def run_timed(
    job: Job, channel: Channel, engine: Engine, measurement: Measurement, room: Room
) -> int:
    """Warm up, sample, and read the machine's load around the samples; return their number."""
    with channel.timed_phase("outputs", job.limits.run_s):
        measurement["outputs_sha256"] = outputs.outputs_sha256(engine.outputs())
    call = loop.one_call(engine.run, engine.sync)
    warmup_s, sampling_s = _allowances(job, channel.phases_ns["first_run"] / SECOND_NS)
    gc.collect()
    gc.freeze()
    gc.disable()
    with channel.timed_phase("warmup", warmup_s + job.limits.run_s):
        warm = loop.warm_up(call, job.sampling)
    with channel.timed_phase("steady", sampling_s + job.limits.run_s):
        before = load.snapshot()
        sampled = loop.sample(call, job.sampling, room, int(sampling_s * SECOND_NS))
        after = load.snapshot()
    gc.enable()
    measurement["load"] = load.between(before, after)
    measurement["warmup"] = {
        "runs": warm.runs, "duration_ns": warm.duration_ns, "steady": warm.steady
    }  # fmt: skip
    measurement["samples"] = sampled.count
    measurement["stop"] = sampled.stop
    with channel.timed_phase("outputs_after", job.limits.run_s):
        measurement["outputs_sha256_after"] = outputs.outputs_sha256(engine.outputs())
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
            engine.run()
            if engine.sync is not None:
                engine.sync()
    return 0


def placement(job: Job, engine: Engine, measurement: Measurement) -> None:
    """Record where nodes ran and in which precision; operators' times where asked for."""
    measurement["placement"], measurement["precision_effective"] = engine.placement()
    if job.mode == "op-times":
        measurement["op_times"] = engine.op_times()


MODES: dict[str, ModeRunner] = {
    "facts": run_facts,
    "timed": run_timed,
    "op-times": run_op_times,
}


def _thread_count() -> int:
    """Return the number of threads of this process that the system sees."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()
