"""Entry point of a worker: one cell, one process, one session.

Started as ``python BUNDLE JOB.json CHANNEL_FD``. The order of phases keeps the model's memory
apart: everything that is not the model's (runtime, inputs, room for samples) exists before the
memory baseline is read.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.errors import AdapterError, RefusedInput, Unsupported
from onnxbench.protocols import Converting
from onnxbench.worker import guard
from onnxbench.worker.channel import Channel
from onnxbench.worker.job import Job
from onnxbench.worker.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onnxbench.protocols import RuntimeAdapter
    from onnxbench.types import ErrorDoc, Measurement, Status


def main() -> None:
    """Run the job and end the process; never returns."""
    job = Job.read(Path(sys.argv[1]))
    fd = guard.claim_channel(int(sys.argv[2]))
    notes = guard.secure(job.parent_pid, job.limits.memory_bytes)
    # ONNX Runtime's Linux wheels send telemetry unless this is set before the import.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    watchdog = Watchdog()
    channel = Channel(fd, job.nonce, watchdog)
    measurement: Measurement = {"mode": job.mode, "notes": notes}
    samples = b""
    try:
        samples = _run(job, channel, watchdog, measurement)
    except Exception as error:  # noqa: BLE001 - whatever a runtime raises is a result
        measurement["status"], measurement["error"] = classify(
            error, channel.phase, interrupted=watchdog.fired
        )
        measurement.pop("samples", None)  # what was timed before is not sent
    measurement["phases_ns"] = channel.phases_ns
    channel.result(measurement, samples)
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreter shutdown would run destructors of foreign libraries, which may hang or crash.
    os._exit(0)


def _run(job: Job, channel: Channel, watchdog: Watchdog, measurement: Measurement) -> bytes:
    """Run the phases that every mode shares, then those of the job's mode; return samples."""
    # numpy is of the import phase
    from onnxbench.probes import device  # noqa: PLC0415
    from onnxbench.worker import answer, conversion, modes  # noqa: PLC0415

    limits = job.limits
    room = modes.room_for(job)
    with channel.timed_phase("import", limits.start_s):
        adapter = load_adapter(job.adapter)
        for module in adapter.modules:
            importlib.import_module(module)
        if job.origin is not None:
            _import_what_can_be(job.origin.modules)
    check_unchanged(job)
    if job.mode == "convert":
        if not isinstance(adapter, Converting):
            raise Unsupported(f"{adapter.name} converts nothing", "report it to its author")
        with channel.timed_phase("convert", limits.build_s):
            measurement["conversion"] = conversion.convert(job, adapter)
        measurement["status"], measurement["error"] = "ok", None
        return b""
    with channel.timed_phase("inputs", limits.build_s):
        tensors = modes.prepare_inputs(job, measurement)
    gc.collect()
    baseline = modes.Baseline(device.kind(adapter, job.options))
    try:
        with channel.timed_phase("load", limits.build_s), compiled_cache(job.cache):
            engine = adapter.build(job.build_request(str(Path.cwd())))
    finally:
        check_unchanged(job)  # nor while it was read: that explains whatever came of it
    baseline.note("load")
    watchdog.interrupt = engine.interrupt
    with channel.timed_phase("bind", limits.run_s):
        engine.bind(tensors)
    with channel.timed_phase("first_run", limits.run_s):
        answer.run_once(engine)
    baseline.note("first_run")
    threads = baseline.threads_since()
    run_mode = modes.MODES[job.mode]
    count = run_mode(job, channel, engine, measurement, room)
    # Before anything of ours is made of the samples.
    measurement["memory"] = baseline.memory()
    measurement["facts"] = {
        **modes.said("facts", engine.facts),
        "threads_told": job.threads,
        "threads_found": threads,
        "threads_busy": measurement.pop("threads_busy", None),
    }
    if job.mode == "timed":
        modes.check_timed(job, channel, engine, measurement)
    if job.mode in ("facts", "op-times"):
        with channel.timed_phase("placement", limits.run_s):
            modes.placement(job, engine, measurement)
    watchdog.interrupt = None
    with channel.timed_phase("close", limits.run_s):
        engine.close()
    baseline.note("close")
    measurement["status"], measurement["error"] = modes.verdict(job, measurement)
    return memoryview(room)[:count].tobytes()


WHOLE = "whole"
"""The file that marks a folder whose contents were written to their end."""


@contextlib.contextmanager
def compiled_cache(folder: str | None) -> Iterator[None]:
    """Provide the private ``folder`` for what a runtime compiles; gone again if it stays empty.

    What a process left there that did not live to load it may be half of a file: it goes first.
    """
    if folder is None:
        yield
        return
    whole = Path(folder, WHOLE)
    if not whole.exists():
        shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    whole.unlink(missing_ok=True)
    try:
        yield
        if any(Path(folder).iterdir()):
            whole.touch(mode=0o600)
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def load_adapter(reference: str) -> RuntimeAdapter:
    """Return the adapter behind ``package.module:attribute``: an instance, or what makes one."""
    module_name, _, attribute = reference.partition(":")
    found = getattr(importlib.import_module(module_name), attribute)
    adapter: RuntimeAdapter = found() if isinstance(found, type) else found
    return adapter


def _import_what_can_be(modules: Sequence[str]) -> None:
    """Import what the source of a network needs, lest it count as memory of its weights.

    What cannot be imported is left to the adapter, which can say what follows from that.
    """
    for module in modules:
        with contextlib.suppress(Exception):  # a package that does not fit another raises anything
            importlib.import_module(module)


def check_unchanged(job: Job) -> None:
    """Raise RefusedInput if a file of the model is not the one that pre-flight hashed."""
    for file in job.files:
        try:
            now = os.stat(file.path)
        except OSError as error:
            raise RefusedInput(
                "changed-since-preflight",
                f"{file.path} is gone since it was checked: {error.strerror}",
                "put the file back and run again",
            ) from error
        if (now.st_size, now.st_mtime_ns, now.st_ino) != (file.bytes, file.mtime_ns, file.inode):
            raise RefusedInput(
                "changed-since-preflight",
                f"{file.path} was changed since it was checked",
                "run again while nothing writes to the model",
            )


def classify(error: BaseException, phase: str, *, interrupted: bool) -> tuple[Status, ErrorDoc]:
    """Return the named state and the error document of an exception raised in ``phase``."""
    if interrupted:
        return "timeout-soft", {
            "kind": "soft-time-limit",
            "message": f"{phase} was stopped at its time limit",
            "hint": "raise --cell-timeout if the model is that slow",
            "phase": phase,
        }
    status: Status = "error"
    kind, hint, message = type(error).__name__, "", str(error)
    if isinstance(error, AdapterError):
        status, kind, hint, message = error.status, error.kind, error.hint, error.message
    elif isinstance(error, RefusedInput):
        status, kind, hint, message = "refused-input", error.reason, error.hint, error.message
    elif isinstance(error, MemoryError):
        status, kind = "oom", "out-of-memory"
        hint = "choose a smaller --batch, or raise --max-memory"
    elif isinstance(error, ImportError):
        status, kind = "provider-missing", "not-installed"
        hint = "onnxbench doctor says what the runtime needs"
    return status, {"kind": kind, "message": message[:4000], "hint": hint, "phase": phase}
