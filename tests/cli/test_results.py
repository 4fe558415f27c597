"""``report``, ``show``, ``list`` and ``merge`` on stored runs."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from tests.cli.command import Ran, Typed, measure, onnxbench


def test_report_shows_the_latest_run(relu: Path, run_once: Ran) -> None:
    later = measure(relu, "--label", "later")
    text = onnxbench("report")
    assert text.code == 0
    assert "later" in text.out
    latest = onnxbench("report", "--json")
    assert latest.document["run_id"] == later.document["run_id"]
    assert [r["record_id"] for r in latest.records] == [r["record_id"] for r in later.records]
    first = onnxbench("report", run_once.document["run_id"], "--json")
    assert [r["cell"]["batch"] for r in first.records] == [1, 2]
    assert first.records == run_once.records
    every = onnxbench("report", "all", "--json")
    assert len(every.records) == 3
    assert onnxbench("report", "all").code == 0


@pytest.mark.parametrize("kind", ["csv", "jsonl", "md"])
def test_report_writes_files(run_once: Ran, kind: str) -> None:
    ran = onnxbench("report", "-o", f"out.{kind}")
    assert ran.code == 0
    assert ran.out == ""
    assert "2 records written" in ran.err
    text = Path(f"out.{kind}").read_text()
    if kind == "csv":
        assert len(list(csv.DictReader(io.StringIO(text)))) == 2
    elif kind == "jsonl":
        assert [json.loads(line) for line in text.splitlines()] == run_once.records


@pytest.mark.parametrize(
    "bad",
    [
        ["report", "no-such-run"],
        ["report", "-o", "out.pdf"],
        ["show", "zzz"],
        ["show", ""],
        ["merge", "nowhere.db"],
        ["list", "models", "--suite", "no-such-suite"],
        ["list", "models", "--models", "nowhere.yaml"],
        ["list", "nonsense"],
    ],
    ids=" ".join,
)
def test_errors_are_said_and_are_documents(run_once: Ran, typed: Typed, bad: list[str]) -> None:
    text = typed(*bad)
    assert text.code == 2
    assert text.out == ""
    assert text.err.startswith("error: ")
    document = typed(*bad, "--json")
    assert document.code == 2
    assert set(document.document) == {"error"}
    assert set(document.document["error"]) == {"kind", "message", "hint"}
    assert document.document["error"]["hint"]


@pytest.mark.parametrize(
    "command",
    [["report"], ["show", "a"], ["list", "runs"], ["report", "all", "--json"]],
    ids=" ".join,
)
def test_without_a_store_they_say_how_to_get_one(place: Path, command: list[str]) -> None:
    ran = onnxbench(*command)
    assert ran.code == 2
    assert "onnxbench run" in ran.err
    assert not (place / "results.db").exists(), "reading makes no file"


def test_show_tells_everything(run_once: Ran) -> None:
    record = run_once.records[0]
    text = onnxbench("show", record["record_id"][:8])
    assert text.code == 0
    for word in ("relu.onnx", record["record_id"], record["cell"]["model"]["sha256"][:8]):
        assert word in text.out
    assert onnxbench("show", record["record_id"], "--json").document == record
    assert max(map(len, text.out.splitlines())) <= 80


def test_lists(run_once: Ran) -> None:
    documents = {
        noun: onnxbench("list", noun, "--json").document[noun]
        for noun in ("models", "runtimes", "devices", "runs")
    }
    assert "squeezenet-light" in {model["id"] for model in documents["models"]}
    (cpu,) = (runtime for runtime in documents["runtimes"] if runtime["name"] == "cpu")
    assert cpu["usable"] is True
    assert cpu["version"]
    (device,) = documents["devices"]
    assert device["threads"] >= 1
    (run,) = documents["runs"]
    assert run["run"] == run_once.document["run_id"]
    assert (run["state"], run["cells"], run["processes"]) == ("finished", 2, 6)
    for noun, rows in documents.items():
        text = onnxbench("list", noun, env={**os.environ, "COLUMNS": "160"})
        assert text.code == 0
        first = next(iter(rows[0].values()))
        assert str(first) in text.out
    few = onnxbench("list", "models", "--suite", "classics", "--json").document["models"]
    assert 0 < len(few) <= len(documents["models"])


def test_merge_takes_over_and_only_reads(relu: Path, run_once: Ran, place: Path) -> None:
    other = place / "other.db"
    measure(relu, "--label", "elsewhere", "--store", other)
    before = other.read_bytes()
    first = onnxbench("merge", other, "--json").document["merged"]
    assert (first["runs"], first["records"], first["children"]) == (1, 1, 2)
    second = onnxbench("merge", other, "--json").document["merged"]
    assert (second["runs"], second["records"], second["children"]) == (0, 0, 0)
    assert second["already_there"] > 0
    assert other.read_bytes() == before
    assert len(onnxbench("report", "all", "--json").records) == 3
    assert "1 runs" not in onnxbench("merge", other).out


def test_version_and_help() -> None:
    ran = onnxbench("--version")
    assert ran.code == 0
    assert ran.out.startswith("onnxbench ")
    assert "cpu: onnxruntime" in ran.out
    for command in (["--help"], ["run", "-h"], ["list", "--help"], ["doctor", "--help"]):
        shown = onnxbench(*command)
        assert shown.code == 0
        assert "Usage" in shown.out
        assert max(map(len, shown.out.splitlines())) <= 80
