"""One conversion through its child processes: convert, inspect, verify.

::

    ExportRequest → convert (framework's interpreter) → model.onnx, reference.npz
      → inspect (pre-flight, static analysis) → verify (ONNX Runtime, same inputs) → sidecar
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench import provenance, registry
from onnxbench.inspection import inspect
from onnxbench.sources import MODEL_FILE
from onnxbench.targets import bundle
from onnxbench.targets.environment import exporter_environment
from onnxbench.targets.local import run_child
from onnxbench.types import Limits
from onnxbench.workload import Ask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from onnxbench.environments import Interpreter
    from onnxbench.plan import Candidate
    from onnxbench.protocols import Exporter
    from onnxbench.sources import ExportRequest
    from onnxbench.types import ChildResult, ErrorDoc, JsonObject, ModelSpec

JUDGE = "onnxbench.exporters._onnxruntime:open_session"
PASSES = {"simplify": "onnxbench.exporters._passes:simplify"}
PASS_DISTRIBUTIONS = {"simplify": "onnxslim"}
"""What does a pass; its version decides what comes out."""
HINTS = {
    "timeout-hard": "raise --timeout",
    "crashed": "the framework crashed on this model; try --opset, or another version of it",
    "oom": "free memory, raise --max-memory, or export fewer models at a time (--jobs)",
}
"""What to do about the end of a child that was no answer; other children end for other reasons."""

PHASES = ("import", "load", "reference", "count", "write", "passes", "run")


class Failed(Exception):
    """A child did not do its work; ``found``: what is known nevertheless."""

    def __init__(self, result: ChildResult, found: JsonObject) -> None:
        super().__init__()
        self.result = result
        self.found = found


@dataclass(frozen=True, slots=True)
class Bounds:
    """What each child may use: seconds for a phase, bytes, threads; ``stop`` ends it."""

    limit_s: float
    memory_bytes: int | None
    threads: int
    stop: Event | None = None


@dataclass(frozen=True, slots=True)
class Conversion:
    """A model, the exporter that turns it into ONNX, and the Python that has the framework."""

    spec: ModelSpec
    exporter: Exporter
    interpreter: Interpreter
    request: ExportRequest
    passes: Sequence[str]
    bounds: Bounds

    def run(self, staged: Path) -> tuple[str, JsonObject]:
        """Leave the model in the request's folder; return its SHA-256 and its sidecar.

        ``staged``: for what is needed on the way. Raises `Failed`.
        """
        reference = staged / "reference.npz"
        said = self._converted(reference)
        cases = said["cases"]
        found = _progress(said) | provenance.converted(
            said,
            self.request,
            exporter=self.exporter.name,
            environment=self.interpreter.environment,
        )
        found["passes"] = list(self.passes)
        found["versions"] |= {
            name: self.interpreter.versions[name]
            for name in map(PASS_DISTRIBUTIONS.__getitem__, self.passes)
        }
        model = Path(self.request.folder, MODEL_FILE)
        candidate = inspected(self.spec, model, self.bounds, found)
        known = provenance.artifact(candidate)
        counts = found["counts"] | known["counts"]
        agrees = provenance.agreement(
            counts["source"], counts["graph"], keep_bn=self.request.keep_bn
        )
        found |= known | {"counts": counts | agrees}
        inputs = [each["name"] for each in said["facts"]["inputs"]]
        found["parity"] = self._parity(model, reference, cases, inputs, found)
        assert candidate.artifact is not None
        return candidate.artifact.sha256, found

    def _converted(self, reference: Path) -> JsonObject:
        """Run the child that converts; return what it says of the source and of what it wrote."""
        result = self._child(
            self.interpreter,
            {
                "work": "convert",
                "exporter": registry.find_exporter(self.exporter.name).value,
                "request": self.request.document(),
                "reference": str(reference),
                "passes": [PASSES[name] for name in self.passes],
            },
            download=self.request.weights == "pretrained",
        )
        said: dict[str, Any] = dict(result.measurement or {})
        if result.status != "ok":
            raise Failed(result, {"exporter": self.exporter.name, **_progress(said)})
        return said

    def _parity(
        self,
        model: Path,
        reference: Path,
        cases: Sequence[object],
        inputs: Sequence[str],
        found: JsonObject,
    ) -> JsonObject:
        """Run the child that compares; return what it found."""
        here = find_spec("onnxruntime") is not None
        version = found["versions"].get(self.exporter.modules[0], "")
        result = self._child(
            replace(self.interpreter, path=Path(sys.executable)) if here else self.interpreter,
            {
                "work": "verify",
                "judge": JUDGE,
                "model": str(model),
                "reference": str(reference),
                "cases": cases,
                "inputs": inputs,
                "threads": self.bounds.threads,
                "source": f"{self.exporter.modules[0]} {version}".strip(),
            },
            download=False,
        )
        if result.status != "ok":
            raise Failed(result, found)
        said: dict[str, Any] = dict(result.measurement or {})
        parity: JsonObject = said["parity"]
        if not parity["passed"]:
            raise Failed(_disagrees(result, parity), {**found, "parity": parity})
        return parity

    def _child(self, interpreter: Interpreter, job: JsonObject, *, download: bool) -> ChildResult:
        limit_s = self.bounds.limit_s
        module = registry.find_exporter(self.exporter.name).value.partition(":")[0]
        folder = bundle.materialize(bundle.exporter_contents(module), bundle.cache_folder())
        result = run_child(
            [str(interpreter.path), str(folder)],
            {
                **job,
                "parent_pid": os.getpid(),
                "memory_bytes": self.bounds.memory_bytes,
                "limits": dict.fromkeys(PHASES, limit_s),
            },
            Limits(build_s=limit_s, run_s=0, steady_s=0),
            environment=lambda scratch, _: exporter_environment(
                scratch, threads=self.bounds.threads, download=download
            ),
            stop=self.bounds.stop,
        )
        if result.error is not None and result.status in HINTS:
            result.error["hint"] = HINTS[result.status]
        return result


def inspected(spec: ModelSpec, model: Path, bounds: Bounds, found: JsonObject) -> Candidate:
    """Return ``spec`` with what pre-flight and the analyzer say of ``model``. Raises `Failed`."""
    candidate = inspect(
        spec,
        model,
        keep=model.parent,
        memory_bytes=bounds.memory_bytes,
        asks=[Ask(batch=1), Ask()],
        stop=bounds.stop,
    )
    if candidate.artifact is None:
        raise Failed(candidate.preflight, found)
    return candidate


def _progress(said: JsonObject) -> JsonObject:
    return {"phases_ns": said.get("phases_ns", {}), "peak_rss_bytes": said.get("peak_rss_bytes")}


def _disagrees(result: ChildResult, parity: JsonObject) -> ChildResult:
    error: ErrorDoc = {
        "kind": "parity",
        "message": f"ONNX Runtime and {parity['reference']} disagree: {parity['reason']}",
        "hint": "the export is wrong: report it, or try --opset or another exporter",
        "phase": "verify",
    }
    return replace(result, status="wrong-output", error=error)
