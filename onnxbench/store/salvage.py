"""Read what can still be read of a damaged file.

``sqlite3 FILE .recover`` would do, but where that command is there at all it may be built without
it (Debian 12), and it cannot tell a good row from a bad one. The checksums can.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from onnxbench.store import file
from onnxbench.store.rows import COLUMNS, BadRow, Row, Table
from onnxbench.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_GIVE_UP_ROWS = 10_000
"""So many rows in a row that cannot be read are taken for the end of the table."""


class DamagedStore(Store):
    """A damaged results file, to be read with `in_order`."""

    @classmethod
    def open(cls, path: Path, *, read_only: bool = True) -> Self:
        """Open what is left of ``path``. Raises StoreError if that is too little."""
        assert read_only, "a damaged file is left as it is"
        with file.spoken(path, "open"):
            return cls(path, file.inspected(path, salvage=True))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Do nothing: SQLite does not end a transaction that met a bad page."""
        yield

    def in_order(self, table: Table) -> Iterator[tuple[Row, Any]]:
        """Yield the sound rows; each is looked up alone, so a bad page costs only its own."""
        query = f"SELECT seq, {', '.join(COLUMNS[table])} FROM {table} WHERE seq > ? ORDER BY seq"  # noqa: S608
        seq = unreadable = 0
        while unreadable < _GIVE_UP_ROWS:
            try:
                found = self._db.execute(query, (seq,)).fetchone()
            except sqlite3.DatabaseError as exc:
                if not unreadable:
                    self.bad.append(BadRow(table, f"those after number {seq}", str(exc)))
                unreadable += 1
                seq += 1
                continue
            if found is None:
                return
            unreadable = 0
            seq = max(seq + 1, found[0])
            yield from self.sound(table, found[1:])
