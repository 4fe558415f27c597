"""One figure measured again leaves the others alone, and the page shows them all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import machine, page
from benchmarks.figure import Figure
from onnxbench.types import JsonObject

ORDER = ("null", "sleep", "help")


@pytest.fixture(scope="module")
def here() -> JsonObject:
    return machine.since(machine.look(0.05))


def entry(here: JsonObject, day: str, measured: str = "0.1 µs", *, met: bool = True) -> JsonObject:
    figure = Figure(
        title="a title",
        target="≤ 0.2 µs",
        measured=measured,
        met=met,
        table=(("part", "value"), ("a|b", "1")),
        raw={"median_ns": 100},
    )
    return page.entry(figure, "How it is measured.\n", {**here, "date": f"2026-01-{day}T00:00:00"})


def test_a_result_replaces_its_own_and_no_other(here: JsonObject, tmp_path: Path) -> None:
    results, text = tmp_path / "deep" / "results.json", tmp_path / "figures.md"
    page.keep("help", entry(here, "01"), results, text, ORDER)
    page.keep("null", entry(here, "02"), results, text, ORDER)
    first = results.read_text().splitlines()
    page.keep("null", entry(here, "03", "0.3 µs", met=False), results, text, ORDER)
    second = results.read_text().splitlines()
    assert [line for line in first if '"help"' in line] == [
        line for line in second if '"help"' in line
    ]
    kept = json.loads(results.read_text())
    assert list(kept) == ["null", "help"]
    assert kept["null"]["raw"] == {"median_ns": 100}
    lines = text.read_text().splitlines()
    assert "| null: a title | ≤ 0.2 µs | 0.3 µs | **no** | 2026-01-03 |" in lines
    assert "| help: a title | ≤ 0.2 µs | 0.1 µs | yes | 2026-01-01 |" in lines
    assert "| a\\|b | 1 |" in lines
    assert "How it is measured." in lines
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["figures.md", "results.json"]


def test_the_machine_is_told_with_its_load_and_versions(here: JsonObject) -> None:
    assert here["versions"]["onnxruntime"]
    told = page.render({"null": entry(here, "01")})
    assert f"onnxruntime {here['versions']['onnxruntime']}" in told
    assert f"{here['cores']} cores" in told
    unknown = {**here, "steal_share": None, "foreign_cores_before": None, "load_average": None}
    told = page.render({"null": entry(unknown, "01")})
    assert "load average not told, other work not told, steal not told" in told
