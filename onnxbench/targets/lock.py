"""One measuring process per host: a lock that the second one waits for, knowing whose it is.

The lock is a ``flock`` on a file in the system's temporary folder, so the kernel releases it when
its holder dies: there are no stale locks. The file's text says who holds it.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Holder:
    """Who measures now: process, user, command line and since when (UTC, ISO 8601)."""

    pid: int
    user: str
    command: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user}, since {self.since}: {self.command}"


def default_path() -> Path:
    """Return the lock file of this host, or the one that ONNXBENCH_LOCK names.

    Not under TMPDIR, which differs from user to user. The variable is for containers that share a
    host through a mounted folder, and for tests.
    """
    chosen = os.environ.get("ONNXBENCH_LOCK")
    if chosen:
        return Path(chosen)
    shared = Path("/tmp")  # noqa: S108 - opened without following links, see _open
    import tempfile  # noqa: PLC0415 - only where /tmp is missing

    return (shared if shared.is_dir() else Path(tempfile.gettempdir())) / "onnxbench-measuring.lock"


@contextmanager
def measuring_lock(
    command: str, *, on_wait: Callable[[Holder | None], None], path: Path | None = None
) -> Iterator[None]:
    """Hold the host's measuring lock; call ``on_wait`` once if somebody else has it.

    Raises UsageError when the lock file is not a file of our kind.
    """
    try:
        import fcntl  # noqa: PLC0415 - absent on Windows
    except ImportError:
        yield
        return
    lock_path = path or default_path()
    fd = _open(lock_path)
    try:
        waited = False
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waited:
                    on_wait(read_holder(lock_path))
                    waited = True
                time.sleep(POLL_S)
        _write_holder(fd, command)
        yield
        os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def current_holder(path: Path | None = None) -> Holder | None:
    """Return who measures on this host right now, None when nobody does."""
    lock_path = path or default_path()
    if not lock_path.exists():
        return None
    try:
        import fcntl  # noqa: PLC0415 - absent on Windows

        fd = _open(lock_path)
    except (ImportError, UsageError):
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_holder(lock_path)
    finally:
        os.close(fd)
    return None


def read_holder(path: Path | None = None) -> Holder | None:
    """Return who wrote the lock file last, None when nobody did or it cannot be read."""
    try:
        fields = json.loads((path or default_path()).read_text(encoding="utf-8")[:4096])
        return Holder(
            int(fields["pid"]), str(fields["user"]), str(fields["command"]), str(fields["since"])
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        # Without O_CREAT first: in a sticky folder the kernel may refuse O_CREAT on a file that
        # belongs to another user (fs.protected_regular).
        try:
            fd = os.open(path, flags)
        except FileNotFoundError:
            fd = os.open(path, flags | os.O_CREAT, 0o666)
            with contextlib.suppress(OSError):
                os.fchmod(fd, 0o666)
    except OSError as error:
        message = f"cannot open the measuring lock {path}: {error.strerror}"
        raise UsageError(message, f"remove {path} if nothing is measuring") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        message = f"the measuring lock {path} is not a regular file"
        raise UsageError(message, f"remove {path}")
    return fd


def _write_holder(fd: int, command: str) -> None:
    fields = {
        "pid": os.getpid(),
        "user": _user(),
        "command": command[:500],
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    os.ftruncate(fd, 0)
    os.pwrite(fd, json.dumps(fields).encode(), 0)


def _user() -> str:
    try:
        import pwd  # noqa: PLC0415 - absent on Windows

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
