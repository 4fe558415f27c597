"""``calibrate`` through a real runtime, and what `analyze` and `run` make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxbench.calibration.cases import CONVS, MATMULS, WORKING_SETS
from tests.cli.command import Ran, Typed, measure, onnxbench

SMALLEST = """
from onnxbench.calibration import cases
cases.MATMULS = cases.MATMULS[:1]
cases.CONVS = cases.SAMPLED_CONVS = cases.CONVS[5:6]
cases.SAMPLED = ("256",)
cases.WORKING_SETS = cases.WORKING_SETS[:1]
cases.MEMORY_BYTES = 2 << 20
cases.CACHES = 0
import onnxbench.cli.calibrate as calibrate
from dataclasses import replace
rules = calibrate._sampling()
calibrate._sampling = lambda: replace(
    rules, iterations=3, warmup_s=0.0, warmup_runs=1, processes_min=1, processes_max=1
)
from onnxbench.cli.main import main
main()
"""
"""The command with networks that take milliseconds: what is proven here is no rate."""


def calibrate(*words: str, code: int = 0) -> Ran:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", SMALLEST, "calibrate", *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


def test_the_smallest_networks_are_among_those_that_are_measured() -> None:
    assert MATMULS[0][0] == "256"
    assert CONVS[5][:2] == (64, 56)
    assert WORKING_SETS[0] == 256 << 10


def test_from_calibration_to_bounds(place: Path, relu: Path, models: Path) -> None:
    """One calibration, for it takes seconds: what is kept, shown, and compared with."""
    (found,) = calibrate("-t", "1", "--json").document["calibrations"]
    assert (found["runtime"], found["threads"]) == ("cpu", 1)
    assert "onnxruntime" in found["build"]
    for kind in ("matmul", "conv"):
        rate = found["compute"]["float32"][kind]
        assert rate["per_second"] > 0
        store = ("--store", "home/calibration/records.db")
        record = onnxbench("show", rate["record_id"], "--json", *store).document
        assert record["cell"]["model"]["id"] == f"calibration:{rate['case']}"
    sizes = [each["working_set_bytes"] for each in found["bandwidth"]]
    assert sizes == sorted(sizes)
    assert len(sizes) == 2
    # ONNX Runtime has no bfloat16 products for processors.
    assert {each["type"] for each in found["missing"]} == {"bfloat16"}
    assert all(each["reason"] for each in found["missing"])

    assert "main memory" in onnxbench("calibrate", "--show").out
    again = onnxbench("calibrate", "--show", "--json").document
    assert again == {"calibrations": [found], "damaged": []}

    analyzed = onnxbench("analyze", models / "fixed.onnx", "--nodes", "--json").document
    (bound,) = analyzed["bounds"]
    assert (bound["runtime"], bound["bound"]) == ("cpu", "memory")
    assert bound["fused_bound_ns"] == pytest.approx(bound["unfused_bound_ns"])
    assert 0 < analyzed["nodes"][0]["bound_ns"] <= bound["unfused_bound_ns"]
    assert "fused, by memory" in " ".join(onnxbench("analyze", models / "fixed.onnx").out.split())

    (record,) = measure(relu, "-b", "4", "-t", "1", "--op-times").records
    derived = record["derived"]
    assert derived["bound"] == "memory"
    # A call of a runtime takes far longer than 128 bytes do.
    assert 0 < derived["fraction_of_roofline"] < 1
    assert derived["fraction_of_roofline"] == pytest.approx(
        derived["fused_bound_ns"] / record["latency"]["median_ns"]
    )
    (spot,) = record["hot_spots"]["rows"]
    assert (spot["nodes"], spot["bound"]) == (["relu"], "memory")
    assert record["hot_spots"]["unmatched_share"] == 0

    (other,) = measure(relu, "-b", "4", "-t", "2").records
    assert "onnxbench calibrate -r cpu -t 2" in other["derived"]["fraction_of_roofline_reason"]
    assert "hot_spots" not in other

    (place / "home" / "calibration" / "x.json").write_text("{}")
    shown = onnxbench("calibrate", "--show")
    assert "x.json" in shown.err
    assert "main memory" in shown.out


def test_nothing_is_calibrated(relu: Path) -> None:
    assert "onnxbench calibrate" in onnxbench("calibrate", "--show").out
    document = onnxbench("analyze", relu, "--json").document
    assert document["bounds"] is None
    assert "onnxbench calibrate" in document["bounds_reason"]


def test_bounds_are_of_the_pure_convention(relu: Path, place: Path) -> None:
    document = onnxbench("analyze", relu, "--convention", "fvcore", "--json").document
    assert "pure" in document["bounds_reason"]


def test_a_runtime_that_is_not_there_is_said_to_be_so(typed: Typed) -> None:
    assert typed("calibrate", "-r", "nonsense").code == 2


@pytest.mark.parametrize("words", [("--precision", "fp16"), ("-t", "0"), ("--precision", "")])
def test_what_is_mistyped_is_refused(typed: Typed, words: tuple[str, ...]) -> None:
    ran = typed("calibrate", *words)
    assert ran.code == 2
    assert "hint" in ran.err
