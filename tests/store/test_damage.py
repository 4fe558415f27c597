"""A file that is not sound is refused in words and left as it is; a bad row costs only itself."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from onnxbench.errors import StoreError
from onnxbench.store import Store, merge, rows, schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEED = 20261122
PAGE = 4096


def alter(path: Path, *statements: str) -> None:
    """Run SQL on the file, as nobody should."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def folder(path: Path) -> None:
    path.mkdir(parents=True)


def missing(path: Path) -> None:
    pass


def fifo(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)


def parent_is_a_file(path: Path) -> None:
    path.parent.write_text("a file")


def bytes_of(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.parent.mkdir()
        path.write_bytes(content)

    return write


def somebody_elses(path: Path) -> None:
    path.parent.mkdir()
    alter(path, "CREATE TABLE run (run_id)", "PRAGMA application_id = 1")


def dangling_link(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to("nowhere.db")


def log_without_its_file(path: Path) -> None:
    path.parent.mkdir()
    path.with_name(path.name + "-wal").write_bytes(bytes(100))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (folder, "folder or a device"),
        (fifo, "folder or a device"),
        (parent_is_a_file, "File exists|Not a directory"),
        (bytes_of(b""), "is empty"),
        (bytes_of(b"hello"), "not a database"),
        (bytes_of(b"model,latency\n" * 1000), "not a database"),
        (bytes_of(b"SQLite format 3\0"), "damaged|not a database"),
        (bytes_of(bytes(8192)), "not a database"),
        (somebody_elses, "another program"),
        (dangling_link, "cannot open|no results file"),
        (log_without_its_file, "is missing, but"),
    ],
)
def test_what_is_no_store_is_refused_and_left_alone(
    path: Path, make: Callable[[Path], None], message: str
) -> None:
    make(path)
    before = snapshot(path.parent)
    for read_only in (False, True):
        with pytest.raises(StoreError) as refusal:
            Store.open(path, read_only=read_only)
        assert str(path) in str(refusal.value)
        assert refusal.value.hint
        if not read_only:
            assert refusal.match(message)
    assert snapshot(path.parent) == before


def snapshot(place: Path) -> object:
    if not place.is_dir():
        return place.read_bytes()
    return {p.name: p.read_bytes() if p.is_file() else None for p in place.iterdir()}


def test_a_missing_store_is_not_made_to_be_read(path: Path) -> None:
    with pytest.raises(StoreError, match="no results file") as refusal:
        Store.open(path, read_only=True)
    assert "onnxbench run" in refusal.value.hint
    assert not path.parent.exists()


@pytest.mark.parametrize("name", ["nul\0.db", "x" * 300 + ".db"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError):
        Store.open(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["a?mode=memory#x%20.db", "\u202etxt.db", "\udcff.db", "-o.db", "a'b.db"]
)
def test_any_other_name_is_taken_as_it_is(tmp_path: Path, fill: Any, name: str) -> None:
    with Store.open(tmp_path / name) as store:
        fill(store)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    with Store.open(tmp_path / name, read_only=True) as store:
        assert len(store.runs()) == 1


def test_a_newer_schema_is_refused(filled: Path) -> None:
    alter(filled, f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    before = filled.read_bytes()
    with pytest.raises(StoreError, match="schema 2") as refusal:
        Store.open(filled)
    assert "update onnxbench" in refusal.value.hint
    assert filled.read_bytes() == before


def test_foreign_code_in_the_file_is_refused(filled: Path) -> None:
    alter(filled, "CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM child; END")
    with pytest.raises(StoreError, match="trigger"):
        Store.open(filled)


def test_a_flipped_sample_costs_one_child_only(filled: Path, make_child: Any) -> None:
    target = rows.child_row("", "", make_child(block=1))[6]
    assert isinstance(target, bytes)
    content = bytearray(filled.read_bytes())
    content[content.index(target) + len(target) // 2] ^= 1
    filled.write_bytes(content)
    with Store.open(filled) as store:
        (run,) = store.runs()
        kept = store.children(run.run_id)
        assert sorted(child.block for child in kept) == [0, 0, 1, 2, 2]
        (bad,) = store.bad
        assert (bad.table, bad.reason) == ("child", "the checksum does not match")
        store.children(run.run_id)
        assert store.bad == [bad]  # named once
        store.append_child(run.run_id, make_child(block=1))  # measured again
        assert len(store.children(run.run_id)) == 6


def test_text_that_is_no_longer_utf_8_costs_one_row_only(filled: Path) -> None:
    content = bytearray(filled.read_bytes())
    content[content.index(b'"median_ns"') + 3] ^= 0x80
    filled.write_bytes(content)
    with Store.open(filled) as store:
        assert len(store.records()) == 1
        assert [bad.table for bad in store.bad] == ["record"]


def test_rows_that_an_editor_sealed_again_are_still_looked_at(filled: Path) -> None:
    with Store.open(filled) as store, store.writing("forge in"):
        for row in (
            rows.seal("x1", store.runs()[0].run_id, "c", 0, "timed", '{"status":"ok"}', b""),
            rows.seal("x2", store.runs()[0].run_id, "c", 0, "timed", "NaN", b""),
            rows.seal("x3", store.runs()[0].run_id, "c", 0, "timed", "[" * 100_000, b""),
        ):
            store.put("child", row)
        store.put("record", rows.seal("x4", store.runs()[0].run_id, "c", '{"cell_id":"d"}'))
    with Store.open(filled) as store:
        assert len(store.children(store.runs()[0].run_id)) == 6
        assert len(store.records()) == 2
        assert [bad.name for bad in store.bad] == ["x1", "x2", "x3", "x4"]


def read_all(path: Path) -> tuple[list[Any], int]:
    """Return every noun that a store gives, and how many rows it calls bad."""
    with Store.open(path, read_only=True) as store:
        runs = store.runs()
        run_ids = [run.run_id for run in runs]
        nouns = [*runs, *store.records(), *(s for run_id in run_ids for s in store.skips(run_id))]
        return [*nouns, *(c for run_id in run_ids for c in store.children(run_id))], len(store.bad)


def test_no_flipped_bit_passes_for_a_result(filled: Path) -> None:
    whole, bad = read_all(filled)
    assert (len(whole), bad) == (1 + 2 + 1 + 6, 0)
    content = filled.read_bytes()
    chance = random.Random(SEED)
    refused = quarantined = 0
    # Most of a page is empty; half of the flips go where something is.
    full = [at for at, byte in enumerate(content) if byte]
    for turn in range(400):
        at = chance.choice(full) if turn % 2 else chance.randrange(len(content))
        flipped = bytearray(content)
        flipped[at] ^= 1 << chance.randrange(8)
        filled.write_bytes(flipped)
        try:
            nouns, bad = read_all(filled)
        except StoreError:
            refused += 1
        else:
            assert all(noun in whole for noun in nouns), f"bit in byte {at}"
            assert len(nouns) == len(whole) or bad, f"bit in byte {at}"
            quarantined += bad
        assert filled.read_bytes() == flipped
    assert refused > 10
    assert quarantined > 10


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused_and_left_alone(filled: Path, kept: float) -> None:
    content = filled.read_bytes()
    content = content[: int(len(content) * kept)]
    filled.write_bytes(content)
    with pytest.raises(StoreError, match="damaged") as refusal:
        Store.open(filled)
    assert "onnxbench merge" in refusal.value.hint
    assert "--store" in refusal.value.hint
    assert filled.read_bytes() == content


def test_a_zero_page_is_refused_and_left_alone(filled: Path) -> None:
    whole, _ = read_all(filled)
    content = filled.read_bytes()
    for page in range(len(content) // PAGE):
        holed = bytearray(content)
        holed[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
        filled.write_bytes(holed)
        with pytest.raises(StoreError, match="damaged"):
            Store.open(filled)
        assert filled.read_bytes() == holed
    assert whole


@pytest.mark.parametrize("damage", ["zero page", "truncated tail", "index"])
def test_the_hint_of_a_damaged_store_saves_what_can_be_saved(
    filled: Path, fill: Callable[..., str], damage: str
) -> None:
    with Store.open(filled) as store:
        for _ in range(20):
            fill(store)
    whole, _ = read_all(filled)
    content = bytearray(filled.read_bytes())
    middle = len(content) // PAGE // 2 * PAGE
    if damage == "zero page":
        content[middle : middle + PAGE] = bytes(PAGE)
    elif damage == "truncated tail":
        del content[-3 * PAGE :]
    else:
        alter(
            filled,
            "PRAGMA writable_schema = ON",
            "DELETE FROM sqlite_schema WHERE name GLOB 'child_of*'",
        )
        content = bytearray(filled.read_bytes())
    filled.write_bytes(content)
    with pytest.raises(StoreError) as refusal:
        Store.open(filled)
    assert f"onnxbench merge {filled} --store FILE" in refusal.value.hint
    fresh = filled.with_name("fresh.db")
    with Store.open(fresh) as store:
        merged = merge(store, filled)
        assert merged.bad or damage == "index"
    saved, bad = read_all(fresh)
    assert bad == 0
    assert len(saved) > len(whole) * 0.7
    # Runs count what is left of them, so they are compared by name.
    assert all(noun in whole for noun in saved if not isinstance(noun, rows.RunRow))
    assert {n.run_id for n in saved if isinstance(n, rows.RunRow)} <= {
        n.run_id for n in whole if isinstance(n, rows.RunRow)
    }
    assert filled.read_bytes() == content
