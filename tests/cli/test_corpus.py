"""The whole corpus in one sweep beside a good model: named states, no traceback, nothing raw."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import threading
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from onnxbench.store import Store
from onnxbench.types import JsonObject
from tests.cli.command import SHORT, Ran, argv, children_below, onnxbench, without_override
from tests.corpus import BAD_INPUTS, CASES, HOSTILE_NAMES, MARK, BadInput, Case
from tests.corpus.case import of_model, relu

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
GROWTH_BYTES = 50_000_000
SWEPT = [case for case in CASES if case.reason != "missing"]


@dataclass(frozen=True)
class Sweep:
    """What the sweep over the corpus left behind."""

    ran: Ran
    folder: Path
    peak_bytes: int
    records: dict[str, JsonObject]
    skips: dict[str, JsonObject]


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process, without its children, has had at a time so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def run_watched(words: Sequence[Any], **options: Any) -> tuple[Ran, int]:
    """Run a command; return how it ended and its own peak memory."""
    process = subprocess.Popen(
        argv(*words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=without_override,  # noqa: PLW1509 - no thread runs yet
        **options,
    )
    peaks = [0]

    def watch() -> None:
        while process.poll() is None:
            try:
                peaks.append(peak_bytes(process.pid))
            except (OSError, StopIteration):
                return
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, err = process.communicate(timeout=550)
    watcher.join()
    return Ran(process.returncode, out.decode(), err.decode()), max(peaks)


def hostile_file_name(number: int) -> str:
    """Return a hostile name that a file system takes."""
    name = HOSTILE_NAMES[number % len(HOSTILE_NAMES)].replace("/", "_").replace("\0", "_")
    return f"{number} {name}.onnx"


def build(case: Case, number: int, folder: Path) -> Path:
    """Build a case; the file of a model that is only badly named gets a bad name too."""
    folder.mkdir(parents=True)
    path = case.build(folder)
    if case.number in (17, 18) and path.is_file():
        return path.rename(path.with_name(hostile_file_name(number)))
    return path


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, relu: Path, cache: Path) -> Sweep:
    """Run every case of the corpus and one good model in one command."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "tmp").mkdir()
    environment = {
        **os.environ,
        "ONNXBENCH_STORE": str(folder / "results.db"),
        "ONNXBENCH_LOCK": str(folder / "lock"),
        "ONNXBENCH_CACHE": str(cache),
        "TMPDIR": str(folder / "tmp"),
        "COLUMNS": "80",
    }
    paths = [build(case, n, folder / "cases" / str(n)) for n, case in enumerate(SWEPT)]
    limits = ("--processes", "1", "--cell-timeout", "3s", "--max-memory", "2GB")
    words = ["run", relu, *paths, *SHORT, *limits, "--json", "-o", folder / "out.csv"]
    ran, peak = run_watched(words, env=environment, cwd=folder)
    document = ran.document
    by_path = {str(path): str(n) for n, path in enumerate(paths)} | {str(relu): "good"}
    safe = {_as_printed(path): name for path, name in by_path.items()}
    safe |= {_as_printed(Path(path).name): name for path, name in by_path.items()}
    records = {safe[r["cell"]["model"]["id"]]: r for r in document["records"]}
    skips = {safe[s["model"]]: s for s in document["skipped"]}
    return Sweep(ran, folder, peak, records, skips)


def _as_printed(text: str) -> str:
    from onnxbench.report.document import dumps

    printed: str = json.loads(dumps(text))
    return printed


def test_the_sweep_goes_on_and_says_3(sweep: Sweep) -> None:
    assert sweep.ran.code == 3, sweep.ran.err[-3000:]
    assert "Traceback" not in sweep.ran.err
    assert sweep.records["good"]["status"] == "ok"
    assert len(sweep.records) + len(sweep.skips) == len(SWEPT) + 1
    assert children_below(sweep.folder / "tmp") == []
    assert list((sweep.folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("number", range(len(SWEPT)), ids=lambda n: SWEPT[n].name)
def test_every_case_ends_as_a_named_state(sweep: Sweep, number: int) -> None:
    case = SWEPT[number]
    if str(number) in sweep.skips:
        skip = sweep.skips[str(number)]
        assert {"skipped", skip["status"]} & case.statuses, skip
        assert skip["reason"]
        assert skip["hint"]
        return
    record = sweep.records[str(number)]
    assert record["status"] in case.statuses, record["error"]
    if case.reason is not None:
        assert record["error"]["kind"] == case.reason
        assert record["error"]["phase"] == "preflight"
    if record["status"] != "ok":
        assert record["error"]["message"]
        assert record["latency"]["median_ns"] is None
        assert record["latency"]["reason"]


def test_the_parent_does_not_grow(sweep: Sweep, relu: Path) -> None:
    _, alone = run_watched(["run", relu, *SHORT, "--processes", "1", "--json"])
    assert sweep.peak_bytes - alone < GROWTH_BYTES


def assert_nothing_raw(text: str) -> None:
    found = {hex(ord(c)) for c in text if c != "\n" and unicodedata.category(c) in UNSAFE}
    assert not found


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in strings(part)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def test_no_output_is_raw(sweep: Sweep) -> None:
    """Terminal, JSON, CSV, Markdown, JSON lines, log."""
    store = sweep.folder / "results.db"
    assert_nothing_raw(sweep.ran.err)
    assert sweep.ran.out.isascii()
    assert_nothing_raw("".join(strings(sweep.ran.document)))
    table = onnxbench("report", "--store", store)
    assert_nothing_raw(table.out + table.err)
    assert max(map(len, table.out.splitlines())) <= 80
    for kind in ("md", "jsonl"):
        assert onnxbench("report", "--store", store, "-o", f"out.{kind}").code == 0
        assert_nothing_raw(Path(f"out.{kind}").read_text())
    text = (sweep.folder / "out.csv").read_text()
    assert_nothing_raw(text.replace("\r\n", "\n"))
    for row in csv.reader(io.StringIO(text)):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t"))]
    for command in (("list", "runs"), ("list", "runs", "--json")):
        assert_nothing_raw(onnxbench(*command, "--store", store).out)
    hostile = next(r for n, r in sweep.records.items() if n != "good" and "red" in str(r["cell"]))
    shown = onnxbench("show", hostile["record_id"], "--store", store)
    assert shown.code == 0
    assert_nothing_raw(shown.out)
    assert_nothing_raw(onnxbench("show", hostile["record_id"], "--store", store, "--json").out)


def test_the_store_holds_all_of_it(sweep: Sweep) -> None:
    with Store.open(sweep.folder / "results.db", read_only=True) as store:
        (run,) = store.runs()
        assert run.state == "finished"
        assert len(store.records()) == len(sweep.records)
        assert store.bad == []
    with sqlite3.connect(sweep.folder / "results.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_a_missing_file_is_a_usage_error(relu: Path, place: Path) -> None:
    ran = onnxbench("run", relu, place / "model.onnx", "--json", *SHORT)
    assert ran.code == 2
    assert ran.document["error"]["hint"]
    assert not (place / "results.db").exists()


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)
def test_bad_inputs_files(bad: BadInput, place: Path) -> None:
    """Refused with a hint, as usage error or as a skip; no code in them runs."""
    folder = place / "inputs"
    folder.mkdir()
    model = of_model(relu)(place)
    ran = onnxbench("run", model, "--inputs", bad.build(folder), "--processes", "1", *SHORT[:2],
                    "--warmup", "1", "--json")  # fmt: skip
    assert not (folder / MARK).exists()
    if bad.fits:
        assert ran.code in (0, 2, 4)
    elif ran.code == 2:
        assert ran.document["error"]["hint"]
    else:
        assert ran.code == 4
        assert ran.records == []
        assert ran.document["skipped"][0]["hint"]
