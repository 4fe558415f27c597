"""Runs adapters of any environment on real files, as a run does: convert, then facts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import pytest

from onnxbench import environments
from onnxbench.targets.local import LocalTarget
from onnxbench.types import InputRecipe, Limits, TensorSpec
from tests.targets.child import job, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxbench.protocols import Target
    from onnxbench.types import ChildResult, ErrorDoc, Measurement

PATIENT = Limits(build_s=120.0, run_s=60.0, steady_s=60.0)


def installed_environment(monkeypatch: pytest.MonkeyPatch, name: str) -> environments.Installed:
    """Return the environment ``name`` of ONNXBENCH_TEST_HOME; without it, skip (CI: fail)."""
    if home := os.environ.get("ONNXBENCH_TEST_HOME"):
        monkeypatch.setenv("ONNXBENCH_HOME", home)
    found = environments.installed(name)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"CI has to run these tests: onnxbench install {name}")
    if found is None:
        pytest.skip(f"needs the environment that `onnxbench install {name}` makes")
    return found


def target_in(environment: environments.Installed, cache: Path) -> LocalTarget:
    """Return the target whose workers run in ``environment``."""
    return LocalTarget(str(environment.interpreter), cache)


def declared(model: Path) -> dict[str, Any]:
    """Return inputs and outputs of the file as a job has them."""
    graph = onnx.load(model, load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    given = [value for value in graph.input if value.name not in weights]
    return {
        "declared_inputs": tuple(map(_spec, given)),
        "declared_outputs": tuple(map(_spec, graph.output)),
    }


def recipes(model: Path, shapes: Mapping[str, Sequence[int]], seed: int = 0) -> Any:
    """Return uniform inputs in [0, 1) for ``shapes``, in the types of the file."""
    types = {spec.name: spec.dtype for spec in declared(model)["declared_inputs"]}
    return tuple(
        InputRecipe(name, types[name], tuple(shape), "uniform", 0.0, 1.0, seed)
        for name, shape in shapes.items()
    )


def facts_of(
    target: Target, adapter: str, model: Path, shapes: Mapping[str, Sequence[int]], **changes: Any
) -> ChildResult:
    """Convert where ``converted`` names a folder, then run a facts child; return the last child.

    ``changes`` replace fields of the job: threads, boundary, precision, options, mode, converted.
    """
    seed = changes.pop("seed", 0)
    fields = {"limits": PATIENT, **declared(model), "inputs": recipes(model, shapes, seed)}
    if changes.get("converted"):
        done = run(target, job(adapter, str(model), **{**fields, **changes, "mode": "convert"}))
        if done.status != "ok":
            return done
    return run(target, job(adapter, str(model), **{**fields, **changes}))


def good(result: ChildResult) -> Measurement:
    """Return what a child measured that has to end well."""
    assert (result.status, result.error) == ("ok", None), result
    assert result.measurement is not None
    return result.measurement


def right(found: ChildResult) -> Measurement:
    """Return the measurement of a child whose answer ONNX Runtime confirms, for two inputs."""
    measured = good(found)
    parity = measured["parity"]
    assert (parity["reference"], parity["passed"]) == ("onnxruntime-cpu", True)
    assert parity["deterministic"]
    return measured


def refused(found: ChildResult, phase: str) -> str:
    """Return what a child says that was turned down, as it should, in ``phase``."""
    assert (found.status, found.exit_code) == ("unsupported", 0), found
    assert found.error is not None
    assert found.error["phase"] == phase
    assert found.error["hint"]
    return found.error["message"]


def error_of(found: ChildResult) -> ErrorDoc:
    """Return what went wrong in a child that has to end badly."""
    assert found.error is not None, found
    return found.error


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    dims = [d.dim_value if d.HasField("dim_value") else d.dim_param or None
            for d in tensor.shape.dim]  # fmt: skip
    name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    return TensorSpec(value.name, name, tuple(dims))
