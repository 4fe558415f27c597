"""Wall time of ``make run`` in a fresh clone of the last commit: virtual environment, installation
with the ONNX Runtime CPU extra, and suite ``classics`` with ``--quick`` rules. The package index is
the one that pip is configured for, and pip's download cache is used as found: the first run on a
machine downloads about 60 MB more. Measured only when named, for it needs a network.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks.figure import Figure, progress
from onnxbench.errors import WorkerError
from onnxbench.text import safe_block
from onnxbench.worker.clock import now_ns

ROOT = Path(__file__).parent.parent
ALLOWED_S = 180.0
GIVE_UP_S = 900.0
PRIVATE = ("VIRTUAL_ENV", "PYTHONPATH", "ONNXBENCH_STORE", "ONNXBENCH_CACHE")
"""Variables of this shell that a fresh machine does not have."""


def measure(tiny: bool) -> Figure:
    """With ``tiny``, make only prints what it would do."""
    with tempfile.TemporaryDirectory(prefix="onnxbench-figure-") as folder:
        clone = Path(folder, "onnxbench")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        progress(f"make_run: make {'-n ' if tiny else ''}run in a clone")
        environment = {k: v for k, v in os.environ.items() if k not in PRIVATE}
        # This process holds the host's lock already.
        environment["ONNXBENCH_LOCK"] = str(Path(folder, "lock"))
        start = now_ns()
        ended = subprocess.run(
            ["make", *(("-n",) if tiny else ()), "run"],
            cwd=clone,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=GIVE_UP_S,
            check=False,
        )
        wall_s = (now_ns() - start) / 1e9
    if ended.returncode != 0:
        raise WorkerError(f"make run failed: {safe_block(ended.stdout[-2000:])}")
    return judge(wall_s)


def judge(wall_s: float) -> Figure:
    """Return the figure."""
    return Figure(
        title="`make run` in a fresh clone, installation included",
        target="≤ 180 s on 2 cores",
        measured=f"{wall_s:.0f} s",
        met=wall_s <= ALLOWED_S,
        table=(),
        raw={"wall_s": wall_s},
    )
