"""The real command line in a child process, and what a test wants to know of it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from onnxbench.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from onnxbench.types import JsonObject

SHORT = ("--iters", "5", "--processes", "1", "--warmup", "1")
"""Sampling that only proves the path: one process of five samples. Options after it win."""

_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _PR_CAPBSET_DROP = 1, 2, 24


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def records(self) -> list[JsonObject]:
        found: list[JsonObject] = self.document["records"]
        return found

    def assert_clean(self) -> None:
        assert "Traceback" not in self.err, self.err
        assert "Exception ignored" not in self.err, self.err


def argv(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "onnxbench", *map(str, arguments)]


def onnxbench(*arguments: str | Path, timeout: float = 120, **options: Any) -> Ran:
    """Run a command to its end; it must not break with a traceback."""
    done = subprocess.run(
        argv(*arguments), capture_output=True, timeout=timeout, check=False, **options
    )
    ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
    ran.assert_clean()
    return ran


def measure(*arguments: str | Path, code: int = 0, **options: Any) -> Ran:
    """Run ``onnxbench run … --json`` with short sampling; it must end with ``code``."""
    ran = onnxbench("run", *SHORT, *arguments, "--json", **options)
    assert ran.code == code, ran.err
    return ran


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start a command; the caller waits for it."""
    return subprocess.Popen(
        argv(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def end(process: subprocess.Popen[bytes], timeout: float = 60) -> Ran:
    out, err = process.communicate(timeout=timeout)
    ran = Ran(process.returncode, out.decode(), err.decode())
    ran.assert_clean()
    return ran


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Leave no process behind, whatever happens in the block."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until ``condition`` holds; fail where it does not within ``seconds``."""
    end_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_at, "it never happened"
        time.sleep(0.01)


def children_below(folder: Path) -> list[int]:
    """Return the processes whose private folder lies below ``folder``: children of our commands."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                variables = (entry / "environ").read_bytes().split(b"\0")
                if any(v.startswith(f"TMPDIR={folder}/onnxbench-".encode()) for v in variables):
                    found.append(int(entry.name))
    return found


def assert_none_left(folder: Path) -> None:
    """Fail where a child below ``folder`` outlives a parent that was killed.

    The kernel ends those that are at work; one that is still starting ends by itself when it sees
    that its parent is gone, which takes as long as Python takes to start on a busy machine.
    """
    wait_for(lambda: not children_below(folder), 10)


def phases_below(folder: Path) -> Sequence[str]:
    """Return what the children below ``folder`` are for: preflight, facts, timed or op-times."""
    found = []
    for pid in children_below(folder):
        with contextlib.suppress(OSError, ValueError, StopIteration):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            job = next(word for word in words if word.endswith(b"job.json"))
            found.append(json.loads(Path(job.decode()).read_text()).get("mode", "preflight"))
    return found


def without_override() -> None:
    """In a child about to start: give up root's right to read and write what it may not."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            libc.prctl(_PR_CAPBSET_DROP, capability)


class Typed:
    """The command line within this process, for the many ways to get it wrong."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.setattr(signal, "signal", lambda *_: None)

    def __call__(self, *words: str | Path) -> Ran:
        self._monkeypatch.setattr(sys, "argv", ["onnxbench", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = self._capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return Ran(caught.value.code, out, err)
