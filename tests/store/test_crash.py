"""What was acknowledged is there: after kill -9, beside another tool, on a full disk."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from onnxbench.errors import StoreError
from onnxbench.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WRITER = Path(__file__).with_name("writer.py")
SEED = 20261122


def start(path: Path, label: str, count: int = 0, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), str(path), label, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def acknowledged(
    writer: subprocess.Popen[str], first: str = ""
) -> tuple[list[tuple[str, int]], list[str]]:
    """Wait for the writer; return the (run, block) that it printed, and its refusals."""
    output = first + writer.communicate()[0]
    whole = output[: output.rfind("\n") + 1].splitlines()  # a killed writer may cut its last line
    rows = [line.split() for line in whole if not line.startswith("refused")]
    refusals = [line for line in whole if line.startswith("refused")]
    return [(run, int(block)) for run, block in rows], refusals


def stored(store: Store) -> set[tuple[str, int]]:
    return {(run.run_id, c.block) for run in store.runs() for c in store.children(run.run_id)}


def test_no_acknowledged_child_is_lost_to_50_kills(path: Path) -> None:
    chance = random.Random(SEED)
    known: set[tuple[str, int]] = set()
    for turn in range(25):
        # Two at once, so that a kill also hits while the other one writes.
        writers = [start(path, f"{turn}-{n}") for n in range(2)]
        for writer in writers:
            # A third dies somewhere in its first moments, the others between or in their rows.
            first = writer.stdout.readline() if turn % 3 and writer.stdout else ""
            time.sleep(chance.random() * (0.03 if first else 0.2))
            writer.kill()
            rows, refusals = acknowledged(writer, first)
            known.update(rows)
            assert refusals == []
        if path.exists():  # opening it checks every page
            Store.open(path, read_only=True).close()
    assert len(known) > 100
    with Store.open(path) as store:
        assert known <= stored(store)
        assert store.bad == []
        # And it can be written to.
        store.begin_run(plan_key="after", host_id="host", plan={}, tool={})


def test_two_tools_on_one_store_lose_nothing(path: Path) -> None:
    writers = [start(path, label, 300) for label in ("one", "two")]
    results = [acknowledged(writer) for writer in writers]
    assert [refusals for _, refusals in results] == [[], []]
    with Store.open(path, read_only=True) as store:
        assert stored(store) == {row for rows, _ in results for row in rows}
        assert sorted(run.children for run in store.runs()) == [300, 300]
        assert store.bad == []


def test_many_tools_make_one_store(path: Path) -> None:
    writers = [start(path, str(n), 1) for n in range(6)]
    assert [len(acknowledged(writer)[0]) for writer in writers] == [1] * 6
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with Store.open(path, read_only=True) as store:
        assert len(store.runs()) == 6


def test_the_unfinished_transaction_of_another_is_waited_for(
    path: Path, begin: Callable[..., str]
) -> None:
    with Store.open(path) as store, store.writing("hold"):
        writer = start(path, "waiting", 1)
        time.sleep(0.5)
        assert writer.poll() is None
    assert len(acknowledged(writer)[0]) == 1


# ------------------------------------------------------------------------------------- disk full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB: the real thing, where root may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root can mount a small disk")
    command = [mount, "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_refuses_the_next_child_and_keeps_the_others(small_disk: Path) -> None:
    path = small_disk / "results.db"
    rows, (refusal,) = acknowledged(start(path, "full"))
    assert len(rows) > 20
    assert "disk is full" in refusal
    assert "make room" in refusal
    with Store.open(path, read_only=True) as store:
        assert stored(store) == set(rows)
        assert store.bad == []


def test_a_disk_that_is_full_from_the_start_leaves_nothing_behind(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes((1 << 20) - 8192))
    with pytest.raises(StoreError) as refusal:
        Store.open(small_disk / "results.db")
    assert "--store" in refusal.value.hint
    assert [file.name for file in small_disk.iterdir()] == ["filler"]


def test_a_file_size_limit_refuses_the_next_child_and_keeps_the_others(path: Path) -> None:
    limit = 600_000

    def no_large_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    rows, (refusal,) = acknowledged(start(path, "limit", preexec_fn=no_large_files))
    assert len(rows) > 20
    assert "cannot append to" in refusal
    assert "--store" in refusal
    with Store.open(path) as store:
        assert stored(store) == set(rows)
        assert store.bad == []


# --------------------------------------------------------------------- the file goes, or may not


def test_rows_for_a_deleted_file_are_not_acknowledged(
    path: Path, fill: Callable[..., str], make_child: Any
) -> None:
    with Store.open(path) as store:
        run_id = fill(store)
        shutil.rmtree(path.parent)
        with pytest.raises(StoreError, match="No such file"):
            store.append_child(run_id, make_child())
    assert not path.exists()


def test_rows_for_a_replaced_file_are_not_acknowledged(
    path: Path, fill: Callable[..., str], make_child: Any
) -> None:
    with Store.open(path) as store:
        run_id = fill(store)
        path.rename(path.with_name("old.db"))
        path.write_bytes(b"another")
        with pytest.raises(StoreError, match="replaced"):
            store.append_child(run_id, make_child())


def test_a_read_only_folder_can_be_read_and_not_written(
    small_disk: Path, fill: Callable[..., str]
) -> None:
    path = small_disk / "results.db"
    with Store.open(path) as store:
        fill(store)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with Store.open(path, read_only=True) as store:
        assert len(store.records()) == 2
    for name in ("results.db", "new.db", "folder/new.db"):
        with pytest.raises(StoreError) as refusal:
            Store.open(small_disk / name)
        assert "--store" in refusal.value.hint


def test_a_write_protected_file_is_refused_at_once(filled: Path) -> None:
    filled.chmod(0o444)
    if os.geteuid() == 0:  # root may write everywhere: try as nobody
        for folder in filled.parents:
            if folder.is_relative_to(temporary := Path(tempfile.gettempdir()).resolve()):
                folder.chmod(0o777 if folder != temporary else 0o1777)
        os.seteuid(65534)
    try:
        with Store.open(filled, read_only=True) as store:
            assert len(store.records()) == 2
        with pytest.raises(StoreError) as refusal:
            Store.open(filled)
    finally:
        os.seteuid(os.getuid())
    assert "writable" in refusal.value.hint
