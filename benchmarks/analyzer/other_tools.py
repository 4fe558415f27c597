"""What another tool counts in ONNX files. Run as a script, by an interpreter that has the tool.

Nothing of onnxbench is imported here. The tools are asked as their manuals say; qonnx, which would
leave out weights that are zero, is told not to: the large files of the benchmark are one hole.

Each result is a line of JSON: ``macs`` and ``params`` as the tool's total says, ``said``: what it
told us that it does not know, ``error``: why there is no total.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import resource
import select
import signal
import tempfile
import time
from contextlib import redirect_stdout
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = {
    "onnx-tool": ("onnx_tool",),
    "onnx_opcounter": ("onnx", "onnx_opcounter"),
    "qonnx": ("qonnx.util.inference_cost",),
}
UNKNOWN = "Unsupported op: "
MOST_IR_VERSION = 10


def _onnx_tool(path: str) -> dict[str, Any]:
    model = importlib.import_module("onnx_tool").Model(path, {"verbose": False})
    model.graph.graph_reorder_nodes()
    model.graph.shape_infer(None)
    model.graph.profile()
    if not model.graph.valid_profile:
        raise ValueError("its shape inference gave up")
    return {"macs": model.graph.macs[0], "params": model.graph.params, "said": []}


def _onnx_opcounter(path: str) -> dict[str, Any]:
    model = importlib.import_module("onnx").load(path)
    counter = importlib.import_module("onnx_opcounter")
    printed = io.StringIO()
    with redirect_stdout(printed):
        macs = counter.calculate_macs(model)
    said = [line for line in printed.getvalue().splitlines() if line.startswith(UNKNOWN)]
    return {
        "macs": macs,
        "params": counter.calculate_params(model),
        "said": [line.removeprefix(UNKNOWN) for line in said],
    }


def _qonnx(path: str) -> dict[str, Any]:
    # It runs single nodes in ONNX Runtime, whose releases follow those of onnx by months.
    onnx: Any = importlib.import_module("onnx")
    onnx.IR_VERSION = min(onnx.IR_VERSION, MOST_IR_VERSION)
    ask = importlib.import_module("qonnx.util.inference_cost").inference_cost
    found = ask(path, discount_sparsity=False)["total_cost"]
    unsupported = found.get("unsupported", "set()")
    return {
        "macs": found["total_macs"],
        "params": found["total_mem_w_elems"],
        "said": [] if unsupported == "set()" else [unsupported],
    }


COUNTERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "onnx-tool": _onnx_tool,
    "onnx_opcounter": _onnx_opcounter,
    "qonnx": _qonnx,
}


def count(tool: str, path: str) -> dict[str, Any]:
    """Return what ``tool`` finds in one file, an exception of its as ``error``."""
    try:
        found = COUNTERS[tool](path)
        return {
            "macs": round(float(found["macs"])),
            "params": int(found["params"]),
            "said": found["said"],
        }
    except BaseException as error:  # noqa: BLE001 - one of them calls exit
        return {"error": f"{type(error).__name__}: {error}"[:300]}


def _in_child(tool: str, path: str, limit_s: float, limit_bytes: int) -> dict[str, Any]:
    """Return what ``tool`` finds in one file, in a process of its own that is killed in time."""
    receiver, sender = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(receiver)
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))
        with os.fdopen(sender, "w", encoding="utf-8") as file:
            json.dump(count(tool, path), file)
        os._exit(0)
    os.close(sender)
    text = b""
    ends = time.monotonic() + limit_s
    while select.select([receiver], [], [], max(0.0, ends - time.monotonic()))[0]:
        part = os.read(receiver, 1 << 16)
        if not part:
            break
        text += part
    os.close(receiver)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if time.monotonic() >= ends:
        return {"error": f"not ready in {limit_s:g} s"}
    if not text:
        return {"error": f"its process ended with code {os.waitstatus_to_exitcode(status)}"}
    found: dict[str, Any] = json.loads(text)
    return found


def versions() -> dict[str, str | None]:
    """Return the version of each tool; None where it is not installed."""
    found: dict[str, str | None] = {}
    for tool in COUNTERS:
        try:
            found[tool] = metadata.version(tool)
        except metadata.PackageNotFoundError:
            found[tool] = None
    return found


def main() -> None:
    """Write one line for each file, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=[*COUNTERS, "versions"])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--limit-s", type=float, help="per file, each in a child of its own")
    parser.add_argument("--limit-bytes", type=int, default=resource.RLIM_INFINITY)
    asked = parser.parse_intermixed_args()
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # some print
    if asked.tool == "versions":
        print(json.dumps(versions()), file=results, flush=True)
        return

    files = [os.path.abspath(path) for path in asked.files]  # noqa: PTH100 - text, as tools take it
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # one leaves a file behind
        for name in MODULES[asked.tool]:
            importlib.import_module(name)
        for path in files:
            if asked.limit_s is None:
                found = count(asked.tool, path)
            else:
                found = _in_child(asked.tool, path, asked.limit_s, asked.limit_bytes)
            print(json.dumps(found), file=results, flush=True)


if __name__ == "__main__":
    main()
