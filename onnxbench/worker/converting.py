"""Entry point of the children that export: one model, one process.

Started as ``python BUNDLE JOB.json CHANNEL_FD`` in an interpreter that has the framework. A job is
one of two kinds of work:

- ``convert``: builds the network, runs it on seeded inputs, keeps inputs and outputs in an .npz,
  and writes the ONNX file.
- ``verify``: runs that file in ONNX Runtime on the same inputs and compares. It is a process of
  its own so that the framework's memory is gone by then, and a crash has one culprit.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench.errors import ExportError, OnnxBenchError
from onnxbench.sources import MODEL_FILE, ExportRequest, InputSpec, SourceFacts
from onnxbench.worker import guard
from onnxbench.worker.wire import write_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from onnxbench.protocols import Array, Exporter, Source
    from onnxbench.types import JsonObject, Status

BATCHES = (1, 3)
"""Sizes at which an open batch is checked: exporters trace with 2, and must not have kept it."""


class _Refused(Exception):
    """The work is done and its result is not to be used."""

    def __init__(self, status: Status, kind: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.status: Status = status
        self.kind, self.message, self.hint = kind, message, hint


class _Stage:
    """Announces phases to the parent and keeps the time they took."""

    def __init__(self, fd: int, nonce: str, limits: dict[str, float]) -> None:
        self._fd, self._nonce, self._limits = fd, nonce, limits
        self.phase = "start"
        self.phases_ns: dict[str, int] = {}

    @contextmanager
    def phase_of(self, name: str) -> Iterator[None]:
        self.phase = name
        announced = {"type": "phase", "phase": name, "limit_s": self._limits[name]}
        write_frame(self._fd, {**announced, "nonce": self._nonce})
        start = time.perf_counter_ns()
        try:
            yield
        finally:
            self.phases_ns[name] = time.perf_counter_ns() - start

    def result(self, measurement: JsonObject) -> None:
        frame = {"type": "result", "nonce": self._nonce, "measurement": measurement}
        write_frame(self._fd, frame)


def main() -> None:
    """Do the job and end the process; never returns."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    fd = guard.claim_channel(int(sys.argv[2]))
    guard.secure(job["parent_pid"], job["memory_bytes"])
    # ONNX Runtime's Linux wheels send telemetry unless this is set before the import.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    stage = _Stage(fd, job["nonce"], job["limits"])
    work: Callable[[JsonObject, _Stage], JsonObject]
    work = {"convert": _convert, "verify": _verify}[job["work"]]
    measurement: JsonObject = {"status": "ok", "error": None}
    try:
        measurement |= work(job, stage)
    except _Refused as refused:
        measurement |= _error(
            refused.status, refused.kind, refused.message, refused.hint, stage.phase
        )
    except OnnxBenchError as error:
        measurement |= _error("error", error.kind, error.message, error.hint, stage.phase)
    except MemoryError:
        message = f"out of memory during {stage.phase}"
        measurement |= _error("oom", "out-of-memory", message, "raise --max-memory", stage.phase)
    except Exception as error:  # noqa: BLE001 - whatever a framework raises is a result
        message = f"{type(error).__name__}: {error}"[:4000]
        hint = "the model or its framework is at fault; see the message"
        measurement |= _error("error", "export", message, hint, stage.phase)
    measurement["phases_ns"] = stage.phases_ns
    measurement["peak_rss_bytes"] = _peak_rss_bytes()
    stage.result(measurement)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a framework's own shutdown may hang or crash


def _convert(job: JsonObject, stage: _Stage) -> JsonObject:
    request = ExportRequest.read(job["request"])
    with stage.phase_of("load"):
        exporter: Exporter = _attribute(job["exporter"])()
        source = exporter.load(request)
        facts = source.facts
    with stage.phase_of("reference"):
        open_batch = any(isinstance(dim, str) for each in facts.inputs for dim in each.shape)
        cases = [(batch, number) for number, batch in enumerate(BATCHES if open_batch else (1, 1))]
        arrays = _references(source, facts, cases, request.seed)
    with stage.phase_of("count"):
        counts = source.counts()
    with stage.phase_of("write"):
        written = source.write()
        if open_batch and not written.dynamic_batch:
            # Its batch became 1: a second case of that size takes the place of the larger one.
            cases = [(1, 0), (1, 2)]
            arrays |= _references(source, facts, cases[1:], request.seed)
        _save(Path(job["reference"]), arrays)
    if job["passes"]:
        with stage.phase_of("passes"):
            for name in job["passes"]:
                _attribute(name)(Path(request.folder, MODEL_FILE))
    return {
        "facts": asdict(facts),
        "counts": None if counts is None else asdict(counts),
        "written": asdict(written),
        "cases": cases,
    }


def _references(
    source: Source, facts: SourceFacts, cases: Sequence[tuple[int, int]], seed: int
) -> dict[str, Array]:
    """Return inputs and outputs of every case (batch, number), keyed as `_verify` reads them."""
    import numpy as np  # noqa: PLC0415 - the framework brings it

    arrays: dict[str, Array] = {}
    for batch, number in cases:
        inputs = [_array(spec, batch, seed + number) for spec in facts.inputs]
        outputs = [np.asarray(each) for each in source.run(inputs)]
        for output in outputs:
            if output.dtype.kind == "f" and not np.isfinite(output).all():
                bad = int(output.size - np.isfinite(output).sum())
                raise _Refused(
                    "wrong-output",
                    "source-not-finite",
                    f"the source itself gives {bad} NaN or infinite of {output.size} values at "
                    f"batch {batch}: nothing can be verified against it",
                    "try --weights pretrained, or another --seed",
                )
        arrays |= {f"{number}.in.{i}": array for i, array in enumerate(inputs)}
        arrays |= {f"{number}.out.{i}": array for i, array in enumerate(outputs)}
    return arrays


def _array(spec: InputSpec, batch: int, seed: int) -> Array:
    """Return a seeded input: standard normal, as a normalised picture is; integers below high."""
    import numpy as np  # noqa: PLC0415

    generator = np.random.default_rng(seed)
    shape = spec.sized(batch)
    kind = {"float": "float32", "double": "float64"}.get(spec.dtype, spec.dtype)
    if kind.startswith("float"):
        return generator.standard_normal(shape, dtype=np.float32).astype(kind)
    return generator.integers(0, spec.high, shape).astype(kind)


def _save(path: Path, arrays: dict[str, Array]) -> None:
    import numpy as np  # noqa: PLC0415

    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy: no keyword is special here


def _verify(job: JsonObject, stage: _Stage) -> JsonObject:
    with stage.phase_of("import"):
        import numpy as np  # noqa: PLC0415

        from onnxbench.worker.parity import compare, worst  # noqa: PLC0415

        open_session = _attribute(job["judge"])
    with stage.phase_of("load"):
        session = open_session(job["model"], job["threads"])
        # A converter may drop an input that nothing reads, and order them as it likes.
        taken = {each.name for each in session.get_inputs()}
    found = []
    with stage.phase_of("run"), np.load(job["reference"], allow_pickle=False) as arrays:
        for batch, number in job["cases"]:
            given = {name: arrays[f"{number}.in.{i}"] for i, name in enumerate(job["inputs"])}
            feeds = {name: array for name, array in given.items() if name in taken}
            wanted = [arrays[key] for key in _outputs_of(arrays.files, number)]
            got = session.run(None, feeds)
            found.append({"batch": batch, **compare(got, wanted)})
    parity = worst(found)
    parity["reference"] = job["source"]
    return {"parity": parity}


def _outputs_of(keys: Sequence[str], number: int) -> list[str]:
    prefix = f"{number}.out."
    found = [key for key in keys if key.startswith(prefix)]
    return sorted(found, key=lambda key: int(key.removeprefix(prefix)))


def _attribute(reference: str) -> Any:
    """Return what ``package.module:attribute`` names. Raises ExportError."""
    module, _, attribute = reference.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        message = f"{reference} cannot be loaded here: {error}"
        raise ExportError(message, "onnxbench list exporters") from error
    return found


def _error(status: Status, kind: str, message: str, hint: str, phase: str) -> JsonObject:
    error = {"kind": kind, "message": message, "hint": hint, "phase": phase}
    return {"status": status, "error": error}


def _peak_rss_bytes() -> int | None:
    try:
        import resource  # noqa: PLC0415 - absent on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
