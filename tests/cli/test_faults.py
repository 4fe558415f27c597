"""What may happen to the measuring process and its results file, and what must survive it."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from onnxbench.store import Store
from tests.cli.command import (
    SHORT,
    assert_none_left,
    end,
    ended,
    measure,
    onnxbench,
    phases_below,
    start,
    wait_for,
    without_override,
)

KILLS = 50

WITNESS = """
import os, sys
from onnxbench.store import Store
from onnxbench.targets.local import LocalTarget
journal = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def telling(word, call):
    def told(self, first, second):
        if word == "start":
            os.write(journal, b"start\\n")
        result = call(self, first, second)
        if word == "stored":
            line = f"stored {first} {second.cell_id} {second.mode} {second.block}\\n"
            os.write(journal, line.encode())
        return result
    return told

LocalTarget.run_worker = telling("start", LocalTarget.run_worker)
Store.append_child = telling("stored", Store.append_child)
from onnxbench.cli.main import main
main()
"""
"""The command, with a journal of which children it started and which the store acknowledged."""


def stored_children(store: Path) -> Counter[str]:
    with Store.open(store, read_only=True) as opened:
        found = Counter(
            f"{run.run_id} {child.cell_id} {child.mode} {child.block}"
            for run in opened.runs()
            for child in opened.children(run.run_id)
        )
        assert opened.bad == []
    return found


@pytest.mark.slow
def test_killed_at_random_moments(
    relu: Path, proof: Sequence[str], place: Path, temporary: Path
) -> None:
    """Nothing acknowledged is lost, the store stays readable, only the open child is repeated."""
    journal, store = place / "journal", place / "results.db"
    journal.touch()
    command = [sys.executable, "-c", WITNESS, str(journal), "run", str(relu), *proof, "--label",
               "a,b", "--iters", "2", "--processes", "12", "--warmup", "0", "--set",
               "sleep_s=0.0005", "-q"]  # fmt: skip
    moments = random.Random(20)
    for _ in range(KILLS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.05, 1.6))
        process.kill()
        process.wait()
        acknowledged = [
            line.removeprefix("stored ")
            for line in journal.read_text().splitlines()
            if line.startswith("stored ")
        ]
        found = stored_children(store) if store.exists() else Counter()
        assert not Counter(acknowledged) - found, "an acknowledged child is lost"
        assert max(found.values(), default=1) == 1, "a stored child ran again"
    assert_none_left(temporary)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    starts = journal.read_text().splitlines().count("start")
    found = stored_children(store)
    assert max(found.values()) == 1
    assert len(found) <= starts <= len(found) + KILLS, "more than the open child was repeated"
    with Store.open(store, read_only=True) as opened:
        assert {run.children for run in opened.runs()} == {2 * (1 + 12)}
        assert {run.state for run in opened.runs()} == {"finished"}


@pytest.mark.parametrize("phase", ["preflight", "timed"])
def test_a_kill_leaves_no_child(
    relu: Path, proof: Sequence[str], temporary: Path, phase: str
) -> None:
    long = ("--set", "sleep_s=0.01", "--iters", "5000", "--warmup", "1")
    with ended(start("run", relu, *proof, *long)) as process:
        wait_for(lambda: process.poll() is not None or phase in phases_below(temporary))
        assert process.poll() is None
        # Met at work in one case, while it still starts in the other.
        time.sleep(1 if phase == "timed" else 0)
        process.kill()
        process.wait()
        assert_none_left(temporary)


def file_limit(limit_bytes: int) -> Callable[[], None]:
    def apply() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    return apply


def assert_refused(ran: Any, *words: str) -> None:
    assert ran.code == 2, ran.err
    error = json.loads(ran.out)["error"]
    assert error["kind"] == "store"
    assert error["hint"]
    for word in words:
        assert word in error["message"]


def test_a_full_disk(relu: Path, proof: Sequence[str], place: Path) -> None:
    """The file may not grow any more: what was stored stays, the error says what to do."""
    measure(relu, *proof)
    store = place / "results.db"
    before = stored_children(store)
    short = ("--iters", "30000", "--warmup", "1", "--processes", "8")
    ran = onnxbench("run", relu, *proof, *short, "--json",
                    preexec_fn=file_limit(store.stat().st_size + 20_000))  # fmt: skip
    assert_refused(ran, str(store))
    after = stored_children(store)
    assert not before - after
    again = onnxbench("run", relu, *proof, *short, "--json")
    assert again.code == 0
    assert not after - stored_children(store)


def test_a_tiny_disk(relu: Path, proof: Sequence[str], place: Path) -> None:
    folder = place / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        ran = onnxbench("run", relu, *proof, "--iters", "30000", "--processes", "30",
                        "--warmup", "1", "--json", "--store", folder / "r.db")  # fmt: skip
        assert_refused(ran, "full")
        assert sum(stored_children(folder / "r.db").values()) > 0
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("content", [b"", b"not a database\n" * 100, bytes(8192)], ids=len)
def test_a_file_that_is_no_store(relu: Path, place: Path, content: bytes) -> None:
    store = place / "results.db"
    store.write_bytes(content)
    for command in (["run", relu, *SHORT], ["report"], ["list", "runs"], ["show", "a"]):
        assert_refused(onnxbench(*command, "--json"), str(store))
        assert store.read_bytes() == content
        assert sorted(path.name for path in place.glob("results*")) == ["results.db"]


def test_a_store_that_was_damaged(relu: Path, proof: Sequence[str], place: Path) -> None:
    measure(relu, *proof)
    store = place / "results.db"
    content = bytearray(store.read_bytes())
    content[4096:8192] = random.Random(1).randbytes(4096)
    store.write_bytes(content)
    assert_refused(onnxbench("run", relu, *proof, *SHORT, "--json"), "damaged")
    assert store.read_bytes() == content
    elsewhere = onnxbench("run", relu, *proof, *SHORT, "--json", "--store", "other.db")
    assert elsewhere.code == 0


def test_a_store_that_may_only_be_read(relu: Path, proof: Sequence[str], place: Path) -> None:
    folder = place / "kept"
    folder.mkdir()
    store = folder / "r.db"
    assert onnxbench("run", relu, *proof, *SHORT, "--store", store).code == 0
    content = store.read_bytes()
    store.chmod(0o444)
    folder.chmod(0o555)
    try:
        ran = onnxbench("run", relu, *proof, *SHORT, "--json", "--store", store,
                        preexec_fn=without_override)  # fmt: skip
        assert_refused(ran, str(store))
        report = onnxbench("report", "--json", "--store", store, preexec_fn=without_override)
        assert report.code == 0
        assert len(report.records) == 1
    finally:
        folder.chmod(0o755)
    assert store.read_bytes() == content


def test_two_at_once_take_turns(relu: Path, proof: Sequence[str], place: Path) -> None:
    """The second waits, says for whom, and both are in the store; they never measure together."""
    short = ("--set", "sleep_s=0.002", "--iters", "50", "--processes", "4", "--warmup", "1")
    with ended(start("run", relu, *proof, *short, "--label", "first")) as first:
        while not (place / "lock").exists() or not (place / "lock").read_text():
            time.sleep(0.01)
            assert first.poll() is None
        with ended(start("run", relu, *proof, *short, "--label", "second")) as second:
            waited, finished = end(second), end(first)
    assert (waited.code, finished.code) == (0, 0)
    assert f"waiting: this host is measuring for process {first.pid}" in waited.err
    assert "--label first" in waited.err
    with Store.open(place / "results.db", read_only=True) as store:
        lives = {
            store.records([run.run_id])[0]["cell"]["label"]: [
                child.result.started for child in store.children(run.run_id)
            ]
            for run in store.runs()
        }
    assert {label: len(starts) for label, starts in lives.items()} == {"first": 5, "second": 5}
    assert max(lives["first"]) < min(lives["second"])


def test_the_lock_says_nothing_when_nobody_measures(relu: Path, place: Path) -> None:
    (place / "lock").write_text("left over")
    ran = measure(relu)
    assert "waiting" not in ran.err


def test_the_store_of_the_environment_and_of_the_option(
    relu: Path, proof: Sequence[str], place: Path
) -> None:
    environment = dict(os.environ)
    del environment["ONNXBENCH_STORE"]
    ran = onnxbench("run", relu, *proof, *SHORT, "--json", env=environment)
    assert ran.document["store"] == "reports/results.db"
    assert (place / "reports" / "results.db").exists()
