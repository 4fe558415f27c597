"""Runs pip and Python in an environment that is being made, line by line, and leaves nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

LINE_CHARS = 4000
"""A longer line is read in pieces: its length is up to a foreign program."""

KEPT_LINES = 400

_NOT_PASSED = (
    # They would put the packages, or the interpreter's own modules, somewhere else.
    "PYTHONHOME", "PYTHONPATH", "PIP_PREFIX", "PIP_ROOT", "PIP_TARGET", "PIP_USER",
    "__PYVENV_LAUNCHER__", "VIRTUAL_ENV",
)  # fmt: skip


class Failed(Exception):
    """A child ended badly. ``lines``: the last of what it printed, made safe to show."""

    def __init__(self, lines: Sequence[str], *, timed_out: bool) -> None:
        super().__init__(*lines[-1:])
        self.lines = tuple(lines)
        self.timed_out = timed_out


def run(
    argv: Sequence[str | Path],
    say: Callable[[str], None],
    *,
    folder: Path,
    seconds: float | None = None,
) -> list[str]:
    """Run ``argv`` in ``folder``, pass each line to ``say``, and return the last `KEPT_LINES`.

    Raises Failed when it exits with another code than 0 or takes longer than ``seconds``. Whatever
    ends this call, Ctrl-C included, the child and its group are gone then.
    """
    lines: list[str] = []
    process: subprocess.Popen[str] | None = None
    overdue = threading.Event()
    try:
        with _held_back():
            process = _start(argv, folder)
        timer = threading.Timer(seconds or 0, _end, (process.pid, overdue))
        timer.daemon = True
        if seconds is not None:
            timer.start()
        try:
            assert process.stdout is not None
            while raw := process.stdout.readline(LINE_CHARS):
                if line := safe_text(raw.strip(), LINE_CHARS):
                    lines.append(line)
                    del lines[:-KEPT_LINES]
                    say(line)
            code = process.wait()
        finally:
            timer.cancel()
    except BaseException:
        if process is not None:
            _kill_group(process.pid)
            process.wait()
        raise
    finally:
        if process is not None and process.stdout is not None:
            process.stdout.close()
    if code != 0:
        raise Failed(lines, timed_out=overdue.is_set())
    return lines


def _start(argv: Sequence[str | Path], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        argv,
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Hold back Ctrl-C and the like until a child that is being started is known to us.

    An exception from within `subprocess.Popen` would leave a child that nobody ends.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no signal handler runs in this thread
        return
    held: list[int] = []
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP")
               if hasattr(signal, name)]  # fmt: skip
    before = {number: signal.signal(number, lambda n, _: held.append(n)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in held:
        signal.raise_signal(number)


def _environment() -> dict[str, str]:
    """Return the user's environment, proxies and pip's settings included."""
    passed = {name: text for name, text in os.environ.items() if name not in _NOT_PASSED}
    return {
        **passed,
        "NO_COLOR": "1",
        "ORT_DISABLE_TELEMETRY": "1",
    }


def _end(pid: int, overdue: threading.Event) -> None:
    overdue.set()
    _kill_group(pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
