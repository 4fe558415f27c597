"""Runs an adapter in real worker processes, as a measurement does, each combination once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.oracle import declared_precision, depth
from onnxbench.protocols import Converting
from onnxbench.targets import bundle
from onnxbench.targets.local import LocalTarget, run_child
from onnxbench.testing.interrupting import OPTION
from onnxbench.types import ChildResult, JsonObject, Limits, Sampling, digest
from onnxbench.worker.job import Job, Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.protocols import RuntimeAdapter
    from onnxbench.testing.models import Model

ORACLE = "onnxbench.runtimes.reference:REFERENCE"
"""The reference evaluator of onnx says what is right: onnxbench never comes without it."""

LIMITS = Limits(build_s=180.0, run_s=60.0, steady_s=60.0)
FEW = Sampling(
    warmup_s=0.0, warmup_runs=2, warmup_cap_s=0.1, min_time_s=0.0, min_samples=5, iterations=10
)

INTERRUPTING = "onnxbench_interrupting"
"""Module name of `onnxbench.testing.interrupting` within a bundle."""

_LOOK = """
import dataclasses, importlib, json, sys
from importlib import metadata
sys.path[:0], sys.path[len(sys.path):] = [sys.argv[1]], sys.argv[3:]
module, _, attribute = sys.argv[2].partition(":")
found = getattr(importlib.import_module(module), attribute)
adapter = found() if isinstance(found, type) else found
versions = {}
for name in getattr(adapter, "distributions", ()):
    try:
        versions[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
told = dataclasses.asdict(adapter.probe())
imported = [name for name in adapter.modules if name in sys.modules]
print("\\0" + json.dumps({"capability": told, "imported": imported, "versions": versions}))
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What an interpreter says of an adapter before its runtime is imported.

    ``capability``: what `probe` returned. ``imported``: those of the adapter's modules that were
    imported for it. ``versions``: of the adapter's distributions that are there.
    """

    capability: JsonObject
    imported: list[str]
    versions: dict[str, str]


class Children:
    """The processes of one adapter. ``folder`` takes bundles, converted files and references."""

    def __init__(
        self,
        reference: str,
        adapter: RuntimeAdapter,
        interpreter: str,
        options: Mapping[str, str],
        folder: Path,
    ) -> None:
        self._reference = reference
        self._adapter = adapter
        self._interpreter = interpreter
        self._options = dict(options)
        self._folder = folder
        self._target = LocalTarget(interpreter, folder)
        self._oracle = LocalTarget(sys.executable, folder)
        self._answers: dict[Path, Reference] = {}
        self._ended: dict[str, ChildResult] = {}

    @property
    def is_converting(self) -> bool:
        """Whether the adapter converts a model before it loads it."""
        return isinstance(self._adapter, Converting)

    def run(self, model: Model, mode: str = "facts", **changes: Any) -> ChildResult:
        """Run a child on ``model``, its converter first; ``changes`` replace fields of the job.

        Returns the converter's result where that did not end well. ``options`` are added to those
        that the adapter is always tested with.
        """
        key = repr((model.path, model.seed, mode, sorted(changes.items())))
        if key not in self._ended:
            self._ended[key] = self._run(model, mode, changes)
        return self._ended[key]

    def convert(self, model: Model) -> ChildResult:
        """Run the converter of ``model``, even if it has run before."""
        return self._work(self.job(model, "convert", {}))

    def answered(self, model: Model) -> Reference:
        """Return the right outputs of ``model``, computed once by the reference evaluator."""
        if model.path not in self._answers:
            artifact = model.artifact
            path = self._folder / f"reference-{len(self._answers)}.npz"
            asked = Reference(
                str(path), "onnx-reference", declared_precision(artifact, None), depth(artifact)
            )
            job = replace(self.job(model, "reference", {}), adapter=ORACLE, options={},
                          precision="model", provider="", reference=asked)  # fmt: skip
            result = self._oracle.run_worker(job.document(), job.limits)
            assert result.status == "ok", f"the oracle itself failed: {described(result)}"
            self._answers[model.path] = asked
        return self._answers[model.path]

    def interrupted(self, model: Model) -> ChildResult:
        """Run ``model`` while ``interrupt`` is called at all times."""
        if self.is_converting:
            self.convert(model)
        source = Path(__file__).with_name("interrupting.py").read_bytes()
        files = bundle.contents(self._reference.partition(":")[0])
        folder = bundle.materialize({**files, f"{INTERRUPTING}.py": source}, self._folder)
        job = self.job(model, "facts", {"options": {OPTION: self._reference}})
        job = replace(job, adapter=f"{INTERRUPTING}:INTERRUPTING", provider="")
        return run_child([self._interpreter, str(folder)], job.document(), job.limits)

    def look(self) -> Look:
        """Ask the interpreter that the workers run in, in a process of its own."""
        return self._look([self._interpreter, "-I"], [])

    def look_without(self) -> Look:
        """Ask this Python, with no package but numpy."""
        packages = self._folder / "numpy alone"
        packages.mkdir(exist_ok=True)
        for source in Path(np.__file__).parents[1].glob("numpy*"):
            link = packages / source.name
            if not link.exists():
                link.symlink_to(source)
        return self._look([sys.executable, "-I", "-S"], [str(packages)])

    def job(self, model: Model, mode: str, changes: Mapping[str, Any]) -> Job:
        """Return the job of one child."""
        options = {**self._options, **changes.get("options", {})}
        precision = changes.get("precision", "model")
        own = {name: value for name, value in options.items() if name != OPTION}
        build = digest([str(model.path), model.shapes, own, precision])
        fields: dict[str, Any] = {
            "nonce": "",
            "mode": mode,
            "parent_pid": os.getpid(),
            "adapter": self._reference,
            "model": str(model.path),
            "files": model.artifact.files,
            "threads": 1,
            "boundary": "host",
            "precision": "model",
            "inputs": model.recipes,
            "expected": (),
            "sampling": FEW,
            "limits": LIMITS,
            "declared_inputs": model.artifact.inputs,
            "declared_outputs": model.artifact.outputs,
            "converted": str(self._folder / "converted" / build) if self.is_converting else None,
            "cache": str(self._folder / "compiled" / build),
            "provider": getattr(self._adapter, "provider", ""),
        }
        return Job(**{**fields, **changes, "options": options})

    def _run(self, model: Model, mode: str, changes: Mapping[str, Any]) -> ChildResult:
        job = self.job(model, mode, changes)
        if self.is_converting:
            converted = self._work(replace(job, mode="convert", reference=None))
            if converted.status != "ok":
                return converted
        return self._work(job)

    def _work(self, job: Job) -> ChildResult:
        return self._target.run_worker(job.document(), job.limits)

    def _look(self, python: list[str], packages: list[str]) -> Look:
        folder = str(self._target.bundle_for(self._reference))
        done = subprocess.run(
            [*python, "-c", _LOOK, folder, self._reference, *packages],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"probe() failed:\n{done.stderr}"
        return Look(**json.loads(done.stdout.rpartition("\0")[2]))


def described(result: ChildResult) -> str:
    """Return how a child ended, for whom a failed test has to tell."""
    told = f"the child ended {result.status}"
    if result.error is not None:
        error = result.error
        told += f" in {error['phase']}: {error['kind']}: {error['message']} (hint: {error['hint']})"
    return f"{told}\n{result.log}"
