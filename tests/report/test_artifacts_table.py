"""The table of exports: what failed with its reason once, and nothing that a source wrote raw."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from onnxbench.report.artifacts import artifacts_table, one_line
from tests.report.test_table import render


def row(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "source": f"torch:nets.py:{name}",
        "status": "ok",
        "error": None,
        "cached": False,
        "path": "/x/model.onnx",
        "seconds": 12.34,
        "nodes": 122,
        "params": 25_557_032,
        "macs": 4_089_000_000,
        "bytes": 102_000_000,
        "weights": "random: seed 0",
        "route": "torch.onnx dynamo",
        "parity": {"max_rel": 3.4e-7},
        "counts": {"agree": True},
        **more,
    }


def failed(name: str, message: str, status: str = "error") -> dict[str, Any]:
    error = {"kind": "export", "message": message, "hint": "try again", "phase": "load"}
    nothing = dict.fromkeys(("path", "nodes", "params", "macs", "parity"))
    found = row(name, status=status, error=error, **nothing)
    return {key: value for key, value in found.items() if key not in ("bytes", "route", "weights")}


ROWS = [
    row("resnet50"),
    row("cached", cached=True),
    failed("one", "no such luck"),
    failed("two", "no such luck"),
    failed("three", "it died", "crashed"),
    row("odd", counts={"agree": False, "reason": "3 MACs more in the file"}),
]


def shown(width: int, rows: list[dict[str, Any]] = ROWS) -> str:
    return render(artifacts_table(rows, width=width, seconds=65), width)


def test_all_of_it_where_there_is_room() -> None:
    text = shown(160)
    head = text.splitlines()[0].split()
    columns = "model exporter weights seconds nodes params MACs size parity status"
    assert head == columns.split()
    assert "hidden" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("resnet50")]
    for cell in ("torch.onnx dynamo", "random: seed 0", "12.3", "122", "25.6 M", "4.09 G",
                 "97.3 MiB", "3.4e-07", "ok"):  # fmt: skip
        assert cell in line


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = shown(width).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert lines[0].startswith("model")
    assert lines[0].endswith("status"), "the last to go"


def test_what_has_no_room_is_named() -> None:
    assert "nodes: no room in 80 columns, but in --json" in shown(80)


def test_equal_reasons_are_said_once() -> None:
    text = shown(160)
    assert text.count("no such luck (try again)") == 1
    marks = {line.split()[0]: line.split("  ")[-1].strip() for line in text.splitlines()[2:8]}
    assert marks == {
        "resnet50": "ok",
        "cached": "unchanged",
        "one": "error [1]",
        "two": "error [1]",
        "three": "crashed [2]",
        "odd": "ok [3]",
    }
    assert "counts differ: 3 MACs more in the file" in text
    assert "3 of 6 models ok, 1 unchanged, 1 min 5 s" in text


def test_hostile_text_is_shown_harmless() -> None:
    evil = "\x1b[31m\u202e[bold]x[/bold][/]\x00"
    rows = [failed(evil, evil * 100_000), row("m", weights=evil, route=evil)]
    for width in (60, 160):
        text = shown(width, rows)
        assert not {"\x1b", "\u202e", "\x00"} & set(text)
        assert "[bold]x[/bold][/]" in text
        assert len(text) < 10_000


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (ROWS[0], "resnet50: ok, 12.3 s, 97.3 MiB, parity 3.4e-07"),
        (ROWS[1], "cached: unchanged"),
        (ROWS[2], "one: error: no such luck (try again)"),
    ],
)
def test_one_line_for_stderr(found: dict[str, Any], line: str) -> None:
    assert one_line(found) == line
