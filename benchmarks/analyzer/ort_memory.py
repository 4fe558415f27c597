"""How much memory ONNX Runtime takes for one run of a network, in a process of its own.

The growth of the resident set from just before the inputs are made to its peak in the run. Weights
and the threads are there by then, because two runs went before. Freed memory must go back to the
system at once, or the next value would hide in it: glibc's allocator is told to map every block of
16 KiB and more by itself, ONNX Runtime's own arena and memory pattern are off. One thread works,
so there is one set of scratch buffers.

As a script it prints the growth in bytes of several runs as JSON; `growth` starts it.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT_S = 120.0
RUNS = 3
PROCESSES = 3

_ALLOCATOR = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "16384",
    "MALLOC_MMAP_MAX_": "1000000",
    "MALLOC_TRIM_THRESHOLD_": "16384",
    "ORT_DISABLE_TELEMETRY": "1",
}


def growth(model: Path, *, reuse: bool) -> int | str:
    """Return the bytes that one run of ``model`` needs beyond the loaded session, or why not.

    ``reuse``: let ONNX Runtime plan which value takes the place of which; that is its default.
    Otherwise each value has its own place, which is freed after the last node that reads it.
    """
    from benchmarks.analyzer import cold  # noqa: PLC0415 (the child has no such package)
    from onnxbench.text import safe_text  # noqa: PLC0415

    command = [sys.executable, str(Path(__file__).absolute()), str(model.absolute())]
    found: list[int] = []
    for _ in range(PROCESSES):
        ended = cold.run(
            [*command, "reuse" if reuse else "own"],
            limit_s=LIMIT_S,
            environment={**os.environ, **_ALLOCATOR},
        )
        if not ended.well:
            last = "".join(ended.stderr.strip().splitlines()[-1:])
            return safe_text(last, 200) or "it was killed"
        found += json.loads(ended.stdout)
    return max(found)  # what the kernel has not added up yet is missing, never too much


def _measure(model: str, *, reuse: bool) -> list[int]:
    # Linux counts pages in batches for each CPU; on one CPU there is one that is not full.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    session = _session(model, reuse=reuse)
    for _ in range(2):
        session.run(None, _inputs(session))
    return [_one_run(session) for _ in range(RUNS)]


def _one_run(session: Any) -> int:
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak
    before = _peak_bytes()
    outputs = session.run(None, _inputs(session))
    grown = _peak_bytes() - before
    del outputs
    return grown


def _session(model: str, *, reuse: bool) -> Any:
    import onnxruntime as ort  # noqa: PLC0415

    options = ort.SessionOptions()
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.enable_mem_reuse = reuse
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _inputs(session: Any) -> Mapping[str, Any]:
    import numpy as np  # noqa: PLC0415

    types = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(float16)": np.float16}
    return {
        given.name: np.ones(
            [dim if isinstance(dim, int) else 1 for dim in given.shape], types[given.type]
        )
        for given in session.get_inputs()
    }


def _peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no line VmHWM")


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], reuse=sys.argv[2] == "reuse")))
