from __future__ import annotations

import csv
import io
import json
import math
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

from onnxbench.errors import StoreError, UsageError
from onnxbench.report import document, export, flat

if TYPE_CHECKING:
    from tests.report.conftest import MakeRecord


def test_csv_reads_back(make_record: MakeRecord, tmp_path: Path) -> None:
    records = [make_record("a", 20.9), make_record("b", 5.0, environment={"os": "Linux"})]
    export.write(records, tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert float(first["latency_median_ns"]) == records[0]["latency"]["median_ns"]
    assert float(first["latency_ci95_low_ns"]) == pytest.approx(20.9e6 * 0.996)
    assert int(first["peak_rss_bytes"]) == 392_000_000
    assert first["shapes"] == "data:1x3x224x224"
    assert (first["latency_p99_ns"], first["latency_p99_reason"]) == ("", "n=100 < 662")
    assert first["environment_cpu_model"] == "AMD EPYC 7B13"
    assert (first["environment_os"], second["environment_os"]) == ("Linux 6.1", "Linux")
    assert second["environment_cpu_model"] == ""


def test_every_csv_cell_is_quoted_and_numbers_stay_numbers(make_record: MakeRecord) -> None:
    text = export.to_csv([make_record(parity={"max_abs": -1.5, "passed": True}, stop="-1.5")])
    row = text.splitlines()[1]
    assert '"-1.5"' in row
    assert '"true"' in row
    assert '"\'-1.5"' in row, "a text that looks like a formula"
    assert all(cell.startswith('"') for cell in text.splitlines()[0].split(","))


def test_csv_columns_do_not_depend_on_the_records(make_record: MakeRecord) -> None:
    headers, _ = flat.rows([])
    other, _ = flat.rows([make_record(status="crashed", latency={}, memory={}, parity={})])
    assert other[: len(headers)] == headers
    assert len(set(other)) == len(other)


def test_units_stand_in_the_headers() -> None:
    units = ("_ns", "_bytes", "_per_s")
    for header, path in flat.PATHS:
        for unit in units:
            assert not path.endswith(unit) or header.endswith(unit)


def test_jsonl_is_the_record_line_by_line(make_record: MakeRecord, tmp_path: Path) -> None:
    records = [make_record("a"), make_record("b")]
    export.write(records, tmp_path / "r.jsonl")
    lines = (tmp_path / "r.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == records


def test_markdown_is_one_table_of_equal_rows(make_record: MakeRecord, tmp_path: Path) -> None:
    export.write([make_record("a_b"), make_record("c", 5.0)], tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text()
    kinds = [token.type for token in MarkdownIt("commonmark").enable("table").parse(text)]
    assert kinds.count("tr_open") == 3
    assert kinds.count("td_open") == 2 * kinds.count("th_open")
    assert "| a_b | 20.9 ms" in text
    assert "20.9 ms ± 0.4 %" in text


@pytest.mark.parametrize("name", ["r.xlsx", "r", "r.csv.gz"])
def test_an_unknown_format_is_refused_with_those_that_exist(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        export.check_writable(tmp_path / name)
    assert ".csv, .jsonl, .md" in caught.value.hint


def test_a_bad_path_is_found_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        export.check_writable(tmp_path / "missing" / "r.csv")
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("folder.csv", "pipe.csv"):
        with pytest.raises(UsageError, match="no regular file"):
            export.check_writable(tmp_path / name)
    with pytest.raises(UsageError, match="cannot write"):
        export.check_writable(Path("/proc/r.csv"))


def test_checking_leaves_nothing_behind_and_touches_nothing(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("old")
    export.check_writable(tmp_path / "r.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]
    assert (tmp_path / "r.csv").read_text() == "old"


def test_writing_replaces_the_file_that_a_link_points_to(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    (tmp_path / "real.csv").write_text("old" * 100_000)
    (tmp_path / "r.csv").symlink_to("real.csv")
    export.write([make_record()], tmp_path / "r.csv")
    assert (tmp_path / "r.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == export.to_csv([make_record()])
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "real.csv").stat().st_mode) == 0o666 & ~umask


def test_a_failing_disk_leaves_the_old_file(
    make_record: MakeRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "r.csv").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        export.write([make_record()], tmp_path / "r.csv")
    assert (tmp_path / "r.csv").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]


def test_a_full_disk_is_told(
    make_record: MakeRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(StoreError) as caught:
        export.write([make_record()], tmp_path / "r.md")
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_documents(make_record: MakeRecord) -> None:
    run = document.run_document("r1", "reports/results.db", [make_record()], [{"model": "m"}])
    assert list(run) == ["schema", "run_id", "store", "records", "skipped"]
    assert json.loads(document.dumps(run)) == run
    error = document.error_document(UsageError("bad", hint="good"))
    assert error == {"error": {"kind": "usage", "message": "bad", "hint": "good"}}


def test_json_has_no_number_that_is_none() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        document.dumps({"x": math.nan})


def test_two_hostile_names_stay_two_and_lines_stay_lines() -> None:
    read = json.loads(document.dumps({"a\x1b": 1, "a\x00": 2, "log": "one\ntwo"}))
    assert sorted(v for v in read.values() if isinstance(v, int)) == [1, 2]
    assert read["log"] == "one\ntwo"


def test_an_empty_export_is_still_a_file(tmp_path: Path) -> None:
    for suffix in export.WRITERS:
        export.write([], tmp_path / f"r{suffix}")
    header = next(csv.reader(io.StringIO((tmp_path / "r.csv").read_text())))
    assert header[0] == "schema"


@pytest.mark.parametrize("cell", [None, {"model": {"id": "vgg19"}, "runtime": "cuda", "batch": 8}])
def test_a_skip_is_a_row_without_figures(
    make_record: MakeRecord, tmp_path: Path, cell: object
) -> None:
    skip = {"model": "vgg19", "runtime": "cuda", "status": "unsupported", "reason": "why",
            "hint": "what to do", "cell": cell}  # fmt: skip
    for kind in ("csv", "jsonl", "md"):
        export.write([make_record()], tmp_path / f"r.{kind}", [skip])
    with (tmp_path / "r.csv").open(newline="") as file:
        _, row = csv.DictReader(file)
    assert (row["model_id"], row["runtime"], row["status"]) == ("vgg19", "cuda", "unsupported")
    assert (row["latency_median_ns"], row["latency_reason"]) == ("", "why")
    assert (row["error_message"], row["error_hint"]) == ("why", "what to do")
    line = json.loads((tmp_path / "r.jsonl").read_text().splitlines()[1])
    assert (line["status"], line["cell"]["runtime"]) == ("unsupported", "cuda")
    assert line["latency"]["median_ns"] is None
    assert "why" in (tmp_path / "r.md").read_text()


def test_what_proves_a_row_is_in_the_file(make_record: MakeRecord) -> None:
    record = make_record(
        fallback="2 of 122 nodes",
        effective={"runtime_version": "2026.4", "threads_told": 2, "threads_found": 1},
        parity={"reference": "onnxruntime-cpu", "cosine": 0.5, "input_sensitive": True},
        conversion={"cached": False, "duration_ns": 5, "bytes": 7},
    )
    header, (row,) = flat.rows([record])
    found = dict(zip(header, row, strict=True))
    for name, value in {
        "runtime_version": "2026.4",
        "fallback": "2 of 122 nodes",
        "threads_told": 2,
        "threads_found": 1,
        "parity_cosine": 0.5,
        "parity_input_sensitive": True,
        "conversion_cached": False,
        "conversion_duration_ns": 5,
        "conversion_bytes": 7,
        "precision_effective": "float32",
    }.items():
        assert found[name] == value
