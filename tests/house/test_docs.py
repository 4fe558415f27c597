"""The README's commands are run, the generated page is current, and links lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
OURS = [command for command in COMMANDS if command.startswith("onnxbench ")]
SHORT = ["--processes", "2", "--iters", "5", "--warmup", "1"]
"""Appended to ``run``: the README's commands are tried for what they do, not timed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a user's would be: a model in it, and the catalogue of the clone."""
    import onnx

    here = tmp_path_factory.mktemp("user")
    light = Path(onnx.__file__).parent / "backend/test/data/light"
    shutil.copy(light / "light_shufflenet.onnx", here / "model.onnx")
    shutil.copy(ROOT / "models.yaml", here)
    return here


def test_the_readme_has_commands_to_try() -> None:
    assert {"make run", "make test"} <= set(COMMANDS)
    assert len(OURS) >= 10
    assert len(COMMANDS) == len(OURS) + 2, "a command that nobody tries"


@pytest.mark.parametrize("command", OURS)
def test_a_command_of_the_readme_works(command: str, folder: Path) -> None:
    words = [sys.executable, "-m", *shlex.split(command)]
    # On a 1-core machine as on ours; and one command needs a dynamic batch, which this model lacks.
    words = ["1" if word in ("1,2", "1,8") else word for word in words]
    if words[3] == "run" and "--dry-run" not in words:
        words += SHORT
    environment = {
        **os.environ,
        "ONNXBENCH_STORE": str(folder / "results.db"),
        "ONNXBENCH_LOCK": str(folder / "lock"),
        "ONNXBENCH_CACHE": str(folder / "cache"),
    }
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_the_readme_is_short_and_its_make_targets_exist() -> None:
    assert len(README.splitlines()) <= 250
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in COMMANDS:
        if command.startswith("make "):
            assert re.search(rf"^{command.removeprefix('make ')}:", makefile, re.MULTILINE), command


def test_the_commands_page_is_current() -> None:
    spec = importlib.util.spec_from_file_location("commands_page", ROOT / "docs/commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    assert written == module.page(), "run: python docs/commands.py"


@pytest.mark.parametrize(
    "page", sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("**/*.md")
                   if not any(part.startswith(".") for part in p.relative_to(ROOT).parts))
)  # fmt: skip
def test_links_between_pages_lead_to_files(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"
