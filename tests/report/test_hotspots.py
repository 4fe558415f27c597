"""Hot spots and calibrations as people read them."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from onnxbench.report.calibration import calibrations
from onnxbench.report.hotspots import TOP, hot_spots_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from onnxbench.types import JsonObject


def row(name: str, **changes: Any) -> JsonObject:
    return {
        "name": name, "op": "Conv", "provider": "CPU", "ns": 2e6, "share": 0.2, "nodes": [name],
        "flops": 1, "flops_per_s": 5e10, "bound_ns": 1e6, "bound": "compute", "fraction": 0.5,
        "gap_ns": 1e6, **changes,
    }  # fmt: skip


def unmatched(name: str) -> JsonObject:
    nothing = dict.fromkeys(("flops", "flops_per_s", "bound_ns", "bound", "fraction", "gap_ns"))
    return row(name, nodes=[], reason="no node has its name", **nothing)


def shown(what: RenderableType, width: int = 140) -> str:
    out = StringIO()
    Console(file=out, width=width, force_terminal=False).print(what)
    return out.getvalue()


def test_a_kernel_stands_beside_its_bound_and_its_nodes() -> None:
    found = {"rows": [row("conv1", nodes=["conv1", "relu1"])], "unmatched_share": 0.0}
    text = shown(hot_spots_table(found, width=140))
    for part in ("conv1 relu1", "2.00 ms", "20 %", "50.0 GFLOP/s", "1.00 ms", "compute", "50 %"):
        assert part in text


def test_what_is_not_shown_is_told_by_its_time() -> None:
    found = {
        "rows": [*(row(f"k{i}", share=0.02) for i in range(TOP + 5)), unmatched("Reorder\x1b[31m")],
        "unmatched_share": 0.1,
    }
    text = shown(hot_spots_table(found, width=140))
    assert "5 kernels more: 10 %" in text
    assert "10 % of the time in 1 kernel of no known node: Reorder" in text
    assert "\x1b" not in text


def test_without_bounds_it_says_why() -> None:
    rows = [row("k", gap_ns=None, reason="nothing is calibrated")]
    assert "nothing is calibrated" in shown(hot_spots_table({"rows": rows}, width=80))
    empty = {"rows": [], "reason": "no operator was timed"}
    assert "no operator was timed" in shown(hot_spots_table(empty, width=80))


@pytest.mark.parametrize("width", [30, 80, 160])
def test_no_line_is_too_long(width: int) -> None:
    found = {"rows": [row("k" * 100), unmatched("u" * 100)], "unmatched_share": 0.2}
    lines = shown(hot_spots_table(found, width=width), 400).splitlines()
    assert max(map(len, lines)) <= width


def test_a_calibration_tells_rates_gaps_and_disturbances() -> None:
    rate = {
        "per_second": 1.12e11, "ci95_per_second": [1.0e11, 1.2e11], "case": "matmul-512",
        "record_id": "abc", "foreign_cores": 0.5,
    }  # fmt: skip
    document = {
        "runtime": "cpu", "build": "onnxruntime 1.31.1", "threads": 2,
        "created": "2026-11-22T18:00:00+00:00",
        "compute": {"float32": {"matmul": rate, "conv": {**rate, "ci95_per_second": None}}},
        "bandwidth": [{**rate, "working_set_bytes": size} for size in (1 << 20, 1 << 28)],
        "missing": [{"case": "conv-int8", "reason": "unsupported"},
                    {"case": "matmul-int8", "reason": "unsupported"}],
    }  # fmt: skip
    text = shown(calibrations([document, document], width=140), 140)
    for part in ("cpu", "onnxruntime 1.31.1", "2 threads", "matrix products in float32",
                 "112 GFLOP/s", "100 GFLOP/s to 120 GFLOP/s", "main memory (256 MiB)", "112 GB/s",
                 "working set of 1.00 MiB", "conv-int8, matmul-int8: unsupported",
                 "0.50 cores busy"):  # fmt: skip
        assert text.count(part) >= 2, part
