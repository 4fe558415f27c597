from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from rich.console import RenderableType

from onnxbench.report import terminal
from onnxbench.report.detail import record_detail
from onnxbench.report.op_times import op_times_table
from onnxbench.types import OpTime

if TYPE_CHECKING:
    from tests.report.conftest import MakeRecord


def render(renderable: RenderableType, width: int = 80) -> str:
    stream = io.StringIO()
    terminal.console(stream, width=width).print(renderable)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def operators(n: int) -> list[OpTime]:
    return [
        {"name": f"Conv_{i}", "op": "Conv", "provider": "CPUExecutionProvider",
         "ns": 1000 * (n - i), "share": 1 / n, "calls": 10}
        for i in range(n)
    ]  # fmt: skip


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_page_has_every_section_and_fits(make_record: MakeRecord, width: int) -> None:
    text = render(record_detail(make_record(op_times=operators(30)), width=width), width)
    assert max(map(cell_len, text.splitlines())) <= width
    for section in ("latency", "phases", "memory", "placement", "outputs", "verdict",
                    "environment", "notes", "hot operators", "reproduce:"):  # fmt: skip
        assert section in text.splitlines()
    assert "20.9 ms ± 0.4 % (95 % interval 20.8 ms to 21.0 ms)" in text
    assert "data:1x3x224x224" in text


def test_every_null_stands_beside_its_reason(make_record: MakeRecord) -> None:
    text = render(record_detail(make_record(), width=80))
    assert "p99" in text
    assert "- (n=100 < 662)" in text
    assert "- (the device is the CPU)" in text


def test_a_failure_says_where_and_what_to_do(make_record: MakeRecord) -> None:
    record = make_record(
        status="crashed",
        error={"kind": "SIGSEGV", "message": "it died", "hint": "look", "phase": "load"},
        latency={"reason": "no sample was taken"},
    )
    text = render(record_detail(record, width=80))
    assert "alexnet on cpu: crashed" in text
    assert "SIGSEGV: it died (in load) → look" in text
    assert "- (no sample was taken)" in text
    assert "\nverdict\n" not in text


def test_a_bare_record_is_shown_too() -> None:
    assert "unnamed" in render(record_detail({"status": "error"}, width=80))


def test_the_hottest_twenty_operators_and_what_is_left() -> None:
    text = render(op_times_table(list(reversed(operators(30))), width=80))
    rows = [line for line in text.splitlines() if line.startswith("Conv_")]
    assert [row.split()[0] for row in rows] == [f"Conv_{i}" for i in range(20)]
    assert "10 more: 33 %" in text
    assert rows[-1].endswith("67 %")


def test_no_operator_at_all() -> None:
    assert render(op_times_table([], width=80)) == "no operator was timed"


def test_the_page_shows_what_proves_the_number(make_record: MakeRecord) -> None:
    record = make_record(
        artifact={"inputs": [{"name": "data", "dtype": "float", "shape": [1]}]},
        precision_effective="bfloat16",
        fallback="2 of 122 nodes ran on CPU",
        placement=[
            {"provider": "CUDAExecutionProvider", "nodes": 120, "node_share": 0.98,
             "time_share": 0.97, "operators": {"Conv": 53, "Add": 16}},
            {"provider": "CPUExecutionProvider", "nodes": 2, "node_share": 0.02,
             "time_share": None, "time_reason": "not timed",
             "operators": {"ai.onnx.ml::Binarizer": 2}},
        ],
        parity={"reference": "onnxruntime-cpu", "max_abs": 0.0035, "max_rel": 0.5, "scale": 1.08,
                "tolerance": 0.01, "cosine": 0.99999, "passed": True, "input_sensitive": True},
        effective={"threads_told": 2, "threads_found": 1, "threads_busy": 1,
                   "threads_control": "exact", "spinning": False},
        memory={"weights_bytes": 100 << 20, "working_set_bytes": 7 << 20, "phases": {
            "first_run": {"rss_bytes": 300 << 20, "uss_bytes": 200 << 20, "pss_bytes": None}}},
        conversion={"cached": True, "duration_ns": 2_800_000_000, "bytes": 50 << 20,
                    "facts": {"converter": "pnnx 1"}},
    )  # fmt: skip
    text = render(record_detail(record, width=200), 200)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for line in (
        "CUDA 120 nodes (98 %) · 97 % of the time · Conv 53, Add 16",
        "CPU 2 nodes (2.0 %) · time - (not timed) · ai.onnx.ml::Binarizer 2",
        "fallback 2 of 122 nodes ran on CPU",
        "precision bfloat16 · not the type that the model declares",
        "threads told 2 · found 1 · busy 1",
        "control exact",
        "spinning no",
        "cosine 0.99999",
        "other inputs give other outputs, as the reference's do",
        "after first run RSS 300 MiB · USS 200 MiB",
        "loading adds 100 MiB",
        "running adds 7.00 MiB",
        "took 2.80 s · kept from then",
        "files 50.0 MiB",
        "converter pnnx 1",
    ):
        assert line in lines, text
