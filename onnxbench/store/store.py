"""Append results, read them back."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from onnxbench.errors import StoreError, UsageError
from onnxbench.store import file, schema
from onnxbench.store.rows import (
    COLUMNS,
    KEYS,
    BadRow,
    Damaged,
    Row,
    RunRow,
    RunState,
    Table,
    child_row,
    decode,
    record_row,
    run_row,
    skips_row,
)
from onnxbench.suggest import did_you_mean

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import numpy as np

    from onnxbench.types import Child, JsonObject, Record

    Samples = np.ndarray[Any, np.dtype[np.int64]]


_START_AGAIN = "run the same command again: what is stored is kept, the rest is measured"


class Store:
    """An open results file. Use it as a context manager, in the thread that opened it.

    Every write is one transaction that is on the disk when the method returns; several processes
    may write to one file. Every read checks each row: damaged ones are left out and listed in
    ``bad``. Methods raise StoreError for what the file or its disk refuses, and UsageError for
    names that are not in it.
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        """Take over an inspected connection; use `open`."""
        self.path = path
        self.bad: list[BadRow] = []
        self._db = db
        self._file = path.stat()

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Self:
        """Open the results file at ``path``; make it, and its folder, unless ``read_only``.

        A file of an older version is upgraded (a copy of it is kept aside), or, if ``read_only``,
        read as if it were. Any other that is not sound is refused: see `onnxbench.store.file`.
        """
        with file.spoken(path, "open"):
            if not read_only and not path.exists():
                file.create(path)
            if not path.exists():
                hint = "measure something first: onnxbench run; or name another file: --store FILE"
                raise StoreError(f"there is no results file at {path}", hint)
            db = file.inspected(path)
            old = schema.version(db) < len(schema.MIGRATIONS)
            if read_only:
                return cls(path, file.upgraded_copy(db) if old else db)
            db.close()
            db = file.connect(path, "mode=rw")
            try:
                if old:
                    file.upgrade(db, path)
                with file.transaction(db):  # a real write fails here, not after an hour's work
                    db.execute(f"PRAGMA user_version = {schema.version(db)}")
                return cls(path, db)
            except BaseException:
                db.close()
                raise

    def close(self) -> None:
        """Close the file; the last process to do so folds the log into it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------------------------ write

    def begin_run(self, *, plan_key: str, host_id: str, plan: JsonObject, tool: JsonObject) -> str:
        """Store a new, open run and return its id: sortable by time, unique across machines."""
        now = datetime.now(UTC)
        run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        created = now.isoformat(timespec="microseconds")
        run = RunRow(run_id, created, "open", plan_key, host_id, plan, tool)
        with self.writing("begin a run in"):
            self.put("run", run_row(run))
        return run_id

    def set_run_state(self, run_id: str, state: RunState) -> None:
        """Say how far a run got."""
        with self.writing("update a run in"):
            run = self.find("run", run_id=run_id)
            if run is None:
                raise StoreError(f"there is no sound run {run_id} in {self.path}", _START_AGAIN)
            self.put("run", run_row(replace(run, state=state)), on_conflict="UPDATE")

    def append_child(self, run_id: str, child: Child) -> None:
        """Store a finished child process, samples included."""
        with self.writing("append to"):
            self.put("child", child_row(secrets.token_hex(8), run_id, child))

    def put_record(self, run_id: str, record: Record) -> None:
        """Store a record in place of the one that this run has for the same cell, if any."""
        with self.writing("store a record in"):
            self.put("record", record_row(run_id, record), on_conflict="UPDATE")

    def put_skips(self, run_id: str, skips: Sequence[JsonObject]) -> None:
        """Store what the plan of a run left out, in place of what was stored for it before."""
        with self.writing("store skips in"):
            self.put("skips", skips_row(run_id, skips), on_conflict="UPDATE")

    # ------------------------------------------------------------------------------------- read

    def runs(self) -> list[RunRow]:
        """Return all runs, the oldest first."""
        with file.spoken(self.path, "read"):
            children = dict(self._db.execute("SELECT run_id, count(*) FROM child GROUP BY run_id"))
            records = dict(self._db.execute("SELECT run_id, count(*) FROM record GROUP BY run_id"))
        return [
            replace(run, cells=records.get(run.run_id, 0), children=children.get(run.run_id, 0))
            for _, run in self.rows("run", "ORDER BY created, seq")
        ]

    def run(self, prefix: str) -> RunRow:
        """Return the run whose id begins with ``prefix``, or the newest for ``latest``."""
        runs = {run.run_id: run for run in self.runs()}
        if prefix == "latest" and runs:
            return list(runs.values())[-1]
        return runs[self._unique("run", prefix, runs)]

    def unfinished_run(self, plan_key: str) -> str | None:
        """Return the newest run of that plan, or None if it is finished or there is none.

        Take the measuring lock first: a run that is open may be another process's, at work.
        """
        for _, run in self.rows(
            "run", "WHERE plan_key = ? ORDER BY created DESC, seq DESC", plan_key
        ):
            return None if run.state == "finished" else run.run_id
        return None

    def children(self, run_id: str, cell_id: str | None = None) -> list[Child]:
        """Return the finished children of a run, or of one of its cells, in order of insertion."""
        where = "WHERE run_id = ? AND cell_id = coalesce(?, cell_id) ORDER BY seq"
        return [child for _, child in self.rows("child", where, run_id, cell_id)]

    def records(self, run_ids: Sequence[str] | None = None) -> list[Record]:
        """Return the records of these runs (all runs if None), in order of insertion."""
        places = ", ".join("?" * len(run_ids or ()))
        where = "" if run_ids is None else f"WHERE run_id IN ({places})"
        rows = self.rows("record", f"{where} ORDER BY seq", *(run_ids or ()))
        return [record for _, record in rows]

    def record(self, prefix: str) -> Record:
        """Return the record whose id begins with ``prefix``; the newest, if runs share it."""
        with file.spoken(self.path, "read"):
            ids = [name for (name,) in self._db.execute("SELECT record_id FROM record")]
        name = self._unique("record", prefix, ids)
        for _, record in self.rows("record", "WHERE record_id = ? ORDER BY seq DESC", name):
            return record  # type: ignore[no-any-return]
        raise StoreError(f"record {name} in {self.path} is damaged", _START_AGAIN)

    def skips(self, run_id: str) -> list[JsonObject]:
        """Return what the plan of a run left out."""
        return [
            skip for _, skips in self.rows("skips", "WHERE run_id = ?", run_id) for skip in skips
        ]

    def samples(self, record_id: str) -> list[tuple[int, Samples]]:
        """Return (block, int64 nanoseconds) of each timed child behind a record's latency."""
        import numpy as np  # noqa: PLC0415 - the other commands need not wait for it

        from onnxbench.measure.children import Children  # noqa: PLC0415

        record = self.record(record_id)
        children = self.children(record["run_id"], record["cell_id"])
        return [
            (child.block, np.frombuffer(child.result.samples, "<i8"))
            for child in Children.sort(children).good
        ]

    # ------------------------------------------------------------------ rows, for merging too

    def rows(self, table: Table, where: str = "", *values: str | None) -> Iterator[tuple[Row, Any]]:
        """Yield each sound row with the noun that it holds; note the others in ``bad``."""
        # Table and columns are ours, `where` is written in this package: no text from outside.
        query = f"SELECT {', '.join(COLUMNS[table])} FROM {table} {where}"  # noqa: S608
        with file.spoken(self.path, "read"):
            for row in self._db.execute(query, values):
                yield from self.sound(table, row)

    def in_order(self, table: Table) -> Iterator[tuple[Row, Any]]:
        """Yield all sound rows of a table in order of insertion."""
        return self.rows(table, "ORDER BY seq")

    def sound(self, table: Table, row: Row) -> Iterator[tuple[Row, Any]]:
        """Yield the row with the noun that it holds, or note it in ``bad`` and yield nothing."""
        try:
            noun = decode(table, row)
        except Damaged as exc:
            bad = BadRow(table, str(row[0]), str(exc))
            if bad not in self.bad:
                self.bad.append(bad)
        else:
            yield row, noun

    def find(self, table: Table, **named: str) -> Any:
        """Return the noun of the first sound row with these values, or None."""
        where = " AND ".join(f"{column} = ?" for column in named)
        return next((noun for _, noun in self.rows(table, f"WHERE {where}", *named.values())), None)

    def put(self, table: Table, row: Row, *, on_conflict: str = "NOTHING") -> bool:
        """Store a row inside `writing`; say whether that changed anything.

        ``on_conflict``: ``NOTHING`` keeps a row that is there under the same key, ``UPDATE``
        replaces its content.
        """
        columns = COLUMNS[table]
        action = "NOTHING"
        if on_conflict == "UPDATE":
            action = "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in columns)
        places = ", ".join("?" * len(columns))
        statement = (
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - as above
            f" ON CONFLICT ({KEYS[table]}) DO {action}"
        )
        return self._db.execute(statement, row).rowcount > 0

    @contextmanager
    def writing(self, doing: str) -> Iterator[None]:
        """Make the block one durable transaction. ``doing`` completes "cannot … FILE"."""
        with file.spoken(self.path, doing):
            with file.transaction(self._db):
                yield
            # A file that was deleted or replaced under us takes every write and loses it.
            if not os.path.samestat(self._file, self.path.stat()):
                raise StoreError(f"{self.path} was replaced while it was open", _START_AGAIN)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read in the block as if nobody else wrote meanwhile."""
        with file.spoken(self.path, "read"), file.transaction(self._db, "DEFERRED"):
            yield

    def _unique(self, noun: str, prefix: str, names: Collection[str]) -> str:
        """Return the one name that begins with ``prefix``. Raises UsageError with near ones."""
        found = sorted({name for name in names if name.startswith(prefix)})
        if len(found) == 1:
            return found[0]
        problem = "more than one" if found else "no"
        raise UsageError(
            f"{problem} {noun} in {self.path} begins with {prefix!r}",
            f"one of: {', '.join(found[:5])} …" if found else did_you_mean(prefix, names),
        )
