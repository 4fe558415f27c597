"""The pre-flight child: ``python -m onnxbench.graph JOB.json CHANNEL``.

Parsing a foreign file happens here and never in the measuring parent, which imports no onnx.
"""

from __future__ import annotations

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
    from onnxbench.types import ErrorDoc, JsonObject


def main() -> None:
    """Check one model, and the user's inputs for it; never returns."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    fd = guard.claim_channel(int(sys.argv[2]))
    guard.secure(job["parent_pid"], job["memory_bytes"])
    announce = {"type": "phase", "phase": "preflight", "limit_s": job["limit_s"]}
    write_frame(fd, {**announce, "nonce": job["nonce"]})
    measurement: JsonObject = {"status": "ok", "error": None}
    try:
        measurement |= _inspect(job)
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


def _inspect(job: JsonObject) -> JsonObject:
    from onnxbench.graph.artifact import artifact_document  # noqa: PLC0415
    from onnxbench.graph.given import read_given  # noqa: PLC0415 - after the guard is up
    from onnxbench.graph.preflight import preflight  # noqa: PLC0415

    artifact = preflight(Path(job["model"]))
    found: JsonObject = {"artifact": artifact_document(artifact)}
    if job["inputs"] is not None:
        given, expected = read_given(Path(job["inputs"]), artifact, Path(job["keep"]))
        found["given"] = [dataclasses.asdict(tensor) for tensor in given]
        found["expected"] = [dataclasses.asdict(tensor) for tensor in expected]
    return found


def _failed(status: str, kind: str, message: str, hint: str) -> JsonObject:
    error: ErrorDoc = {"kind": kind, "message": message, "hint": hint, "phase": "preflight"}
    return {"status": status, "error": error}


if __name__ == "__main__":
    main()
