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
