"""The other tools, which live in an environment of their own: what they need does not go with ours.

``ONNXBENCH_OTHER_TOOLS`` names its Python (``python -m benchmarks --other-tools`` sets it);
`requirements.txt` beside this file says what to install there. Without it a figure is measured
without them, and says so.
"""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.analyzer import given
from benchmarks.analyzer.found import of_others

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.analyzer.found import Found

SCRIPT = Path(__file__).with_name("other_tools.py")
MISSING = f"other tools not asked: {given.OTHER_TOOLS} is not set"
LIMIT_BYTES = 12 << 30
"""Private memory that another tool may use."""


@cache
def installed() -> dict[str, str]:
    """Return tools and their versions; none where no interpreter is named."""
    if not os.environ.get(given.OTHER_TOOLS):
        return {}
    ended = subprocess.run(command("versions"), capture_output=True, encoding="utf-8", check=True)
    versions: dict[str, str | None] = json.loads(ended.stdout)
    return {tool: version for tool, version in versions.items() if version is not None}


def note() -> str:
    """Return which tools were asked, or that none was."""
    versions = ", ".join(f"{tool} {version}" for tool, version in installed().items())
    return f"asked: {versions}" if versions else MISSING


def command(tool: str, path: Path | None = None) -> tuple[str, ...]:
    """Return the command that asks ``tool`` about one file, in one process."""
    files = () if path is None else (str(path.absolute()),)
    return (os.environ[given.OTHER_TOOLS], "-W", "ignore", str(SCRIPT.absolute()), tool, *files)


def count(tool: str, files: Sequence[Path], limit_s: float) -> list[Found]:
    """Return what ``tool`` says of each file; each is read in a process that is killed in time."""
    limits = ("--limit-s", str(limit_s), "--limit-bytes", str(LIMIT_BYTES))
    ended = subprocess.run(
        [*command(tool), *limits, *(str(each.absolute()) for each in files)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", check=True,
    )  # fmt: skip
    return [of_others(line) for line in ended.stdout.splitlines()]
