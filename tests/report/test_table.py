from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.cells import cell_len
from rich.console import RenderableType

from onnxbench.report import terminal
from onnxbench.report.table import results_table
from onnxbench.types import Record

if TYPE_CHECKING:
    from tests.report.conftest import MakeRecord

WIDTHS = pytest.mark.parametrize("width", [80, 100, 160])

SKIP: dict[str, Any] = {
    "model": "vgg19",
    "runtime": "cuda",
    "status": "provider-missing",
    "reason": "onnxruntime-gpu is not installed",
    "hint": "pip install 'onnxbench[cuda]'",
}


def render(renderable: RenderableType, width: int) -> str:
    stream = io.StringIO()
    terminal.console(stream, width=width).print(renderable)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


@pytest.fixture
def sweep(make_record: MakeRecord) -> list[Record]:
    return [
        make_record("squeezenet", 5.021),
        make_record(
            "vgg19",
            312.4,
            latency__ci95_ns=[290e6, 330e6],
            verdict={
                "grade": "noisy",
                "reasons": ["half-width: ± 6.4 %, above 3 %"],
                "advice": "Try --processes 10.",
            },
        ),
        make_record(
            "inception_v1",
            status="crashed",
            error={"kind": "SIGSEGV", "message": "it died", "hint": "look", "phase": "first_run"},
            latency={"reason": "no sample"},
            throughput_per_s=None,
            memory={},
            verdict={"grade": None, "reasons": [], "advice": ""},
        ),
        make_record(
            "resnet50",
            54.6,
            status="wrong-output",
            error={"kind": "parity", "message": "prob differs", "hint": "", "phase": "outputs"},
        ),
    ]


def test_the_table_at_80_columns(sweep: list[Record]) -> None:
    table = results_table(sweep, [SKIP], width=80, reproduce="onnxbench run --quick")
    assert (
        render(table, 80)
        == """\
2026-11-22 14:03 UTC · onnxbench 0.1.0 · runtime cpu · AMD EPYC 7B13 · threads 2
batch 1 · boundary host · precision model · inputs data:1x3x224x224
weights light · run 20261122-140311-ab12

model         latency           p90      throughput  peak RSS  verdict
───────────────────────────────────────────────────────────────────────────────
squeezenet     5.02 ms ± 0.4 %  5.32 ms   199/s      374 MiB   stable
vgg19           312 ms ± 6.4 %   331 ms  3.20/s      374 MiB   noisy
inception_v1      -                -        -          -       crashed [1]
resnet50      (54.6 ms)            -        -          -       wrong-output [2]

latency  geometric mean of process medians (5 processes, 100 samples each) ±
         half-width of its 95 % t-interval
noisy    vgg19: ± 6.4 %, above 3 %
advice   Try --processes 10.
[1]      SIGSEGV: it died (in first_run) → look
[2]      parity: prob differs (in outputs)
skipped  vgg19 on cuda: onnxruntime-gpu is not installed → pip install
         'onnxbench[cuda]'
note     data: uniform in [0, 1)
hidden   min, model RSS, load, record: no room in 80 columns, but in -o FILE.csv
reproduce:
onnxbench run --quick"""
    )


@WIDTHS
def test_every_line_fits_and_no_number_is_cut(sweep: list[Record], width: int) -> None:
    text = render(results_table(sweep, [SKIP], width=width), width)
    assert max(map(cell_len, text.splitlines())) <= width
    for number in ("5.02 ms ± 0.4 %", "312 ms ± 6.4 %", "(54.6 ms)"):
        assert number in text


def test_wider_tables_show_more_and_hide_less(sweep: list[Record]) -> None:
    shown = [render(results_table(sweep, width=width), width) for width in (80, 100, 160)]
    assert ["model RSS  peak RSS" in text for text in shown] == [False, True, True]
    assert ["hidden" in text for text in shown] == [True, True, False]
    assert str(sweep[0]["record_id"])[:8] in shown[2]


@WIDTHS
def test_only_what_varies_is_a_column(make_record: MakeRecord, width: int) -> None:
    records = [
        make_record("resnet50", threads * 3.0, cell__threads=threads, cell__batch=batch)
        for batch in (1, 8)
        for threads in (1, 2)
    ]
    text = render(results_table(records, width=width), width)
    caption, _, rest = text.partition("\n\n")
    header = rest.splitlines()[0].split()
    assert header[:3] == ["model", "threads", "batch"]
    assert "runtime cpu" in caption
    assert "boundary host" in caption
    assert not re.search(r"threads \d|batch \d", caption)
    assert not {"runtime", "device", "shapes", "run", "file", "precision"} & set(header)


def test_labels_tell_two_equal_cells_apart_and_runs_only_where_nothing_else_does(
    make_record: MakeRecord,
) -> None:
    labelled = [make_record(cell__label=label) for label in "AB"]
    assert "model    label" in render(results_table(labelled, width=100), 100)
    runs = [make_record(run_id=run) for run in ("first", "second")]
    assert "model    run" in render(results_table(runs, width=100), 100)
    both = [make_record(cell__label=label, run_id=label) for label in "AB"]
    assert "run" not in render(results_table(both, width=100), 100).split("\n\n")[1].splitlines()[0]


def test_one_name_for_two_files_shows_the_hash(make_record: MakeRecord) -> None:
    records = [make_record(cell__model={"id": "m", "sha256": digit * 64}) for digit in "ab"]
    text = render(results_table(records, width=80), 80)
    assert "aaaaaaaa" in text
    assert "bbbbbbbb" in text


@WIDTHS
def test_a_long_name_is_shortened_before_a_number_is(make_record: MakeRecord, width: int) -> None:
    name = "vit_" + "very_" * 40 + "large.in1k"
    text = render(results_table([make_record(name), make_record("b")], width=width), width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert re.search(r"^vit_\S+…\S+in1k +20.9 ms ± 0.4 %", text, re.MULTILINE)


def test_a_missing_interval_says_why(make_record: MakeRecord) -> None:
    record = make_record(latency__ci95_ns=None, latency__ci95_reason="one process only")
    text = render(results_table([record], width=80), 80)
    assert "20.9 ms ± ?" in text
    assert "± ?      alexnet: one process only" in text


def test_the_same_doubt_is_said_once(make_record: MakeRecord) -> None:
    verdict = {"grade": "noisy", "reasons": ["load: others ran"], "advice": "Stop them."}
    records = [make_record(f"m{i}", verdict=verdict) for i in range(9)]
    text = render(results_table(records, width=80), 80)
    assert text.count("others ran") == 1
    assert text.count("Stop them.") == 1
    assert "m0, m1, m2, m3 and 5 more: others ran" in text


def test_a_skip_is_said_once_for_all_models(make_record: MakeRecord) -> None:
    text = render(results_table([], [{**SKIP, "model": m} for m in "abbc"], width=80), 80)
    assert "a, b, c on cuda" in text
    assert text.count("not installed") == 1
    assert "nothing was measured" in text


def test_colour_repeats_what_a_word_says(
    sweep: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    def printed(**variables: str) -> str:
        for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM", "TTY_COMPATIBLE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        stream = io.StringIO()
        terminal.console(stream, width=100).print(results_table(sweep, width=100))
        return stream.getvalue()

    plain = printed()
    coloured = printed(FORCE_COLOR="1", TERM="xterm-256color")
    assert "\x1b" not in plain
    assert "\x1b[33mnoisy" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain
    assert not re.search(r"\x1b\[[\d;]*3\dm", printed(FORCE_COLOR="1", NO_COLOR="1", TERM="xterm"))
    assert "\x1b[33m" not in printed(FORCE_COLOR="1", TERM="dumb")


def test_a_stream_that_is_not_utf8_gets_ascii(sweep: list[Record], make_record: MakeRecord) -> None:
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding="ascii", errors="strict")
    records = [*sweep, make_record("名前")]
    terminal.console(stream, width=80).print(results_table(records, width=80))
    stream.flush()
    lines = raw.getvalue().decode("ascii").splitlines()
    assert max(map(len, lines)) <= 80
    assert any("5.02 ms ~ 0.4 %" in line for line in lines)


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_terminal_is_survived(sweep: list[Record], width: int) -> None:
    text = render(results_table(sweep, [SKIP], width=width), width)
    assert max(map(cell_len, text.splitlines())) <= width
    if width >= 60:
        assert "5.02 ms ± 0.4 %" in text


def test_a_single_row_is_not_named_again(make_record: MakeRecord) -> None:
    verdict = {"grade": "noisy", "reasons": ["load: others ran"], "advice": "Stop them."}
    text = render(results_table([make_record(verdict=verdict)], width=80), 80)
    assert "noisy    others ran" in text


def header(text: str) -> str:
    return text.split("\n\n")[1].splitlines()[0]


def test_a_row_proves_itself(make_record: MakeRecord) -> None:
    declared = {"inputs": [{"name": "data", "dtype": "float", "shape": [1, 3, 224, 224]}]}
    cuda = [
        {"provider": "CUDAExecutionProvider", "nodes": 120, "node_share": 0.98, "time_share": 0.97},
        {"provider": "CPUExecutionProvider", "nodes": 2, "node_share": 0.02, "time_share": 0.03,
         "operators": {"TopK": 1, "Cast": 1}},
    ]  # fmt: skip
    parity = {"reference": "onnxruntime-cpu", "max_abs": 0.00352, "passed": True}
    records = [
        make_record(artifact=declared, effective={"runtime_version": "1.31.1"}),
        make_record(
            artifact=declared,
            cell__runtime="cuda",
            cell__precision="native",
            effective={"runtime_version": "1.32.0", "threads_told": 2, "threads_found": 1},
            precision_effective="bfloat16",
            placement=cuda,
            parity=parity,
            fallback="2 of 122 nodes ran on CPU",
        ),
    ]
    text = render(results_table(records, width=200), 200)
    first, second = text.split("\n\n")[1].splitlines()[2:]
    assert "cpu 1.31.1" in first
    assert "cuda 1.32.0" in second
    assert " f32 " in first
    assert " bf16 ! " in second
    assert "3.5e-03" in second
    assert "CPU 100 %" in first
    assert "CUDA 97 % of time, 120/122 nodes" in second
    assert "2→1" in second
    assert "(20.9 ms)" in second
    assert "fallback [1]" in second
    assert "TopK 1, Cast 1" in text
    assert "2 of 122 nodes ran on CPU" in text
    assert "largest |output − onnxruntime-cpu|" in text


def test_what_is_as_expected_takes_no_column(make_record: MakeRecord) -> None:
    text = render(results_table([make_record(), make_record("b")], width=200), 200)
    assert not {"type", "placement", "max", "told→found"} & set(header(text).split())


@WIDTHS
def test_a_type_is_shown_at_every_width(make_record: MakeRecord, width: int) -> None:
    records = [
        make_record(
            cell__runtime=name,
            cell__options={"graph_optimization_level": level},
            cell__batch=batch,
            precision_effective=found,
        )
        for name, found in (("openvino", "bfloat16"), ("ncnn", "float32 (float16 storage)"))
        for level in ("disable", "all")
        for batch in (1, 8)
    ]
    text = render(results_table(records, width=width), width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert text.count("20.9 ms ± 0.4 %") == 8
    assert "bf16" in text


def test_a_skip_that_names_its_cell_is_a_row_of_its_model(make_record: MakeRecord) -> None:
    records = [make_record("a"), make_record("b")]
    skip = {**SKIP, "model": "a", "status": "unsupported", "reason": "fixed at 1", "hint": "h"}
    skip["cell"] = {**records[0]["cell"], "batch": 8}
    text = render(results_table(records, [skip, SKIP], width=100), 100)
    rows = text.split("\n\n")[1].splitlines()[2:]
    assert [row.split()[:2] for row in rows] == [["a", "1"], ["a", "8"], ["b", "1"]]
    assert rows[1].split()[2] == "-"
    assert rows[1].endswith("unsupported [1]")
    assert "[1]      fixed at 1 → h" in text
    assert "vgg19 on cuda" in text


def test_outputs_that_nothing_was_compared_with_are_told(make_record: MakeRecord) -> None:
    reason = "not compared: placeholder weights"
    parity = {"reference": None, "max_abs": None, "passed": None, "reason": reason}
    records = [make_record(), make_record(cell__runtime="tract", parity=parity)]
    text = render(results_table(records, width=100), 100)
    assert f"alexnet (runtime tract): {reason}" in text


def test_a_version_is_that_of_its_runtime(make_record: MakeRecord) -> None:
    versions = {"runtime_version": "1.31.1"}
    records = [make_record(effective=versions), make_record(cell__runtime="tract")]
    assert "runtime version" not in render(results_table(records, width=100), 100)
    assert "runtime version 1.31.1" in render(results_table(records[:1], width=100), 100)
