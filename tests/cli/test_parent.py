"""The measuring process itself: what it imports, and how little it does while a child measures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import SHORT

HEAVY = re.compile(r"^(onnx|onnxruntime|torch|pandas|sympy|google\.protobuf)(\.|$)")


def imported(*words: str | Path) -> set[str]:
    """Return the modules that a command imports, in its own process."""
    command = [sys.executable, "-X", "importtime", "-m", "onnxbench", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize(
    "words", [["--op-times"], ["--dry-run"], ["-o", "out.csv"], ["--quiet"]], ids=" ".join
)
def test_the_parent_imports_no_runtime(relu: Path, words: list[str]) -> None:
    found = imported("run", relu, *SHORT, *words)
    assert "onnxbench.cli.run" in found
    assert not {name for name in found if HEAVY.match(name)}


def test_neither_do_the_other_commands(run_once: object) -> None:
    for words in (["report"], ["list", "runtimes"], ["list", "models"], ["doctor"], ["--version"]):
        assert not {name for name in imported(*words) if HEAVY.match(name)}, words


def test_help_imports_next_to_nothing() -> None:
    """No entry point is read and no numpy imported before a command runs."""
    found = imported("--help")
    assert (
        not {"numpy", "onnxbench.session", "onnxbench.store", "sqlite3", "yaml", "pydantic"} & found
    )
    assert "importlib.metadata" not in found or "onnxbench.registry" not in found
