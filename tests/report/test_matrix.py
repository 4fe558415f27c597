from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from rich.cells import cell_len

from onnxbench.report import terminal
from onnxbench.report.matrix import model_by_runtime
from onnxbench.types import Record

if TYPE_CHECKING:
    from tests.report.conftest import MakeRecord


def render(records: list[Record], width: int = 80) -> str:
    stream = io.StringIO()
    terminal.console(stream, width=width).print(model_by_runtime(records, width=width))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def test_runtimes_side_by_side_with_ratios(make_record: MakeRecord) -> None:
    records = [
        make_record("alexnet", 20.0, cell__runtime="cpu"),
        make_record("alexnet", 10.0, cell__runtime="openvino"),
        make_record("vgg19", 300.0, cell__runtime="cpu"),
        make_record(
            "vgg19",
            cell__runtime="openvino",
            status="unsupported",
            error={"kind": "x", "message": "y", "hint": "", "phase": None},
        ),
    ]
    lines = render(records).splitlines()
    table = lines[lines.index("") + 1 :]
    assert table[0].split() == ["model", "cpu", "openvino"]
    assert table[2].split() == ["alexnet", "20.0", "ms", "10.0", "ms", "0.500×"]
    assert table[3].split() == ["vgg19", "300", "ms", "unsupported"]


@pytest.mark.parametrize(
    "change",
    [
        {"cell__model": {"id": "alexnet", "sha256": "f" * 64}},
        {"cell__batch": 8},
        {"cell__precision": "native"},
        {"cell__boundary": "device"},
        {"cell__inputs": "other"},
        {"cell__label": "other"},
    ],
)
def test_what_is_not_the_same_work_never_stands_in_one_row(
    make_record: MakeRecord, change: dict[str, Any]
) -> None:
    records = [make_record(ms=20.0), make_record(ms=10.0, cell__runtime="openvino", **change)]
    text = render(records)
    assert "×" not in text
    assert sum("alexnet" in line for line in text.splitlines()) == 2


def test_a_ratio_inside_the_noise_is_marked(make_record: MakeRecord) -> None:
    records = [
        make_record(ms=20.0, cell__runtime="cpu"),
        make_record(ms=20.1, cell__runtime="a"),
        make_record(ms=30.0, cell__runtime="b"),
    ]
    text = render(records)
    assert "≈1.00×" in text
    assert " 1.50×" in text


def test_the_newest_record_counts_and_the_others_are_told(make_record: MakeRecord) -> None:
    records = [
        make_record(ms=10.0, created="2026-11-23T00:00:00+00:00", run_id="new"),
        make_record(ms=99.0, created="2026-11-22T00:00:00+00:00", run_id="old"),
    ]
    text = render(records)
    assert "10.0 ms" in text
    assert "99.0 ms" not in text
    assert "1 record of the same cells not shown" in text


def test_two_hosts_with_the_same_processor_are_two_columns(make_record: MakeRecord) -> None:
    records = [
        make_record(ms=ms, environment={"host": {"id": host}})
        for ms, host in ((10.0, "aaaa"), (20.0, "bbbb"))
    ]
    text = render(records)
    assert "host aaaa" in text
    assert "host bbbb" in text
    assert "2.00×" in text


def test_doubtful_numbers_are_marked(make_record: MakeRecord) -> None:
    noisy = make_record(verdict={"grade": "unreliable", "reasons": [], "advice": ""})
    assert "20.9 ms?" in render([noisy])


@pytest.mark.parametrize("width", [80, 100, 160])
def test_many_places_go_into_blocks_that_fit(make_record: MakeRecord, width: int) -> None:
    records = [
        make_record(
            model,
            float(i + 1),
            cell__runtime=f"runtime{i}",
            cell__device={"kind": "cpu", "name": f"Intel(R) Xeon(R) Platinum 8481C CPU @ {i} GHz"},
        )
        for model in ("alexnet", "a_model_with_quite_a_long_name_that_goes_on")
        for i in range(12)
    ]
    text = render(records, width)
    assert max(map(cell_len, text.splitlines())) <= width
    blocks = text.split("\n\n")[1:-1]
    assert len(blocks) > 1
    assert all("runtime0" in block for block in blocks), "the baseline is in every block"
    assert all(f"{i + 1}.00×"[:4] in text for i in range(1, 12))
