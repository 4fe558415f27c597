"""Copy the results of another file into a store; every run keeps its id."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from onnxbench.errors import UsageError
from onnxbench.store.file import DamagedFile
from onnxbench.store.rows import COLUMNS, BadRow, Damaged, Row, RunRow, Table
from onnxbench.store.salvage import DamagedStore
from onnxbench.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.types import Record


@dataclass(frozen=True, slots=True)
class Merged:
    """How many rows were added, how many were there before, and those that were left out.

    A record that took the place of an earlier one of its run and cell counts as added.
    """

    runs: int
    children: int
    records: int
    already_there: int
    bad: tuple[BadRow, ...]


def merge(into: Store, other: Path) -> Merged:
    """Copy every sound run, child, record and skip of ``other`` that ``into`` lacks.

    All or nothing, and the same again adds nothing. ``other`` is only read: it may be of an older
    version, on a read-only medium, being written to (then its rows up to now are taken), or
    damaged (then those that can be read are).
    Where both hold a record of one run and cell, as after a resumed run, the later one stays.
    Raises StoreError, and UsageError if both are one file.
    """
    added: Counter[Table] = Counter()
    there: Counter[Table] = Counter()
    refused: list[BadRow] = []
    runs: set[object] = set()
    tables: tuple[Table, ...] = ("run", "child", "record", "skips")  # what is referred to first
    with _open_source(other) as source:
        if other.samefile(into.path):
            raise UsageError(f"{other} is the store itself", "name the other file")
        with source.snapshot(), into.writing("merge into"):
            for table in tables:
                of_run = COLUMNS[table].index("run_id")
                for row, noun in source.in_order(table):
                    try:
                        if table == "run":
                            is_new = _take_run(into, row, noun)
                            runs.add(row[of_run])
                        elif row[of_run] not in runs:
                            raise Damaged("its run was left out or is missing")
                        elif table == "record":
                            is_new = _take_record(into, row, noun)
                        else:
                            is_new = into.put(table, row)
                    except Damaged as exc:
                        refused.append(BadRow(table, str(row[0]), str(exc)))
                    else:
                        (added if is_new else there)[table] += 1
        bad = (*source.bad, *refused)
    already_there = there["run"] + there["child"] + there["record"]
    return Merged(added["run"], added["child"], added["record"], already_there, bad)


def _open_source(path: Path) -> Store:
    try:
        return Store.open(path, read_only=True)
    except DamagedFile:
        return DamagedStore.open(path, read_only=True)


def _take_run(into: Store, row: Row, theirs: RunRow) -> bool:
    if into.put("run", row):
        return True
    ours: RunRow | None = into.find("run", run_id=theirs.run_id)
    if ours is None or replace(ours, state=theirs.state) != theirs:
        raise Damaged("the store has another run of this name")
    if theirs.state == "finished" != ours.state:  # it was resumed over there
        into.put("run", row, on_conflict="UPDATE")
    return False


def _take_record(into: Store, row: Row, theirs: Record) -> bool:
    if into.put("record", row):
        return True
    _, run_id, cell_id, *_ = row
    ours: Record | None = into.find("record", run_id=str(run_id), cell_id=str(cell_id))
    if ours is None or theirs.get("created", "") > ours.get("created", ""):
        return into.put("record", row, on_conflict="UPDATE")
    return False
