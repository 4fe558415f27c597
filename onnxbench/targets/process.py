"""Runs one child process under the contract and says how it ended. See docs/method.md.

The parent sleeps in ``select`` until the child says something, prints something, ends, or
oversteps the limit of its phase. Whatever happens, the child's whole process group is gone when
`supervise` returns, and so is every process that it left behind.
"""

from __future__ import annotations

import contextlib
import glob
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from onnxbench.errors import WorkerError
from onnxbench.text import safe_text
from onnxbench.worker.wire import Frame, FrameReader

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from pathlib import Path

LOG_TAIL_BYTES = 64 << 10
READ_BYTES = 64 << 10
PIPE_BYTES = 1 << 20
MARK = "ONNXBENCH_CHILD"
"""Environment variable by which a child's descendants are known."""

END_GRACE_S = 5.0
"""How long a child may take to end after its result: it only has to call ``_exit``."""

STOP_POLL_S = 0.2

End = Literal["exited", "deadline", "protocol"]


@dataclass(slots=True)
class Outcome:
    """How a supervised child ended.

    ``end``: by itself, killed at a deadline, or killed because it broke the protocol (``fault``
    says how). ``result``: the one frame that is no announcement; ``phase``: the last announced.
    """

    end: End = "exited"
    result: Frame | None = None
    phase: str = "start"
    fault: str = ""
    exit_code: int | None = None
    signal: str | None = None
    log: bytes = b""
    wall_ns: int = 0


@dataclass(frozen=True, slots=True)
class Deadlines:
    """``start_s``: until the first phase is announced. ``grace_s``: from a phase's soft limit,
    which the child enforces itself, to the kill. ``ceiling_s``: most that a child may claim for
    one phase. ``life_s``: most that all of it may take."""

    start_s: float
    grace_s: float
    ceiling_s: float
    life_s: float | None = None


def supervise(
    argv: Sequence[str],
    *,
    environment: dict[str, str],
    folder: Path,
    nonce: str,
    deadlines: Deadlines,
    stop: threading.Event | None = None,
) -> Outcome:
    """Run ``argv`` plus the number of its result channel in ``folder`` until it has ended.

    ``stop``: set by another thread, ends the child; Ctrl-C reaches the main thread alone. Raises
    OSError when the process cannot be started, KeyboardInterrupt when one arrives or ``stop`` is
    set; the child's group is killed first in that case too.
    """
    adopt_orphans()
    channel_read, channel_write = os.pipe()
    _widen(channel_write)
    started = time.perf_counter_ns()
    try:
        process = subprocess.Popen(
            [*argv, str(channel_write)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(channel_write,),
            env={**environment, MARK: nonce},
            cwd=folder,
            start_new_session=True,
            bufsize=0,
        )
    except BaseException:
        os.close(channel_read)
        raise
    finally:
        os.close(channel_write)
    watch = _Watch(process, channel_read, nonce, deadlines, stop)
    try:
        watch.until_end()
    finally:
        watch.outcome.wall_ns = time.perf_counter_ns() - started
        watch.close()
    return watch.outcome


def adopt_orphans() -> None:
    """Make this process the parent of whatever its children leave behind, so it can be ended."""
    if sys.platform.startswith("linux"):
        import ctypes  # noqa: PLC0415 - not needed before the first child

        pr_set_child_subreaper = 36
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1)


class _Watch:
    """One child while it lives."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        channel: int,
        nonce: str,
        deadlines: Deadlines,
        stop: threading.Event | None,
    ) -> None:
        self.outcome = Outcome()
        self._stop = stop
        self._process = process
        self._channel = channel
        self._nonce = nonce
        self._deadlines = deadlines
        self._reader = FrameReader()
        self._log = bytearray()
        self._last = math.inf
        if deadlines.life_s is not None:
            self._last = time.monotonic() + deadlines.life_s
        self._deadline = 0.0
        self._allow(deadlines.start_s)
        self._has_ended = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(channel, selectors.EVENT_READ, self._read_channel)
        assert process.stdout is not None
        os.set_blocking(channel, False)
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout.fileno(), selectors.EVENT_READ, self._read_log)
        # A grandchild may hold the pipes open: the end of the child is an event of its own.
        self._pidfd = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None
        if self._pidfd is not None:
            self._selector.register(self._pidfd, selectors.EVENT_READ, self._child_ended)

    def until_end(self) -> None:
        """Read until the child has ended by itself or was killed."""
        while not self._has_ended:
            wait_s = self._deadline - time.monotonic()
            if wait_s <= 0:
                self._kill("deadline")
                return
            if self._stop is not None:
                if self._stop.is_set():
                    raise KeyboardInterrupt
                wait_s = min(wait_s, STOP_POLL_S)
            if self._pidfd is None:
                wait_s = min(wait_s, 0.05)
                self._has_ended = self._process.poll() is not None
            try:
                for key, _ in self._selector.select(wait_s):
                    key.data()
            except WorkerError as error:
                self.outcome.fault = error.message
                self._kill("protocol")
                return
        self._drain()

    def close(self) -> None:
        """End what is left of the child's group and of its descendants; fill in the outcome."""
        _kill_group(self._process.pid)
        code = self._process.wait()
        _end_left_behind(self._process.pid, f"{MARK}={self._nonce}")
        self.outcome.exit_code = code if code >= 0 else None
        self.outcome.signal = _signal_name(-code) if code < 0 else None
        self.outcome.log = bytes(self._log[-LOG_TAIL_BYTES:])
        self._selector.close()
        os.close(self._channel)
        if self._pidfd is not None:
            os.close(self._pidfd)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _child_ended(self) -> None:
        self._has_ended = True

    def _drain(self) -> None:
        """Read what the child had written before it ended, and nothing that follows."""
        try:
            while self._read_channel():
                pass
            if self._reader.pending_bytes:
                self.outcome.end = "protocol"
                self.outcome.fault = "the last frame on the result channel is cut off"
        except WorkerError as error:
            self.outcome.end, self.outcome.fault = "protocol", error.message
        for _ in range(LOG_TAIL_BYTES // READ_BYTES + PIPE_BYTES // READ_BYTES):
            if not self._read_log():
                break

    def _read_channel(self) -> bool:
        data = _read(self._channel)
        if data == b"":
            with contextlib.suppress(KeyError):
                self._selector.unregister(self._channel)
        for frame in self._reader.feed(data or b""):
            self._take(frame)
        return bool(data)

    def _take(self, frame: Frame) -> None:
        document = frame.document
        if document.get("nonce") != self._nonce:
            message = "a frame on the result channel does not belong to this child"
            raise WorkerError(message)
        if self.outcome.result is not None:
            message = "a frame follows the result on the result channel"
            raise WorkerError(message)
        if document.get("type") == "result":
            self.outcome.result = frame
            self._allow(END_GRACE_S)
            return
        phase, limit_s = document.get("phase"), document.get("limit_s")
        if not isinstance(phase, str) or not isinstance(limit_s, (int, float)) or limit_s < 0:
            message = "a phase without a name or a limit on the result channel"
            raise WorkerError(message)
        self.outcome.phase = safe_text(phase, 40)
        self._allow(min(limit_s, self._deadlines.ceiling_s) + self._deadlines.grace_s)

    def _allow(self, seconds: float) -> None:
        self._deadline = min(time.monotonic() + seconds, self._last)

    def _read_log(self) -> bool:
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        data = _read(fd)
        if data == b"":
            with contextlib.suppress(KeyError):
                self._selector.unregister(fd)
        self._log += data or b""
        if len(self._log) > 2 * LOG_TAIL_BYTES:
            del self._log[:-LOG_TAIL_BYTES]
        return bool(data)

    def _kill(self, why: End) -> None:
        self.outcome.end = why
        _kill_group(self._process.pid)
        self._process.wait()
        self._read_log()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # the real-time signals between the first and the last have no names
        return f"signal {number}"


def _read(fd: int) -> bytes | None:
    """Return what ``fd`` holds: bytes, b"" at its end, None when there is nothing right now."""
    try:
        return os.read(fd, READ_BYTES)
    except BlockingIOError:
        return None


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _end_left_behind(group: int, mark: str) -> None:
    """Kill and reap what the child left behind: its group, and whoever carries its mark.

    Processes that left the group (a daemon calls setsid) came to this process when the child
    died, and are known by ``mark`` in their environment. Other children of this process, a
    library user's own, are not touched.
    """
    end = time.monotonic() + END_GRACE_S
    while time.monotonic() < end:  # each round may bring the next generation
        children, settled = _children(), True
        for pid in children:
            if _belongs(pid, group, mark):
                # Whom we may not kill, a setuid program, we must not wait for either.
                with contextlib.suppress(ProcessLookupError, PermissionError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                    settled = False
            elif _is_dying(pid):
                time.sleep(0.001)
                settled = False
        if settled and _children() == children:
            return


def _children() -> list[int]:
    found: list[int] = []
    for listing in glob.glob("/proc/self/task/*/children"):  # noqa: PTH207 - names only
        with contextlib.suppress(OSError, ValueError), open(listing, "rb") as file:  # noqa: PTH123
            found += map(int, file.read().split())
    return found


def _belongs(pid: int, group: int, mark: str) -> bool:
    try:
        if os.getpgid(pid) == group:
            return True
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            return mark.encode() in file.read().split(b"\0")
    except OSError:
        return False


def _is_dying(pid: int) -> bool:
    """Tell whether a process is ending and has not yet handed its own children on to us.

    Its environment is gone by then. `man 5 proc_pid_stat`: field 3 is the state, field 9 the
    flags; 4 is PF_EXITING (include/linux/sched.h).
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return fields[0] != b"Z" and bool(int(fields[6]) & 4)


def _widen(pipe: int) -> None:
    """Give the result pipe room, so that a child need not wait for the parent to read."""
    import fcntl  # noqa: PLC0415 - absent on Windows

    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
