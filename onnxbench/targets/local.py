"""This machine as a target: a bundle, a private folder and a supervised process per child."""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard, get_args

from onnxbench.probes import memory
from onnxbench.targets import bundle
from onnxbench.targets.environment import child_environment, source_environment
from onnxbench.targets.process import Deadlines, Outcome, supervise
from onnxbench.text import safe_block
from onnxbench.types import ChildResult, ErrorDoc, Limits, Measurement, Status

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from onnxbench.types import JsonObject

LOG_LINES = 20
"""Last lines of a failed child's output that its record keeps."""

SAMPLE_BYTES = 8


class LocalTarget:
    """A Python interpreter on this machine."""

    name = "local"

    def __init__(self, interpreter: str = sys.executable, cache: Path | None = None) -> None:
        self._interpreter = interpreter
        self._cache = cache or bundle.cache_folder()
        self._bundles: dict[tuple[str, str], Path] = {}

    def bundle_for(self, adapter: str, exporter: str = "") -> Path:
        """Return the bundle folder that serves ``adapter`` (``module:attribute``).

        ``exporter``: named alike, of a network that the adapter builds from its source.
        """
        modules = adapter.partition(":")[0], exporter.partition(":")[0]
        if modules not in self._bundles:
            self._bundles[modules] = bundle.materialize(bundle.contents(*modules), self._cache)
        return self._bundles[modules]

    def run_worker(self, request: JsonObject, limits: Limits) -> ChildResult:
        """Run one worker on ``request`` (`onnxbench.worker.job.Job.document`) to its end."""
        origin = request.get("origin")
        folder = self.bundle_for(request["adapter"], origin["exporter"] if origin else "")
        return run_child(
            [self._interpreter, str(folder)],
            request,
            limits,
            environment=source_environment if origin else child_environment,
        )


def run_child(
    argv: list[str],
    request: JsonObject,
    limits: Limits,
    *,
    environment: Callable[[Path, str], dict[str, str]] = child_environment,
    stop: threading.Event | None = None,
) -> ChildResult:
    """Run ``argv JOB.json CHANNEL`` in a private folder and return its result.

    ``environment`` makes the child's variables from that folder and a seed; ``stop`` ends the
    child from another thread.

    The child's ``result`` frame is ``{type, nonce, measurement}`` with samples as its blob; a
    child that ends without one is given the state that its end deserves.
    """
    nonce = secrets.token_hex(8)
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    kills_before = memory.oom_kills()
    with tempfile.TemporaryDirectory(prefix="onnxbench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        job = folder / "job.json"
        job.write_text(json.dumps({**request, "nonce": nonce}), encoding="utf-8")
        outcome = supervise(
            [*argv, str(job)],
            environment=environment(folder, nonce),
            folder=folder,
            nonce=nonce,
            deadlines=Deadlines(
                limits.start_s,
                limits.grace_s,
                ceiling_s=limits.build_s + limits.steady_s + 10 * limits.run_s,
                life_s=limits.life_s,
            ),
            stop=stop,
        )
    kills_after = memory.oom_kills()
    out_of_memory = None not in (kills_before, kills_after) and kills_before != kills_after
    status, error, measurement, samples = judge(outcome, out_of_memory=out_of_memory)
    return ChildResult(
        status=status,
        error=error,
        measurement=measurement,
        samples=samples,
        wall_ns=outcome.wall_ns,
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        log=safe_block(outcome.log.decode("utf-8", "replace")),
        started=started,
    )


def judge(
    outcome: Outcome, *, out_of_memory: bool
) -> tuple[Status, ErrorDoc | None, Measurement | None, bytes]:
    """Return the one named state of a child that has ended, and what it reported."""
    if outcome.end == "exited" and outcome.exit_code == 0 and outcome.result is not None:
        measurement = outcome.result.document.get("measurement")
        if _is_measurement(measurement, outcome.result.blob):
            status, error = measurement["status"], measurement.get("error")
            return status, error, measurement, outcome.result.blob
        outcome.end, outcome.fault = "protocol", "what it sent is no result"
    status, kind, message, hint = _fault(outcome, out_of_memory=out_of_memory)
    last = "\n".join(outcome.log.decode("utf-8", "replace").splitlines()[-LOG_LINES:]).strip()
    if last:
        message = f"{message}; its last output: {safe_block(last, 1000)}"
    return (
        status,
        {"kind": kind, "message": message, "hint": hint, "phase": outcome.phase},
        None,
        b"",
    )


def _is_measurement(found: object, samples: bytes) -> TypeGuard[Measurement]:
    """Tell whether ``found`` says in our words how the child fared, and counts its samples."""
    if not isinstance(found, dict) or found.get("status") not in get_args(Status):
        return False
    error, count = found.get("error"), found.get("samples", 0)
    explained = error is None if found["status"] == "ok" else _is_error(error)
    return explained and isinstance(count, int) and len(samples) == SAMPLE_BYTES * count


def _is_error(found: object) -> bool:
    return isinstance(found, dict) and all(
        isinstance(found.get(field), str) for field in ErrorDoc.__annotations__
    )


def _fault(outcome: Outcome, *, out_of_memory: bool) -> tuple[Status, str, str, str]:
    phase = outcome.phase
    if outcome.end == "deadline":
        return (
            "timeout-hard",
            "hard-time-limit",
            f"the process did not end within the time limit of {phase} and was killed",
            "raise --cell-timeout if the model is that slow",
        )
    if outcome.end == "protocol":
        return (
            "error",
            "protocol",
            f"the process broke its contract: {outcome.fault}",
            "a native library wrote where it must not; report it with the model's name",
        )
    if outcome.signal == "SIGKILL" and out_of_memory:
        return (
            "oom",
            "SIGKILL",
            f"the system ran out of memory and killed the process during {phase}",
            "choose a smaller --batch, or free memory",
        )
    if outcome.signal is not None:
        return (
            "crashed",
            outcome.signal,
            f"the process was ended by {outcome.signal} during {phase}",
            "the runtime crashed on this model; try another version of it",
        )
    when = "after its result" if outcome.result else "without a result"
    return (
        "error",
        "no-result",
        f"the process ended with code {outcome.exit_code} during {phase}, {when}",
        "onnxbench doctor checks the runtime's installation",
    )
