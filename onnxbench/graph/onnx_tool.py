"""The cross-check child: ``python -m onnxbench.graph.onnx_tool JOB.json CHANNEL``.

onnx-tool loads all weights, exits by exceptions of any kind and knows no time limit, so it runs
here, where it may: `onnxbench.crosscheck` starts this process and bounds it.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench.worker import guard
from onnxbench.worker.wire import write_frame

if TYPE_CHECKING:
    from onnxbench.types import JsonObject

DISTRIBUTION = "onnx-tool"


def main() -> None:
    """Let onnx-tool count one model; never returns."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    fd = guard.claim_channel(int(sys.argv[2]))
    guard.secure(job["parent_pid"], job["memory_bytes"])
    announce = {"type": "phase", "phase": DISTRIBUTION, "limit_s": job["limit_s"]}
    write_frame(fd, {**announce, "nonce": job["nonce"]})
    measurement: JsonObject = {"status": "ok", "error": None}
    try:
        measurement["found"] = _counted(job["model"], job["inputs"])
    except MemoryError:
        measurement = _failed("it ran out of memory")
    except BaseException as error:  # noqa: BLE001 - SystemExit too: it is foreign code
        measurement = _failed(f"{type(error).__name__}: {error}"[:1000])
    write_frame(fd, {"type": "result", "nonce": job["nonce"], "measurement": measurement})
    os._exit(0)


def _counted(model: str, inputs: dict[str, Any]) -> JsonObject:
    import numpy as np  # noqa: PLC0415 - after the guard is up
    import onnx_tool  # noqa: PLC0415
    from onnx import helper  # noqa: PLC0415

    graph = onnx_tool.Model(model).graph
    graph.shape_infer(
        {
            name: np.zeros(given["shape"], helper.tensor_dtype_to_np_dtype(given["type"]))
            for name, given in inputs.items()
        }
    )
    graph.profile()
    by_op: dict[str, list[int]] = {}
    for node in graph.nodemap.values():
        counted = by_op.setdefault(str(node.op_type), [0, 0])
        counted[0] += 1
        counted[1] += int(node.macs[0])
    return {
        "version": metadata.version(DISTRIBUTION),
        "macs": int(graph.macs[0]),
        "params": int(graph.params),
        "memory_bytes": int(graph.memory),
        "by_op": by_op,
    }


def _failed(message: str) -> JsonObject:
    error = {"kind": "onnx-tool", "message": message, "hint": "", "phase": DISTRIBUTION}
    return {"status": "error", "error": error}


if __name__ == "__main__":
    main()
