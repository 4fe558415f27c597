"""The SQLite file itself: made whole, looked over before it is written, its errors in words.

A file that is damaged, newer, or somebody else's is refused and left byte for byte as it is: it
is inspected through a read-only connection before any other opens it. It is not renamed either,
for another process may have it open and ``-wal`` may belong to it; the hint says how to.

While a connection is open nothing else in this process may open and close the file: POSIX drops
all locks of a process on a file when it closes any handle on it. So only ``stat`` is used here.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import stat
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from onnxbench.errors import StoreError
from onnxbench.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_S = 30.0
"""How long to wait for another process's write. One of ours takes milliseconds, a merge seconds."""

_ELSEWHERE = "choose another file: --store FILE (or ONNXBENCH_STORE)"
_NO_PLACE = f"make room on that disk, or {_ELSEWHERE}; what was stored before is safe"
_NO_RIGHT = f"make the file and its folder writable, or {_ELSEWHERE}"
_HINTS = {
    sqlite3.SQLITE_FULL: _NO_PLACE,
    sqlite3.SQLITE_IOERR: f"look at the disk (full? failing? unplugged?), or {_ELSEWHERE}",
    sqlite3.SQLITE_READONLY: _NO_RIGHT,
    sqlite3.SQLITE_CANTOPEN: _NO_RIGHT,
    sqlite3.SQLITE_PERM: _NO_RIGHT,
    sqlite3.SQLITE_CONSTRAINT: "the run that this belongs to is not in the file",
    sqlite3.SQLITE_BUSY: "another process has been writing to it for too long: wait, and try again",
}


class DamagedFile(StoreError):
    """The file is not, or no longer, a results file. It was left as it is."""

    def __init__(self, path: Path, finding: str) -> None:
        super().__init__(
            f"{path} is damaged or no results file ({finding}); it was left as it is",
            f"go on in another file: --store FILE; what can still be read goes there with:"
            f" onnxbench merge {shlex.quote(str(path))} --store FILE",
        )


@contextmanager
def spoken(path: Path, doing: str) -> Iterator[None]:
    """Turn what SQLite and the system raise into a StoreError: what, where, what to type next."""
    try:
        yield
    except sqlite3.Error as exc:
        code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise DamagedFile(path, str(exc)) from exc
        message = f"cannot {doing} {path}: {exc}"
        raise StoreError(message, _HINTS.get(code, _ELSEWHERE)) from exc
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise StoreError(f"cannot {doing} {path}: {reason}", _ELSEWHERE) from exc


@contextmanager
def transaction(db: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Do all of the block or nothing. After COMMIT returns, it is on the disk."""
    db.execute(f"BEGIN {kind}")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def connect(path: Path, access: str, *first: str) -> sqlite3.Connection:
    """Open ``path`` with the URI parameters ``access``. Settings, ``first`` ones, but no checks."""
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?{access}", uri=True, timeout=BUSY_S, isolation_level=None
    )
    # A flipped bit must fail the checksum of its row, not the whole query.
    db.text_factory = lambda raw: raw.decode(errors="replace")
    try:
        for setting in (
            *first,
            "synchronous = FULL",  # touches the file
            "foreign_keys = ON",
            "trusted_schema = OFF",
            "cell_size_check = ON",
        ):
            db.execute(f"PRAGMA {setting}")
    except BaseException:
        db.close()
        raise
    return db


def create(path: Path) -> None:
    """Put a new, empty results file at ``path``, unless one is there or appears meanwhile.

    It is made under another name and linked into place, so nobody ever sees half of one, and no
    crash leaves half of one behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    log = path.with_name(path.name + "-wal")
    # SQLite would replay the log of a lost file into the new one. Ask for the log first: if
    # another process makes the store right now, its file is there before its log.
    if log.exists() and not path.exists():
        raise StoreError(
            f"{path} is missing, but {log.name} is there and may hold its last results",
            f"put the two together again, or move {shlex.quote(str(log))} away",
        )
    with TemporaryDirectory(prefix=".onnxbench-", dir=path.parent) as folder:
        new = Path(folder, path.name)
        with closing(connect(new, "mode=rwc")) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            with transaction(db):
                schema.migrate(db)
        _place(new, path)


def _place(new: Path, path: Path) -> None:
    try:
        os.link(new, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links, such as exFAT
        if not path.exists():
            new.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def inspected(path: Path, *, salvage: bool = False) -> sqlite3.Connection:
    """Return a read-only connection to a sound results file of this version or an older one.

    With ``salvage`` the pages need not be sound; whoever reads must expect errors anywhere.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise StoreError(f"{path} is a folder or a device, not a file", _ELSEWHERE)
    if facts.st_size == 0:
        raise StoreError(
            f"{path} is empty, which a results file never is",
            f"if it holds nothing for you: rm {shlex.quote(str(path))}; else {_ELSEWHERE}",
        )
    # With this setting SQLite also reads a file that lost its tail.
    db = _read_only(path, *(["writable_schema = ON"] if salvage else []))
    try:
        _inspect(db, path)
        if not salvage:
            _check_pages(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _read_only(path: Path, *first: str) -> sqlite3.Connection:
    try:
        return connect(path, "mode=ro", *first)
    except sqlite3.OperationalError as exc:
        # Even a reader keeps an index of the log beside the file. Where it may not (a read-only
        # medium) and there is no log, nobody writes, and the file can be read as it stands.
        log = path.with_name(path.name + "-wal")
        not_here = exc.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
        if not not_here or (log.exists() and log.stat().st_size > 0):
            raise
        return connect(path, "immutable=1", *first)


def _inspect(db: sqlite3.Connection, path: Path) -> None:
    found = int(db.execute("PRAGMA application_id").fetchone()[0])
    if found != schema.APPLICATION_ID:
        raise StoreError(f"{path} is an SQLite file of another program", _ELSEWHERE)
    version = schema.version(db)
    if version > len(schema.MIGRATIONS):
        raise StoreError(
            f"{path} has schema {version}, this onnxbench knows {len(schema.MIGRATIONS)}",
            f"update onnxbench, or {_ELSEWHERE}",
        )
    if version < 1:
        raise DamagedFile(path, f"schema {version}")
    # Tables only: a view or trigger would be somebody's code in the middle of our queries.
    if db.execute("SELECT 1 FROM sqlite_schema WHERE type IN ('view', 'trigger')").fetchone():
        raise DamagedFile(path, "it holds a view or a trigger")


def _check_pages(db: sqlite3.Connection, path: Path) -> None:
    # 0.4 s per gigabyte that is in memory.
    (finding,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if finding != "ok":
        raise DamagedFile(path, " ".join(str(finding).split()))


def upgrade(db: sqlite3.Connection, path: Path) -> None:
    """Bring the file that ``db`` writes to up to this version; keeps a copy of the old one."""
    with transaction(db):
        old = schema.version(db)
        if old == len(schema.MIGRATIONS):  # another process was faster
            return
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        copy = path.with_name(f"{path.name}.schema{old}-{stamp}")
        with closing(connect(path, "mode=ro")) as before, closing(connect(copy, "mode=rwc")) as to:
            before.backup(to)
        schema.migrate(db)


def upgraded_copy(db: sqlite3.Connection) -> sqlite3.Connection:
    """Return the content of ``db`` in memory, brought up to this version; closes ``db``."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    with closing(db):
        db.backup(copy)
    copy.text_factory = db.text_factory
    with transaction(copy):
        schema.migrate(copy)
    return copy
