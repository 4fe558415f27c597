"""The tables, and how a file of an older version becomes one of this version.

The version is SQLite's ``user_version``: it changes in the same transaction as the tables, and
the table ``migration`` says when each step was taken. A released step is never edited; a change
of the tables is a new function at the end of `MIGRATIONS`.

Every row ends in a checksum over its other columns (`onnxbench.store.rows`); ``seq`` is the order
of insertion in this file and no part of the content.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

APPLICATION_ID = 0x6F6E6278
"""``onbx``: tells our files from those of the many other programs that keep SQLite files."""


def _first_tables(db: sqlite3.Connection) -> None:
    db.execute("""CREATE TABLE migration (
        version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied TEXT NOT NULL)""")
    db.execute("""CREATE TABLE run (
        seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, created TEXT NOT NULL,
        state TEXT NOT NULL, plan_key TEXT NOT NULL, host_id TEXT NOT NULL, plan TEXT NOT NULL,
        tool TEXT NOT NULL, checksum BLOB NOT NULL)""")
    db.execute("""CREATE TABLE child (
        seq INTEGER PRIMARY KEY, child_id TEXT NOT NULL UNIQUE,
        run_id TEXT NOT NULL REFERENCES run (run_id), cell_id TEXT NOT NULL,
        block INTEGER NOT NULL, mode TEXT NOT NULL, document TEXT NOT NULL,
        samples BLOB NOT NULL, checksum BLOB NOT NULL)""")
    db.execute("CREATE INDEX child_of_cell ON child (run_id, cell_id)")
    db.execute("""CREATE TABLE record (
        seq INTEGER PRIMARY KEY, record_id TEXT NOT NULL,
        run_id TEXT NOT NULL REFERENCES run (run_id), cell_id TEXT NOT NULL,
        document TEXT NOT NULL, checksum BLOB NOT NULL, UNIQUE (run_id, cell_id))""")
    db.execute("""CREATE TABLE skips (
        seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE REFERENCES run (run_id),
        document TEXT NOT NULL, checksum BLOB NOT NULL)""")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first_tables,)
"""Step ``n`` (from 1) takes a file from version ``n - 1`` to ``n``."""


def version(db: sqlite3.Connection) -> int:
    """Return the schema version of an open file; 0 has no tables yet."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def migrate(db: sqlite3.Connection) -> None:
    """Take every step that is missing, inside the transaction that the caller has begun."""
    for number, step in enumerate(MIGRATIONS, 1):
        if number > version(db):
            step(db)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            name = step.__name__.strip("_")
            db.execute("INSERT INTO migration VALUES (?, ?, ?)", (number, name, now))
            db.execute(f"PRAGMA user_version = {number}")
