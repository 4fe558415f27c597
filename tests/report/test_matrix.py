from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from rich.cells import cell_len

from onnxbench.report import terminal
from onnxbench.report.matrix import model_by_runtime
from onnxbench.types import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.report.conftest import MakeRecord


def render(records: list[Record], width: int = 80, skipped: Sequence[Any] = ()) -> str:
    stream = io.StringIO()
    terminal.console(stream, width=width).print(model_by_runtime(records, skipped, width=width))
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
    assert table[3].split() == ["vgg19", "300", "ms", "-", "[1]"]
    assert any(line.split() == ["[1]", "unsupported:", "x:", "y"] for line in lines)


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


def test_the_base_is_what_most_rows_have(make_record: MakeRecord) -> None:
    tried = make_record(ms=10.0, cell__runtime="cpu", cell__options={"tried": "once"})
    rows = [
        make_record(ms=ms, cell__runtime=name, cell__model__id=model)
        for model in ("alexnet", "vgg")
        for name, ms in (("cpu", 20.0), ("a", 30.0))
    ]
    assert render([tried, *rows]).count("1.50×") == 2


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


def body(text: str) -> list[str]:
    """Return the rows of the first block."""
    return text.split("\n\n")[1].splitlines()


def test_a_ratio_between_two_types_says_so(make_record: MakeRecord) -> None:
    native = {"cell__precision": "native"}
    records = [
        make_record(ms=20.0, **native),
        make_record(ms=10.0, cell__runtime="openvino", precision_effective="bfloat16", **native),
        make_record(ms=30.0, cell__runtime="tract", precision_effective=None, **native),
        make_record(ms=40.0, cell__runtime="mnn", **native),
    ]
    text = render(records, 160)
    row = body(text)[-1]
    assert "0.500× bf16" in row
    assert "1.50× type?" in row
    assert row.endswith("2.00×"), "equal types: nothing to say"
    assert "computed in that type, the first column in another" in text
    assert "bfloat16: openvino native" in text


@pytest.mark.parametrize(
    "change",
    [
        {"fallback": "2 of 122 nodes ran on CPU"},
        {"status": "wrong-output"},
        {"status": "fallback"},
    ],
)
def test_what_is_no_result_has_no_ratio_and_is_no_base(
    make_record: MakeRecord, change: dict[str, Any]
) -> None:
    bad = make_record(ms=10.0, cell__runtime="a", error=None, **change)
    good, other = make_record(ms=20.0, cell__runtime="b"), make_record(ms=30.0, cell__runtime="c")
    text = render([bad, good, other])
    header, _, row = body(text)[0], *body(text)[-2:]
    assert header.split() == ["model", "b", "c", "a"], "a base that is usable stands first"
    assert row.split()[-3:] == ["(10.0", "ms)", "[1]"]
    assert row.count("×") == 1
    assert "1.50×" in row
    assert "[1]" in text.split("\n\n")[2]


def test_an_emulated_device_is_stamped_and_never_compared(make_record: MakeRecord) -> None:
    emulated = {"kind": "npu", "name": "Hexagon", "arch": "v73", "emulated": True}
    records = [
        make_record(ms=10.0, cell__runtime="qnn", cell__device=emulated),
        make_record(ms=20.0),
    ]
    text = render(records)
    assert "emulated" in "\n".join(body(text)[:-2])
    assert "×" not in text
    assert "say nothing of real ones" in text
    only = render(records[:1])
    assert "emulated" in body(only)[1]


def test_a_skip_is_a_cell_with_its_reason(make_record: MakeRecord) -> None:
    host = {"host": {"id": "aaaa"}}
    records = [make_record(cell__runtime=name, environment=host) for name in ("cpu", "tract")]
    cell = {**records[0]["cell"], "batch": 8, "inputs": "", "shapes": {}}
    skip = {
        "model": "alexnet",
        "runtime": "cpu",
        "status": "unsupported",
        "reason": "the batch is fixed at 1",
        "hint": "",
        "cell": cell,
    }
    text = render(records, skipped=[skip])
    assert [row.split()[:2] for row in body(text)[-2:]] == [["alexnet", "1"], ["alexnet", "8"]]
    assert body(text)[-1].split()[2:] == ["-", "[1]", "-"]
    assert "unsupported: the batch is fixed at 1" in text
    # Once measured, a cell that an older run skipped is measured.
    again = {**skip, "cell": records[0]["cell"]}
    assert "fixed" not in render(records, skipped=[again])


def test_out_of_memory_is_a_cell_with_its_reason(make_record: MakeRecord) -> None:
    error = {"kind": "memory", "message": "5 GiB asked", "hint": "", "phase": "load"}
    records = [
        make_record(),
        make_record(
            cell__runtime="b", status="oom", error=error, latency={"reason": "not timed: oom"}
        ),
    ]
    text = render(records)
    assert body(text)[-1].endswith("- [1]")
    assert "oom: memory: 5 GiB asked (in load)" in text


def test_a_board_stands_beside_this_machine_in_one_row(make_record: MakeRecord) -> None:
    board = {"kind": "cpu", "name": "Cortex-A76", "arch": "aarch64", "emulated": False}
    records = [
        make_record(ms=20.0, run_id="here", environment={"host": {"id": "aaaa"}}),
        make_record(
            ms=80.0,
            run_id="there",
            cell__device=board,
            cell__threads=4,
            environment={"host": {"id": "bbbb"}},
        ),
    ]
    text = render(records)
    assert len([line for line in text.splitlines() if line.startswith("alexnet")]) == 1
    assert "Cortex-A76" in text
    assert "4.00×" in text
    assert "unpaired" in text


def test_eight_runtimes_with_versions_are_readable_at_80_columns(make_record: MakeRecord) -> None:
    names = ("cpu", "openvino", "openvino-ep", "ncnn", "mnn", "tract", "litert", "torch")
    records = [
        make_record(
            model,
            5.0 + i,
            cell__runtime=name,
            effective={"runtime_version": f"{i}.31.1"},
            precision_effective="bfloat16" if name == "openvino" else "float32",
        )
        for model in ("mobilenet_v2", "resnet50")
        for i, name in enumerate(names)
    ]
    text = render(records)
    assert max(map(cell_len, text.splitlines())) <= 80
    for i, name in enumerate(names):
        assert name in text
        assert f"{i}.31.1" in text
    assert text.count("× bf16") == 2
    assert "…" not in text
