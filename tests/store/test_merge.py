"""Merging adds what is missing, once, and touches nothing else."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from onnxbench.errors import StoreError, UsageError
from onnxbench.store import BadRow, Merged, Store, merge, schema

if TYPE_CHECKING:
    from collections.abc import Callable

WRITER = Path(__file__).with_name("writer.py")


@pytest.fixture
def other(tmp_path: Path, fill: Callable[..., str]) -> Path:
    path = tmp_path / "other.db"
    with Store.open(path) as store:
        fill(store)
    return path


def everything(store: Store) -> object:
    runs = [(run, store.children(run.run_id), store.skips(run.run_id)) for run in store.runs()]
    return runs, store.records()


def test_an_empty_store_becomes_equal(path: Path, other: Path) -> None:
    before = other.read_bytes()
    with Store.open(path) as store:
        assert merge(store, other) == Merged(1, 6, 2, 0, ())
        merged = everything(store)
    with Store.open(other, read_only=True) as source:
        assert everything(source) == merged
    assert other.read_bytes() == before


def test_the_same_again_adds_nothing(filled: Path, other: Path) -> None:
    with Store.open(filled) as store:
        assert merge(store, other) == Merged(1, 6, 2, 0, ())
        once = everything(store)
        assert merge(store, other) == Merged(0, 0, 0, 9, ())
        assert everything(store) == once
        assert len(store.runs()) == 2


def test_both_ways_ends_in_the_same_results(filled: Path, other: Path) -> None:
    with Store.open(filled) as ours, Store.open(other) as theirs:
        merge(ours, other)
        merge(theirs, filled)
        assert everything(ours)[0] == everything(theirs)[0]  # type: ignore[index]


def test_a_run_that_was_resumed_over_there_is_continued(
    path: Path, other: Path, make_child: Any, make_record: Any
) -> None:
    with Store.open(path) as store:
        merge(store, other)
        with Store.open(other) as source:
            (run,) = source.runs()
            source.append_child(run.run_id, make_child("0" * 16, 3))
            later = make_record(run.run_id, "0" * 16, created="2026-11-23T00:00:00+00:00")
            source.put_record(run.run_id, later)
            source.set_run_state(run.run_id, "finished")
        assert merge(store, other) == Merged(0, 1, 1, 8, ())
        assert store.run("latest").state == "finished"
        assert later in store.records()
        assert merge(store, other) == Merged(0, 0, 0, 10, ())


def test_an_older_record_and_state_do_not_come_back(
    path: Path, other: Path, make_record: Any
) -> None:
    with Store.open(path) as store:
        merge(store, other)
        (run,) = store.runs()
        later = make_record(run.run_id, "0" * 16, created="2026-11-23T00:00:00+00:00")
        store.put_record(run.run_id, later)
        store.set_run_state(run.run_id, "finished")
        assert merge(store, other) == Merged(0, 0, 0, 9, ())
        assert later in store.records()
        assert store.run("latest").state == "finished"


def test_bad_rows_stay_behind_and_are_named(path: Path, other: Path) -> None:
    with closing(sqlite3.connect(other, isolation_level=None)) as db:
        db.execute("UPDATE child SET document = replace(document, 'ok', 'oK') WHERE block = 1")
        db.execute("UPDATE record SET document = '{}' WHERE cell_id = '1111111111111111'")
    with Store.open(path) as store:
        merged = merge(store, other)
        assert (merged.runs, merged.children, merged.records) == (1, 4, 1)
        assert [bad.table for bad in merged.bad] == ["child", "child", "record"]
        assert store.bad == []


def test_what_belongs_to_a_bad_run_stays_behind(path: Path, other: Path) -> None:
    with closing(sqlite3.connect(other, isolation_level=None)) as db:
        db.execute("UPDATE run SET plan = '{}'")
    with Store.open(path) as store:
        merged = merge(store, other)
        assert (merged.runs, merged.children, merged.records) == (0, 0, 0)
        reasons = {bad.reason for bad in merged.bad}
        assert reasons == {"the checksum does not match", "its run was left out or is missing"}
        assert everything(store) == ([], [])


def test_another_run_of_the_same_name_is_refused(path: Path, other: Path) -> None:
    with Store.open(path) as store:
        merge(store, other)
        (run,) = store.runs()
    with closing(sqlite3.connect(other, isolation_level=None)) as db:
        db.execute("DELETE FROM skips")
        db.execute("DELETE FROM record")
        db.execute("DELETE FROM child")
        db.execute("DELETE FROM run")
    from onnxbench.store.rows import RunRow, run_row

    with Store.open(other) as source, source.writing("forge in"):
        forged = RunRow(run.run_id, run.created, "open", "plan", "another host", {}, {})
        source.put("run", run_row(forged))
    with Store.open(path) as store:
        before = everything(store)
        reason = "the store has another run of this name"
        assert merge(store, other).bad == (BadRow("run", run.run_id, reason),)
        assert everything(store) == before


def test_a_store_that_is_being_written_gives_what_it_has(path: Path, tmp_path: Path) -> None:
    busy = tmp_path / "busy.db"
    command = [sys.executable, str(WRITER), str(busy), "busy", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            writer.stdout.readline()
        with Store.open(path) as store:
            first = merge(store, busy)
            assert first.children >= 20
            for _ in range(20):
                writer.stdout.readline()
            second = merge(store, busy)
            assert second.runs == 0
            assert second.already_there == first.children + 1
            assert first.bad == second.bad == ()
        writer.kill()


def test_a_store_does_not_merge_with_itself(filled: Path) -> None:
    with Store.open(filled) as store, pytest.raises(UsageError, match="itself"):
        merge(store, filled.parent / ".." / filled.parent.name / filled.name)


def test_nothing_is_merged_from_what_is_no_store(filled: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database at all\n" * 50)
    with Store.open(filled) as store:
        before = everything(store)
        for source in (text, tmp_path / "missing.db", tmp_path):
            with pytest.raises(StoreError):
                merge(store, source)
        assert everything(store) == before


def test_a_merge_that_fails_leaves_nothing(
    path: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(path) as store:
        put = Store.put

        def fails_at_records(self: Store, table: Any, *args: Any, **named: Any) -> bool:
            if table == "record":
                raise sqlite3.OperationalError("disk I/O error")
            return put(self, table, *args, **named)

        monkeypatch.setattr(Store, "put", fails_at_records)
        with pytest.raises(StoreError, match="cannot merge into"):
            merge(store, other)
        assert everything(store) == ([], [])


# --------------------------------------------------------------------------- older schemas


@pytest.fixture
def newer_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, this onnxbench is one schema version further."""

    def _with_a_note(db: sqlite3.Connection) -> None:
        db.execute("ALTER TABLE run ADD COLUMN note TEXT")

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, _with_a_note))


def test_an_older_store_is_upgraded_and_a_copy_kept(
    filled: Path, request: pytest.FixtureRequest
) -> None:
    with Store.open(filled) as store:
        before = everything(store)
    request.getfixturevalue("newer_tool")
    with Store.open(filled) as store:
        assert everything(store) == before
    with closing(sqlite3.connect(filled)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM migration ORDER BY version")]
        assert names == ["first_tables", "with_a_note"]
        assert schema.version(db) == 2
    (copy,) = [file for file in filled.parent.iterdir() if ".schema1-" in file.name]
    with closing(sqlite3.connect(copy)) as db:
        assert schema.version(db) == 1
        assert db.execute("SELECT count(*) FROM child").fetchone() == (6,)


@pytest.mark.usefixtures("filled")
def test_an_upgrade_that_fails_changes_nothing(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(db: sqlite3.Connection) -> None:
        db.execute("DROP TABLE child")
        raise sqlite3.OperationalError("no such function: f")

    with Store.open(filled) as store:
        before = everything(store)
    with monkeypatch.context() as newer:
        newer.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, fails))
        with pytest.raises(StoreError, match="no such function"):
            Store.open(filled)
    with Store.open(filled) as store:
        assert everything(store) == before


def test_an_older_store_is_read_and_merged_without_a_change(
    path: Path, other: Path, request: pytest.FixtureRequest
) -> None:
    with Store.open(other) as store:
        content = everything(store)
    before = other.read_bytes()
    request.getfixturevalue("newer_tool")
    with Store.open(other, read_only=True) as store:
        assert everything(store) == content
    with Store.open(path) as store:
        assert merge(store, other) == Merged(1, 6, 2, 0, ())
        assert everything(store) == content
    assert other.read_bytes() == before
    assert not [file for file in other.parent.iterdir() if ".schema1-" in file.name]
