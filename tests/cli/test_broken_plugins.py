"""Plug-ins of other people that are broken in every way that we know: one line each, no more."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from onnxbench.text import safe_text
from tests.cli.command import measure, onnxbench

ADAPTER = """
class Adapter:
    name = "theirs"
    modules = ()
    def probe(self):
        {probe}
"""
MODULES = {
    "no_import": "import surely_not_installed",
    "exits_on_import": "raise SystemExit(3)",
    "no_syntax": "def (",
    "no_attribute": "",
    "raises": ADAPTER.format(probe="raise ValueError('two\\nlines \\x1b[31m of it')"),
    "exits": ADAPTER.format(probe="raise SystemExit(3)"),
    "gives_nothing": ADAPTER.format(probe="print('chatty')"),
    "prints": "print('noise on stdout')\n",
}
POINTS = {
    **{name: f"{name}_module:Adapter" for name in MODULES},
    "malformed": "what is this",
    "cpu": "no_import_module:Adapter",
}
NAMED_ONCE = [name for name in POINTS if name != "cpu"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Distributions as pip leaves them: one for each kind, two that claim a name, one garbled."""
    folder = tmp_path_factory.mktemp("site")
    for name, source in MODULES.items():
        (folder / f"{name}_module.py").write_text(source)
    for name, value in POINTS.items():
        _distribution(folder, f"dist-of-{name}", f"{name} = {value}")
    _distribution(folder, "first", "claimed = raises_module:Adapter")
    _distribution(folder, "second", "claimed = prints_module:Adapter")
    _distribution(folder, "garbled", "this line has no sign")
    return folder


def _distribution(folder: Path, name: str, line: str) -> None:
    info = folder / f"{name.replace('-', '_')}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[onnxbench.runtimes]\n{line}\n")


@pytest.fixture
def broken(site: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "1000"}


def assert_said_once(lines: list[str]) -> None:
    for name in (*NAMED_ONCE, "claimed", "garbled"):
        about = [line for line in lines if re.match(rf"(warn)?\s*{name}\b", line)]
        assert len(about) == 1, (name, about)
    assert all(safe_text(line, 10_000) == line for line in lines), "an escape sequence came through"


def test_version(broken: dict[str, str]) -> None:
    ran = onnxbench("--version", env=broken)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert_said_once(lines)
    assert [line for line in lines if line.startswith("cpu: onnxruntime ")]


def test_list(broken: dict[str, str]) -> None:
    ran = onnxbench("list", "runtimes", "--json", env=broken)
    rows = ran.document["runtimes"]
    for name in (*NAMED_ONCE, "claimed", "garbled"):
        (row,) = (row for row in rows if row["name"] == name)
        assert not row["usable"]
        assert row["reason"]
        assert row["hint"]
    ours, theirs = (row for row in rows if row["name"] == "cpu")
    assert ours["usable"]
    assert "onnxbench's own" in theirs["reason"]
    assert onnxbench("list", "runtimes", env=broken).code == 0


def test_doctor(broken: dict[str, str]) -> None:
    ran = onnxbench("doctor", env=broken)
    assert ran.code == 0
    section = ran.out.partition("runtimes and environments")[2].partition("what makes")[0]
    assert_said_once(section.splitlines())
    assert onnxbench("doctor", "--json", env=broken).code == 0


def test_another_runtime_is_measured_without_a_word(broken: dict[str, str], relu: Path) -> None:
    ran = measure(relu, "-r", "cpu", env=broken)
    assert ran.records[0]["status"] == "ok"
    assert not [name for name in NAMED_ONCE if name in ran.out + ran.err]


def test_all_runtimes_leave_it_out(broken: dict[str, str], relu: Path) -> None:
    ran = onnxbench("run", relu, "-r", "all", "--dry-run", "--json", env=broken)
    assert ran.code == 0
    skipped = [(skip["runtime"], skip["status"]) for skip in ran.document["plan"]["skipped"]]
    for name in (*NAMED_ONCE, "claimed", "garbled", "cpu"):
        assert skipped.count((name, "provider-missing")) == 1, name


@pytest.mark.parametrize("name", ["no_import", "exits", "malformed", "claimed"])
def test_asked_for_by_name_it_fails_with_the_reason(
    broken: dict[str, str], relu: Path, name: str
) -> None:
    ran = onnxbench("run", relu, "-r", name, env=broken)
    assert ran.code != 0
    assert "dist-of-" in ran.err + ran.out or "first" in ran.err + ran.out
