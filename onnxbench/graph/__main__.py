"""The pre-flight child: ``python -m onnxbench.graph JOB.json CHANNEL``.

It checks one file and, if that is good, counts what its network costs at the shapes asked for.
Parsing a foreign file happens here and never in the measuring parent, which imports no onnx.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.errors import RefusedInput
from onnxbench.worker import guard
from onnxbench.worker.wire import write_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.types import Artifact, ErrorDoc, GivenTensor, JsonObject

SLACK_S = 10.0
"""What ending an analysis that is overdue may take, before this process itself is."""


def main() -> None:
    """Check one model, and the user's inputs for it; never returns."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    fd = guard.claim_channel(int(sys.argv[2]))
    guard.secure(job["parent_pid"], job["memory_bytes"])
    announce = {"type": "phase", "phase": "preflight", "limit_s": job["limit_s"]}
    write_frame(fd, {**announce, "nonce": job["nonce"]})
    measurement: JsonObject = {"status": "ok", "error": None}
    try:
        measurement |= _inspect(job, fd)
    except RefusedInput as error:
        measurement = _failed("refused-input", error.reason, error.message, error.hint)
    except MemoryError:
        measurement = _failed(
            "oom",
            "out-of-memory",
            "reading the model took more memory than allowed",
            "raise --max-memory, or check that the file is what it should be",
        )
    write_frame(fd, {"type": "result", "nonce": job["nonce"], "measurement": measurement})
    os._exit(0)


def _inspect(job: JsonObject, fd: int) -> JsonObject:
    from onnxbench.graph.artifact import artifact_document  # noqa: PLC0415
    from onnxbench.graph.given import read_given  # noqa: PLC0415 - after the guard is up
    from onnxbench.graph.preflight import preflight  # noqa: PLC0415

    artifact = preflight(Path(job["model"]))
    found: JsonObject = {"artifact": artifact_document(artifact)}
    given: Sequence[GivenTensor] = ()
    if job["inputs"] is not None:
        given, expected = read_given(Path(job["inputs"]), artifact, Path(job["keep"]))
        found["given"] = [dataclasses.asdict(tensor) for tensor in given]
        found["expected"] = [dataclasses.asdict(tensor) for tensor in expected]
    if job["asks"]:
        limit_s = job["analysis_limit_s"]
        announce = {"type": "phase", "phase": "analysis", "limit_s": limit_s + SLACK_S}
        write_frame(fd, {**announce, "nonce": job["nonce"]})
        found["static"] = _static(artifact, given, job["asks"], limit_s, nodes=job["nodes"])
    return found


def _static(
    artifact: Artifact,
    given: Sequence[GivenTensor],
    asks: Sequence[JsonObject],
    limit_s: float,
    *,
    nodes: bool,
) -> list[JsonObject]:
    """Return the figures of the model at the shapes of every cell that ``asks`` may lead to."""
    from onnxbench.errors import PlanError  # noqa: PLC0415
    from onnxbench.graph.bounded import static_documents  # noqa: PLC0415
    from onnxbench.workload import Ask, make_workload  # noqa: PLC0415

    wanted: list[dict[str, tuple[int, ...]]] = []
    for ask in asks:
        shapes = {name: tuple(shape) for name, shape in ask["shapes"].items()}
        own = Ask(ask["batch"], ask["dims"], shapes, given={each.name: each for each in given})
        with contextlib.suppress(PlanError):  # the plan skips this cell, and says why
            found = make_workload(artifact, own).shapes
            if found not in wanted:
                wanted.append(found)
    documents = static_documents(Path(artifact.path), wanted, limit_s, nodes=nodes)
    return [
        {"shapes": shapes, "static": document}
        for shapes, document in zip(wanted, documents, strict=True)
    ]


def _failed(status: str, kind: str, message: str, hint: str) -> JsonObject:
    error: ErrorDoc = {"kind": kind, "message": message, "hint": hint, "phase": "preflight"}
    return {"status": status, "error": error}


if __name__ == "__main__":
    main()
