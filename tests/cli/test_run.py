"""``onnxbench run`` on small models: what it measures, prints, writes and returns."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import SHORT, argv, measure, onnxbench
from tests.corpus import CASES

if TYPE_CHECKING:
    from collections.abc import Sequence


def case(name: str, folder: Path) -> Path:
    """Build the model of a case of the corpus."""
    folder.mkdir()
    (found,) = (case for case in CASES if case.name == name)
    return found.build(folder)


def test_a_model_file_becomes_a_row(relu: Path) -> None:
    ran = onnxbench("run", relu, *SHORT)
    assert ran.code == 0, ran.err
    assert "relu.onnx" in ran.out
    assert "x:1x4" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "\x1b" not in ran.out + ran.err
    assert f"run {relu}" in ran.out.replace("\\\n", "").replace("  ", "")
    assert "2 processes to run" in ran.err
    assert "lived" in ran.err


def test_json_is_one_document(relu: Path, place: Path) -> None:
    ran = measure(relu, "-q", "--processes", "2")
    assert set(ran.document) == {"schema", "run_id", "store", "records", "skipped"}
    assert ran.document["store"] == str(place / "results.db")
    assert ran.err == ""
    (record,) = ran.records
    assert record["status"] == "ok"
    assert record["run_id"] == ran.document["run_id"]
    assert record["latency"]["samples_per_process"] == [5, 5]
    assert record["latency"]["p99_ns"] is None
    assert record["latency"]["p99_reason"]
    assert record["throughput_per_s"] == pytest.approx(1e9 / record["latency"]["median_ns"])
    assert [row["provider"] for row in record["placement"]] == ["CPUExecutionProvider"]
    assert record["parity"]["passed"] is True


def test_a_sweep_measures_every_combination(relu: Path) -> None:
    ran = measure(relu, "-b", "1-4*4", "-t", "1,2", "--boundary", "host,device")
    cells = [record["cell"] for record in ran.records]
    found = {(c["batch"], c["threads"], c["boundary"]) for c in cells}
    assert len(cells) == len(found) == 8
    assert {c["shapes"]["x"][0] for c in cells} == {1, 4}
    assert all(record["status"] == "ok" for record in ran.records)


def test_options_reach_the_runtime_and_tell_cells_apart(relu: Path) -> None:
    plain = measure(relu).records[0]
    told = measure(relu, "--set", "graph_optimization_level=disable").records[0]
    assert told["status"] == "ok", told["error"]
    assert told["cell"]["options"] == {"graph_optimization_level": "disable"}
    assert told["cell_id"] != plain["cell_id"]
    ran = measure(relu, "--set", "no_such_option=1", code=4)
    assert ran.records[0]["status"] in ("unsupported", "error")
    assert "no_such_option" in ran.records[0]["error"]["message"]


def test_a_sweep_of_options_shapes_and_precisions(relu: Path) -> None:
    ran = measure(relu, "--set", "graph_optimization_level=disable,all", "-t", "1,2", "--shape",
                  "x:1x4,2-4*2x4", "--precision", "model,native")  # fmt: skip
    cells = [record["cell"] for record in ran.records]
    found = {
        (
            c["shapes"]["x"][0],
            c["threads"],
            c["precision"],
            c["options"]["graph_optimization_level"],
        )
        for c in cells
    }
    assert len(cells) == len(found) == 3 * 2 * 2 * 2
    assert {record["status"] for record in ran.records} == {"ok"}
    assert {record["effective"]["threads_told"] for record in ran.records} == {1, 2}
    assert len({record["reproduce"] for record in ran.records}) == len(cells)


def test_a_sweep_of_dims_and_an_option_of_one_runtime(relu: Path) -> None:
    ran = measure(relu, "--dim", "N=1-4*2", "--set", "cpu.graph_optimization_level=basic")
    assert [record["cell"]["shapes"]["x"] for record in ran.records] == [[1, 4], [2, 4], [4, 4]]
    assert {record["cell"]["options"]["graph_optimization_level"] for record in ran.records} == {
        "basic"
    }
    again = onnxbench(*shlex.split(ran.records[1]["reproduce"])[1:], "--dry-run", "--json")
    assert again.document["plan"]["cells"] == [ran.records[1]["cell"]]


def test_an_allowed_fallback_is_reproduced(relu: Path) -> None:
    (record,) = measure(relu, "--allow-fallback").records
    assert record["status"] == "ok"
    assert "fallback" not in record, "every node was where it was asked for"
    assert "--allow-fallback" in record["reproduce"]


def test_operators_are_timed_in_a_process_of_their_own(models: Path) -> None:
    ran = measure(models / "linear.onnx", "--op-times")
    rows = ran.records[0]["op_times"]
    assert rows
    assert sum(row["share"] for row in rows) == pytest.approx(1, abs=0.01)
    assert ran.records[0]["latency"]["processes"] == 1
    table = onnxbench("run", models / "linear.onnx", "--op-times", *SHORT)
    assert rows[0]["op"] in table.out


def test_records_are_written_to_a_file(relu: Path, place: Path) -> None:
    ran = measure(relu, "--label", "a,b", "-o", place / "out.csv")
    for kind in ("jsonl", "md"):
        assert onnxbench("report", "-o", place / f"out.{kind}").code == 0
    rows = list(csv.DictReader(io.StringIO((place / "out.csv").read_text(), newline="")))
    assert len(rows) == len(ran.records) == 2
    lines = (place / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["ok", "ok"]
    assert (place / "out.md").read_text().count("relu.onnx") >= 1


@pytest.mark.parametrize("bad", ["out.xlsx", "nowhere/out.csv"])
def test_a_bad_output_file_is_told_before_anything_runs(relu: Path, place: Path, bad: str) -> None:
    ran = onnxbench("run", relu, "-o", bad, "--json", *SHORT)
    assert ran.code == 2
    assert set(ran.document["error"]) == {"kind", "message", "hint"}
    assert not (place / "results.db").exists()


def test_dry_run_measures_nothing(relu: Path, place: Path) -> None:
    text = onnxbench("run", relu, "-b", "1,2", "--dry-run")
    document = onnxbench("run", relu, "-b", "1,2", "--dry-run", "--json").document
    assert text.code == 0
    assert "relu.onnx" in text.out
    assert [cell["batch"] for cell in document["plan"]["cells"]] == [1, 2]
    assert document["plan"]["estimate_s"] > 0
    assert not (place / "results.db").exists()


def test_what_cannot_be_made_is_skipped_with_a_reason(models: Path) -> None:
    ran = measure(models / "fixed.onnx", "-b", "1,8")
    assert [record["cell"]["batch"] for record in ran.records] == [1]
    (skip,) = ran.document["skipped"]
    assert skip["status"] == "unsupported"
    assert "8" in skip["reason"]
    assert skip["hint"]
    nothing = measure(models / "fixed.onnx", "-b", "8", code=4)
    assert nothing.records == []
    assert onnxbench("run", models / "fixed.onnx", "-b", "8", "--dry-run").code == 4


def test_what_is_skipped_is_a_row_in_the_table_and_in_files(models: Path, place: Path) -> None:
    ran = onnxbench("run", models / "fixed.onnx", "-b", "1,8", "-o", place / "out.csv", *SHORT)
    assert ran.code == 0, ran.err
    (row,) = (line for line in ran.out.splitlines() if "unsupported" in line)
    assert row.split() == ["fixed.onnx", "8", *row.split()[2:-2], "unsupported", "[1]"]
    assert set(row.split()[2:-2]) == {"-"}
    assert "[1]" in ran.out
    assert "the batch is fixed at 1" in ran.out
    measured, skipped = csv.DictReader(io.StringIO((place / "out.csv").read_text(), newline=""))
    assert (measured["status"], skipped["status"]) == ("ok", "unsupported")
    assert (skipped["batch"], skipped["latency_median_ns"]) == ("8", "")
    assert "fixed at 1" in skipped["error_message"]
    other = measure(models / "fixed.onnx", "-b", "1")
    assert other.records
    matrix = onnxbench("report", "all")
    (cell,) = (line for line in matrix.out.splitlines() if line.startswith("fixed.onnx  8"))
    assert cell.split() == ["fixed.onnx", "8", "-", "[1]"]
    assert "unsupported: the batch is fixed at 1" in matrix.out


def test_failures_and_successes_give_3(relu: Path, place: Path) -> None:
    """The rest of a sweep is measured; the table names the state and the reason."""
    text = place / "text.onnx"
    text.write_text("I am no model\n" * 10)
    crash = case("integer division by a result", place / "crash")
    ran = measure(text, relu, crash, code=3)
    states = {record["cell"]["model"]["id"]: record["status"] for record in ran.records}
    assert states["text.onnx"] == "refused-input"
    assert states["relu.onnx"] == "ok"
    assert states["model.onnx"] in ("crashed", "error")
    assert all(record["error"]["message"] for record in ran.records if record["status"] != "ok")
    table = onnxbench("report")
    assert "refused-input" in table.out
    only = measure(text, code=4)
    assert only.records[0]["error"]["kind"] == "text"


def test_a_timeout_ends_an_endless_model(relu: Path, place: Path) -> None:
    endless = case("endless Loop", place / "endless")
    ran = measure(relu, endless, "--timeout", "3s", code=124)
    states = {record["cell"]["model"]["id"]: record for record in ran.records}
    assert states["model.onnx"]["status"] == "interrupted", "its limit was not reached"
    assert states["model.onnx"]["stop"] == "timeout"
    (run,) = onnxbench("list", "runs", "--json").document["runs"]
    assert run["state"] == "interrupted"
    # A cell that reached its own limit is told so.
    hung = measure(endless, "--cell-timeout", "1s", code=4)
    assert hung.records[0]["status"] in ("timeout-soft", "timeout-hard")


def test_a_spent_budget_is_no_failure(relu: Path, proof: Sequence[str]) -> None:
    ran = onnxbench("run", relu, *proof, "--set", "sleep_s=0.001", "--iters", "5", "--processes",
                    "500", "--warmup", "1", "--budget", "3s", "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "budget" in ran.err
    (record,) = ran.records
    assert record["status"] == "ok"
    assert record["stop"] == "budget"
    assert 0 < record["latency"]["processes"] < 500
    (run,) = onnxbench("list", "runs", "--json").document["runs"]
    assert run["state"] == "finished"


def test_the_reproduce_line_reproduces(relu: Path, place: Path) -> None:
    ran = measure(relu, "-b", "3", "-t", "1", "--boundary", "device", "--seed", "7", "--label",
                  "it's", "--set", "graph_optimization_level=basic")  # fmt: skip
    (record,) = ran.records
    words = shlex.split(record["reproduce"])
    assert words[:2] == ["onnxbench", "run"]
    again = onnxbench(*words[1:], "--json")
    assert again.code == 0, again.err
    (other,) = again.records
    assert other["cell_id"] == record["cell_id"]
    assert other["cell"] == record["cell"]
    assert other["sampling"] == record["sampling"]
    assert other["reproduce"] == record["reproduce"]
    assert other["run_id"] != record["run_id"], "a finished plan is measured anew"


def test_quick_and_target_width_bound_the_run(relu: Path, proof: Sequence[str]) -> None:
    quick = onnxbench("run", relu, *proof, "--quick", "--set", "sleep_s=0.001", "--warmup", "1",
                      "--iters", "2", "--json")  # fmt: skip
    assert quick.records[0]["latency"]["processes"] == 5
    wide = onnxbench("run", relu, *proof, "--set", "sleep_s=0.001", "--iters", "20", "--warmup",
                     "1", "--max-noise", "90%", "--json")  # fmt: skip
    assert wide.records[0]["stop"] == "interval narrow"


def test_a_runtime_that_is_not_here_is_skipped_or_unknown(relu: Path) -> None:
    unknown = onnxbench("run", relu, "-r", "cpux", "--json")
    assert unknown.code == 2
    assert "cpu" in unknown.document["error"]["hint"]


def test_quiet_says_nothing_on_stderr(relu: Path) -> None:
    ran = onnxbench("run", relu, "--quiet", *SHORT)
    assert ran.err == ""
    assert ran.out


def test_color_only_where_it_is_wanted(relu: Path, run_once: object) -> None:
    import os

    forced = {**os.environ, "FORCE_COLOR": "1"}
    assert "\x1b[" in onnxbench("report", env=forced).out
    assert "\x1b[3" not in onnxbench("report", env={**forced, "NO_COLOR": "1"}).out
    for width in ("80", "100", "160"):
        out = onnxbench("report", env={**os.environ, "COLUMNS": width}).out
        assert max(map(len, out.splitlines())) <= int(width)


def test_a_closed_or_full_stdout_is_no_traceback(relu: Path, run_once: object) -> None:
    import subprocess

    shell = f"{shlex.join(argv('report', 'all', '--json'))} | head -c 1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert done.stdout == "{"
    assert done.stderr == ""
    for words in (["report"], ["report", "--json"], ["run", relu, *SHORT, "-q"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                argv(*words), stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert done.returncode == 2
        assert "No space left" in done.stderr
        assert "Traceback" not in done.stderr


def test_two_files_of_one_name_keep_their_folders(relu: Path, place: Path) -> None:
    folders = [place / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        (folder / "m.onnx").write_bytes(relu.read_bytes())
    ran = measure(*(folder / "m.onnx" for folder in folders))
    ids = [record["cell"]["model"]["id"] for record in ran.records]
    assert ids == [str(folder / "m.onnx") for folder in folders]
    twice = onnxbench("run", relu, relu, "--json")
    assert twice.code == 2
    assert "twice" in twice.document["error"]["message"]
