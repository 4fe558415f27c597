"""The child's side of the contract: what it does to itself before anything foreign is loaded.

It dies with its parent, dies first when memory runs out, leaves no core file, cannot allocate
past its limit, and keeps stdout away from the result channel. See docs/method.md, "The child".
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def secure(parent_pid: int, memory_bytes: int | None) -> list[str]:
    """Apply the contract; return what could not be applied on this system."""
    notes = [
        note
        for note in (
            _die_with(parent_pid),
            _no_core_file(),
            _die_first(),
            _limit_memory(memory_bytes) if memory_bytes is not None else None,
        )
        if note is not None
    ]
    if sys.stdin is not None:
        sys.stdin.close()
    return notes


def _die_with(parent_pid: int) -> str | None:
    """Ask the kernel to kill this process when the thread that started it ends."""
    if not sys.platform.startswith("linux"):
        return "not tied to the parent's life: Linux only"
    import ctypes  # noqa: PLC0415 - numpy loads it anyway; other users of this module do not
    import signal  # noqa: PLC0415

    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        return "not tied to the parent's life: prctl failed"
    if os.getppid() != parent_pid:  # it was already gone when prctl took effect
        os._exit(1)
    return None


def _no_core_file() -> str | None:
    try:
        import resource  # noqa: PLC0415 - absent on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        return "core files stay enabled"
    return None


def _die_first() -> str | None:
    try:
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    except OSError:
        return "the out-of-memory killer is not told to take this process first"
    return None


def _limit_memory(limit_bytes: int) -> str | None:
    """Bound private writable memory.

    RLIMIT_DATA, not RLIMIT_AS: since Linux 4.7 it counts private writable mappings only, so that
    a mapped model file and the address space that GPU drivers reserve stay free.
    """
    try:
        import resource  # noqa: PLC0415 - absent on Windows

        if not sys.platform.startswith("linux"):
            return "no memory limit: Linux only"
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))
    except (ImportError, ValueError, OSError) as error:
        return f"no memory limit: {error}"
    return None


def claim_channel(fd: int) -> int:
    """Return the descriptor that frames are written to.

    ``fd`` 1 means that stdout is the channel (over ssh there is nothing else): it is moved to a
    new descriptor and stdout is pointed at stderr, so that prints cannot reach the channel.
    """
    if fd != 1:
        os.set_inheritable(fd, False)
        return fd
    channel = os.dup(1)
    os.dup2(2, 1)
    return channel
