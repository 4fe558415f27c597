"""Takes models in: finds or exports each file, and lets a child process check it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onnxbench.errors import ExportError
from onnxbench.exporting import NotExported
from onnxbench.inspection import inspect
from onnxbench.plan import Candidate
from onnxbench.types import ChildResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from onnxbench.exporting import Exports
    from onnxbench.types import ModelSpec, Status
    from onnxbench.workload import Ask


def take_in(
    spec: ModelSpec,
    exports: Exports,
    *,
    inputs: Path | None,
    keep: Path,
    memory_bytes: int | None,
    life_s: float | None = None,
    asks: Sequence[Ask] = (),
    nodes: bool = False,
) -> Candidate:
    """Return ``spec`` as a candidate: with its artifact, or with the result that refuses it.

    ``exports`` makes the file if there is none yet; the rest is as in `onnxbench.inspection`.
    Raises UsageError when there is no such file, or when the inputs file is no good.
    """
    try:
        found = exports.locate(spec, keep)
    except NotExported as error:
        return Candidate(spec, None, _refused(error, error.status))
    except ExportError as error:
        return Candidate(spec, None, _refused(error, "error"))
    spec = replace(spec, weights=found.weights)
    candidate = inspect(
        spec,
        found.path,
        inputs=inputs,
        keep=keep,
        memory_bytes=memory_bytes,
        life_s=life_s,
        asks=asks,
        nodes=nodes,
    )
    return replace(candidate, origin=found.origin)


def preflight_lives_ns(candidates: Sequence[Candidate]) -> int:
    """Return how long the pre-flight children of ``candidates`` lived, in ns."""
    return sum(candidate.preflight.wall_ns for candidate in candidates)


def _refused(error: ExportError, status: Status) -> ChildResult:
    return ChildResult(
        status=status,
        error={
            "kind": error.kind, "message": error.message, "hint": error.hint, "phase": "export"
        },
        measurement=None,
        samples=b"",
        wall_ns=0,
        exit_code=None,
        signal=None,
        log="",
        started=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )  # fmt: skip
