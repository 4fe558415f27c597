"""Lets a child process check an ONNX file before anything else does, and count what it costs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from onnxbench.errors import UsageError
from onnxbench.graph.artifact import artifact_from
from onnxbench.plan import Candidate
from onnxbench.targets.local import run_child
from onnxbench.types import ExpectedOutput, GivenTensor, Limits

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from pathlib import Path

    from onnxbench.types import ModelSpec
    from onnxbench.workload import Ask

PREFLIGHT_S = 60.0
"""Seconds for a small file; more is added by size, for all of it is hashed."""

HASH_BYTES_PER_S = 50e6
"""Slower than any disk that models are kept on."""

ANALYSIS_S = 30.0
"""Seconds for the static analysis at all shapes; five are enough for 100,000 nodes."""


def inspect(
    spec: ModelSpec,
    model: Path,
    *,
    inputs: Path | None = None,
    keep: Path,
    memory_bytes: int | None,
    life_s: float | None = None,
    asks: Sequence[Ask] = (),
    nodes: bool = False,
    stop: threading.Event | None = None,
) -> Candidate:
    """Return ``spec`` with the artifact found at ``model``, or with the result that refuses it.

    ``inputs``: the user's ``--inputs``; tensors read from a data set are written to ``keep``.
    ``life_s``: when to kill the child in any case. ``asks``: the network is analyzed at the shapes
    that each of them leads to; with ``nodes``, they are listed too. ``stop``: ends the child from
    another thread.
    Raises UsageError when the inputs file is no good.
    """
    limit_s = PREFLIGHT_S + _folder_bytes(model) / HASH_BYTES_PER_S
    result = run_child(
        [sys.executable, "-m", "onnxbench.graph"],
        {
            "model": str(model),
            "inputs": str(inputs.absolute()) if inputs is not None else None,
            "keep": str(keep),
            "parent_pid": os.getpid(),
            "memory_bytes": memory_bytes,
            "limit_s": limit_s,
            "asks": [
                {"batch": ask.batch, "dims": dict(ask.dims), "shapes": dict(ask.shapes)}
                for ask in asks
            ],
            "nodes": nodes,
            "analysis_limit_s": ANALYSIS_S,
        },
        Limits(steady_s=limit_s + ANALYSIS_S, life_s=life_s),
        stop=stop,
    )
    found: dict[str, Any] = dict(result.measurement or {})
    if result.error is not None and result.error["kind"] == "bad-inputs-file":
        raise UsageError(result.error["message"], result.error["hint"])
    if result.status != "ok":
        return Candidate(spec, None, result)
    return Candidate(
        spec,
        artifact_from(found["artifact"]),
        result,
        tuple(_tensor(document) for document in found.get("given", ())),
        tuple(
            ExpectedOutput(
                document["name"], document["path"], document["member"], document["sha256"]
            )
            for document in found.get("expected", ())
        ),
        tuple(
            ({name: tuple(shape) for name, shape in each["shapes"].items()}, each["static"])
            for each in found.get("static", ())
        ),
    )


def _tensor(document: dict[str, Any]) -> GivenTensor:
    return GivenTensor(**{**document, "shape": tuple(document["shape"])})


def _folder_bytes(model: Path) -> int:
    """Return the size of the model and of whatever lies beside it, which may be its data."""
    try:
        return sum(entry.stat().st_size for entry in os.scandir(model.parent) if entry.is_file())
    except OSError:
        return 0
