"""From records to ceilings, to a file, and back to the bounds of other records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onnxbench.calibration.bounds import compare, predictions
from onnxbench.calibration.cases import Case
from onnxbench.calibration.files import Kept, ceilings, keep, kept
from onnxbench.calibration.results import calibration_document
from onnxbench.measure.static import derived_figures, static_figures
from onnxbench.types import JsonObject

HOST, BUILD = "0123456789abcdef", "onnxruntime 1.31.1"

CASES = {
    "small": Case("matmul-small", "matmul", "float32", 1_000_000, ()),
    "large": Case("matmul-large", "matmul", "float32", 8_000_000, ()),
    "conv": Case("conv", "conv", "float32", 2_000_000, ()),
    "half": Case("conv-half", "conv", "float16", 1_000_000, ()),
    "near": Case("near", "weights", "float32", 1_000, (), 1_000),
    "copy": Case("copy", "activations", "float32", 3_000, (), 1_000),
    "far": Case("far", "weights", "float32", 1_000_000, (), 1_000_000),
}

STATIC: JsonObject = {
    "macs": 600_000, "flops": 1_300_000, "exact": True, "macs_by_precision": {"fp32": 600_000},
    "compulsory_bytes": 500_000, "work": [["conv", 500_000, 1_000, 1], ["matmul", 100_000, 10, 1],
    ["matmul", 0, 1_000_000, 2]],
}  # fmt: skip


def record(model: str, medians_ns: list[float], **changes: Any) -> Any:
    median = sum(medians_ns) / len(medians_ns) if medians_ns else None
    return {
        "record_id": f"id-{model}",
        "status": "ok",
        "error": None,
        "cell": {"model": {"id": model}, "runtime": "cpu", "threads": 1, "precision": "model"},
        "precision_effective": "float32",
        "latency": {"median_ns": median, "process_medians_ns": medians_ns, "ci95_ns": None},
        "load": [{"foreign_cores": 0.25}, {"foreign_cores": None}],
        "op_times": [],
        **changes,
    }


MEASURED = [
    record("small", [1_000.0, 2_000.0]),
    record("large", [10_000.0]),
    record("conv", [1_000.0]),
    record("near", [100.0]),
    record("copy", [200.0]),
    record("far", [1_000_000.0]),
]


def document(*records: Any, threads: int = 1) -> JsonObject:
    return calibration_document(
        CASES, records or MEASURED, host=HOST, runtime="cpu", build=BUILD, threads=threads,
        cache_bytes=100_000,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONNXBENCH_HOME", str(tmp_path))
    return tmp_path / "calibration"


def test_a_ceiling_is_the_best_rate_over_sizes_of_the_best_process() -> None:
    found = document()
    matmul = found["compute"]["float32"]["matmul"]
    assert matmul["per_second"] == pytest.approx(1_000_000 / 1e-6)
    assert (matmul["case"], matmul["record_id"]) == ("matmul-small", "id-small")
    assert matmul["foreign_cores"] == 0.25
    near, far = found["bandwidth"]
    assert (near["working_set_bytes"], near["case"]) == (1_000, "copy")
    assert near["per_second"] == pytest.approx(3_000 / 200e-9)
    assert far["per_second"] == pytest.approx(1e9)


def test_what_is_refused_is_missing_with_its_reason_and_what_is_of_others_is_left_out() -> None:
    refused = record("half", [], status="unsupported", error={"message": "no fp16 here"})
    silent = record("conv", [1.0], precision_effective=None)
    other = record("small", [1.0])
    other["cell"]["threads"] = 2
    found = document(refused, silent, other)
    assert found["compute"] == {}
    assert [(each["case"], each["reason"]) for each in found["missing"]] == [
        ("conv-half", "unsupported: no fp16 here"),
        ("conv", "the runtime does not tell in which precision it computed"),
    ]


def test_a_rate_is_of_the_precision_that_was_found_not_of_the_one_that_was_asked_for() -> None:
    found = document(record("half", [1_000.0], precision_effective="float32"))
    assert list(found["compute"]) == ["float32"]


def test_what_is_kept_comes_back_the_newest_first(home: Path) -> None:
    old = {**document(), "created": "2026-01-01T00:00:00+00:00"}
    for each in (document(), old):
        keep(each)
    found = kept(HOST)
    assert found.documents[1] == old
    assert found.damaged == ()
    assert kept("another host").documents == ()
    assert [path.suffix for path in home.iterdir()] == [".json", ".json"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"schema": 99}', '{"schema": 1}'],
)
def test_a_damaged_file_is_named_and_the_others_count(home: Path, text: str) -> None:
    keep(document())
    (home / "damaged.json").write_text(text)
    found = kept(HOST)
    assert len(found.documents) == 1
    ((path, reason),) = found.damaged
    assert (Path(path).name, bool(reason)) == ("damaged.json", True)


@pytest.mark.parametrize("rate", ["NaN", "Infinity", "-1", "0", '"fast"', "null"])
def test_a_rate_that_is_none_is_damage(home: Path, rate: str) -> None:
    path = keep(document())
    told = json.loads(path.read_text())
    told["bandwidth"][0]["per_second"] = "RATE"
    path.write_text(json.dumps(told).replace('"RATE"', rate))
    found = kept(HOST)
    assert (found.documents, len(found.damaged)) == ((), 1)


def test_each_ceiling_is_of_the_newest_calibration_that_has_it() -> None:
    newer = document(record("small", [2_000.0]))
    found = ceilings([newer, document()], "float32")
    assert found.flops_per_s["matmul"] == pytest.approx(0.5e12)
    assert found.flops_per_s["conv"] == pytest.approx(2e12)
    assert len(found.bandwidth) == 2


def compared(median_ns: float | None, static: JsonObject | None = None, **changes: Any) -> Any:
    static = static or STATIC
    found = record("net", [median_ns] if median_ns else [], **changes)
    found["derived"] = derived_figures(static_figures(static), median_ns)
    compare(found, static, BUILD, Kept((document(),), ()))
    return found


def test_a_record_is_told_how_far_it_is_from_its_bounds() -> None:
    derived = compared(1_000_000)["derived"]
    # 1e6 FLOPs at 2 TFLOP/s and 2e5 at 1 TFLOP/s; 400,000 B beyond the cache at 1 GB/s.
    assert derived["bound"] == "memory"
    assert derived["fused_bound_ns"] == pytest.approx(400_000)
    assert derived["fraction_of_roofline"] == pytest.approx(0.4)
    # Two nodes that may work in place: 1e6 B each, twice the cache of which stays there.
    assert derived["unfused_bound_ns"] == pytest.approx(500 + 200 + 2 * 800_000 / 1.5)
    assert derived["fraction_of_unfused"] == pytest.approx(derived["unfused_bound_ns"] / 1e6)
    assert "fraction_of_roofline_reason" not in derived
    assert "roofline_note" not in derived


def test_a_bound_that_is_beaten_is_named_as_such() -> None:
    assert "onnxbench calibrate -r cpu -t 1" in compared(300_000)["derived"]["roofline_note"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"precision_effective": None}, "precision"),
        ({"precision_effective": "bfloat16"}, "onnxbench calibrate -r cpu -t 1 --precision"),
        ({"cell": {"runtime": "cpu", "threads": 2}}, "onnxbench calibrate -r cpu -t 2"),
        ({"cell": {"runtime": "other", "threads": 1}}, "onnxbench calibrate -r other"),
    ],
)
def test_without_its_calibration_a_record_says_what_to_type(
    changes: JsonObject, reason: str
) -> None:
    derived = compared(1_000_000, **changes)["derived"]
    assert derived["fraction_of_roofline"] is None
    assert reason in derived["fraction_of_roofline_reason"]


def test_another_build_is_another_runtime() -> None:
    found = record("net", [1e6])
    found["derived"] = derived_figures(static_figures(STATIC), 1e6)
    compare(found, STATIC, "onnxruntime 2.0", Kept((document(),), ()))
    assert BUILD in found["derived"]["fraction_of_roofline_reason"]


def test_a_record_without_a_latency_or_an_analysis_says_so() -> None:
    assert compared(None)["derived"]["fraction_of_roofline_reason"] == "not timed"
    open_ = {**STATIC, "work": None, "work_reason": "depends on N"}
    assert compared(1.0, open_)["derived"]["fraction_of_roofline_reason"] == "depends on N"


def test_hot_spots_are_told_where_operators_were_timed() -> None:
    nodes = [{"name": "a", "op": "Conv", "kind": "contraction", "family": "conv", "macs": 500_000,
              "flops": 1_000_000, "bytes_read": 10, "bytes_written": 10, "inputs": ["x"],
              "outputs": ["y"]}]  # fmt: skip
    timed = [
        {"name": "a", "op": "Conv", "provider": "CPU", "ns": 10_000, "share": 1.0, "calls": 10}
    ]
    found = compared(1_000_000, {**STATIC, "nodes": nodes}, op_times=timed)
    (row,) = found["hot_spots"]["rows"]
    assert row["bound_ns"] == pytest.approx(500)
    assert row["fraction"] == pytest.approx(0.5)
    assert "hot_spots" not in compared(1_000_000, op_times=timed)


def test_a_network_that_never_ran_has_the_same_bounds() -> None:
    ((entry, found),) = predictions(STATIC, Kept((document(),), ()))
    assert found is not None
    assert (entry["runtime"], entry["threads"], entry["precision"]) == ("cpu", 1, "float32")
    assert entry["fused_bound_ns"] == pytest.approx(400_000)
    ((entry, found),) = predictions(
        {**STATIC, "macs_by_precision": {"fp16": 1}}, Kept((document(),), ())
    )
    assert found is None
    assert "float16" in entry["reason"]
