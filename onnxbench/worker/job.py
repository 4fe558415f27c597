"""What a worker is told to do, as it crosses the process boundary."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from onnxbench.types import (
    ArtifactFile,
    BuildRequest,
    ChildMode,
    ConvertRequest,
    ExpectedOutput,
    InputRecipe,
    Limits,
    Origin,
    Sampling,
    TensorSpec,
)

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.types import Boundary, JsonObject

Mode = ChildMode | Literal["reference"]


@dataclass(frozen=True, slots=True)
class Reference:
    """Outputs that every runtime has to give for the same inputs.

    ``path``: the .npz file. ``name``: what computed them. ``dtype``: the narrowest type that the
    graph computes in, ``depth``: how many matrix products and convolutions it has; both decide how
    far an answer may be off.
    """

    path: str
    name: str
    dtype: str
    depth: int


@dataclass(frozen=True, slots=True)
class Job:
    """One child's work: one cell in one mode.

    ``adapter``: ``package.module:attribute``. ``files``: the model and its external data as
    pre-flight saw them. ``options``: the cell's runtime settings. ``nonce`` is echoed by the
    worker, so that a result can only belong to this job. ``declared_inputs`` and
    ``declared_outputs``: as the file has them. ``converted``: the folder of the converted model,
    None where nothing has to be converted; ``cache``: the one for what the runtime compiles.
    ``provider``, ``allow_fallback`` and ``origin``: as in `onnxbench.types.PlannedCell`.
    ``declared``: the type of most of the graph's arithmetic, "" if nobody knows. ``reference``:
    what a ``reference`` child writes, and ``facts`` and ``timed`` children are compared with.
    """

    nonce: str
    mode: Mode
    parent_pid: int
    adapter: str
    model: str
    files: tuple[ArtifactFile, ...]
    threads: int
    boundary: Boundary
    precision: str
    options: dict[str, str]
    inputs: tuple[InputRecipe, ...]
    expected: tuple[ExpectedOutput, ...]
    sampling: Sampling
    limits: Limits
    declared_inputs: tuple[TensorSpec, ...] = ()
    declared_outputs: tuple[TensorSpec, ...] = ()
    converted: str | None = None
    cache: str | None = None
    provider: str = ""
    allow_fallback: bool = False
    declared: str = ""
    reference: Reference | None = None
    origin: Origin | None = None

    def document(self) -> JsonObject:
        """Return the job as JSON."""
        return dataclasses.asdict(self)

    def build_request(self, scratch: str) -> BuildRequest:
        """Return what the adapter is told; only a child that is never timed is profiled."""
        return BuildRequest(
            model=self.model,
            threads=self.threads,
            boundary=self.boundary,
            precision=self.precision,
            options=dict(self.options),
            profile=self.mode not in ("timed", "reference"),
            scratch=scratch,
            inputs=self.declared_inputs,
            outputs=self.declared_outputs,
            shapes={recipe.name: recipe.shape for recipe in self.inputs},
            converted=self.converted,
            cache=self.cache,
            origin=self.origin,
        )

    def convert_request(self, folder: str) -> ConvertRequest:
        """Return what the adapter's converter is told."""
        return ConvertRequest(
            model=self.model,
            precision=self.precision,
            options=dict(self.options),
            inputs=self.declared_inputs,
            outputs=self.declared_outputs,
            shapes={recipe.name: recipe.shape for recipe in self.inputs},
            folder=folder,
        )

    @classmethod
    def read(cls, path: Path) -> Job:
        """Return the job in the JSON file ``path``."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        raw["files"] = tuple(ArtifactFile(**file) for file in raw["files"])
        raw["inputs"] = tuple(
            InputRecipe(**{**recipe, "shape": tuple(recipe["shape"])}) for recipe in raw["inputs"]
        )
        raw["expected"] = tuple(ExpectedOutput(**output) for output in raw["expected"])
        raw["sampling"] = Sampling(**raw["sampling"])
        raw["limits"] = Limits(**raw["limits"])
        for field in ("declared_inputs", "declared_outputs"):
            raw[field] = tuple(_tensor_spec(spec) for spec in raw[field])
        raw["reference"] = Reference(**raw["reference"]) if raw["reference"] else None
        raw["origin"] = _origin(raw["origin"]) if raw["origin"] else None
        return cls(**raw)


def _origin(raw: dict[str, Any]) -> Origin:
    return Origin(**{**raw, "modules": tuple(raw["modules"])})


def _tensor_spec(raw: dict[str, Any]) -> TensorSpec:
    shape = raw["shape"]
    return TensorSpec(**{**raw, "shape": None if shape is None else tuple(shape)})
