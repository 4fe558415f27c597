"""What a worker is told to do, as it crosses the process boundary."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from onnxbench.types import (
    ArtifactFile,
    BuildRequest,
    ExpectedOutput,
    InputRecipe,
    Limits,
    Sampling,
)

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.types import Boundary, JsonObject

Mode = Literal["facts", "timed", "op-times"]


@dataclass(frozen=True, slots=True)
class Job:
    """One child's work: one cell in one mode.

    ``adapter``: ``package.module:attribute``. ``files``: the model and its external data as
    pre-flight saw them. ``options``: the cell's runtime settings. ``nonce`` is echoed by the
    worker, so that a result can only belong to this job.
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
            profile=self.mode != "timed",
            scratch=scratch,
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
        return cls(**raw)
