"""A command measured as a whole cold process: from before it starts to after it has ended.

Linux counts the memory of the process that forks into the peak of what it starts. So a small
interpreter stands between: `run` starts this file as a script, with neither site-packages nor
anything of ours, and that starts the command, waits for it and says what it took.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SAID_BYTES = 1 << 20
"""What is kept of a command's output."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command went. ``rss_bytes``: its peak. ``code``: as `subprocess` tells it."""

    wall_ns: int
    rss_bytes: int
    code: int
    timed_out: bool
    stdout: str
    stderr: str

    @property
    def well(self) -> bool:
        """Whether it did what it was asked for."""
        return self.code == 0 and not self.timed_out


def run(
    command: Sequence[str],
    *,
    limit_s: float,
    limit_bytes: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run ``command`` in an empty folder of its own; it is killed after ``limit_s``.

    ``limit_bytes``: of its private memory; what asks for more gets a MemoryError or dies.
    ``environment``: in place of this process's own.
    """
    with (
        tempfile.TemporaryDirectory(prefix="onnxbench-cold-") as folder,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
        tempfile.TemporaryFile() as result,
    ):
        limits = [str(limit_s), str(-1 if limit_bytes is None else limit_bytes)]
        own = [sys.executable, "-I", "-S", str(Path(__file__).absolute()), str(result.fileno())]
        subprocess.run(
            [*own, *limits, *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(result.fileno(),),
            check=True,
        )
        result.seek(0)
        return Ended(**json.loads(result.read()), stdout=_text(stdout), stderr=_text(stderr))


def _text(file: IO[bytes]) -> str:
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - SAID_BYTES))
    return file.read().decode("utf-8", "replace")


def _main(result: int, limit_s: float, limit_bytes: int, command: list[str]) -> None:
    """Run ``command`` and write what it took, as JSON, to the file descriptor ``result``."""
    timed_out = False

    def kill(_number: int, _frame: object) -> None:
        nonlocal timed_out
        timed_out = True
        with contextlib.suppress(ProcessLookupError):  # it ended at this very moment
            os.killpg(pid, signal.SIGKILL)

    os.set_inheritable(result, False)
    signal.signal(signal.SIGALRM, kill)
    start = time.perf_counter_ns()
    pid = os.fork()
    if pid == 0:
        _become(command, limit_bytes)
    _lead(pid)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        _, status, usage = os.wait4(pid, 0)
        wall_ns = time.perf_counter_ns() - start
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        os.killpg(pid, signal.SIGKILL)
        raise
    found = {
        "wall_ns": wall_ns,
        "rss_bytes": usage.ru_maxrss * 1024,
        "code": os.waitstatus_to_exitcode(status),
        "timed_out": timed_out,
    }
    os.write(result, json.dumps(found).encode())


def _become(command: list[str], limit_bytes: int) -> None:
    _lead(0)
    try:
        if limit_bytes >= 0:
            resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))
        os.execv(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error}\n".encode())
        os._exit(127)


def _lead(pid: int) -> None:
    """Give ``pid`` a process group: children of its own are killed with it.

    Parent and child both do it, so that it is done whichever of them is first.
    """
    try:
        os.setpgid(pid, pid)
    except OSError:  # the child has started its program, so it has done it
        return


if __name__ == "__main__":
    _main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
