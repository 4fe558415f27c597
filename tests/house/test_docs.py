"""What the manual shows is run, the generated page is current, and links lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
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
SOME_FAILED = 3
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


def need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        if os.environ.get("CI"):
            pytest.fail("CI has to run this; torch is absent")
        pytest.skip("needs torch")


def run(words: list[str], folder: Path, **more: str) -> None:
    """Run onnxbench in ``folder``, where it leaves everything, and see that all is well."""
    environment = {
        **os.environ,
        "ONNXBENCH_STORE": str(folder / "results.db"),
        "ONNXBENCH_LOCK": str(folder / "lock"),
        "ONNXBENCH_CACHE": str(folder / "cache"),
        "ONNXBENCH_HOME": str(folder / "home"),
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    # Which runtimes are here, and whether each of them takes the model, is not the manual's affair.
    fine = (0, SOME_FAILED) if "all" in words else (0,)
    assert done.returncode in fine, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("command", OURS)
def test_a_command_of_the_readme_works(command: str, folder: Path) -> None:
    words = shlex.split(command)
    if "--weights" in words:
        need_torch()
    # On a 1-core machine as on ours; and one command needs a dynamic batch, which this model lacks.
    words = ["1" if word in ("1,2", "1,8") else word for word in words]
    if words[1] == "run" and "--dry-run" not in words:
        words += SHORT
    run(words, folder)


def test_the_exporter_of_the_manual_works(tmp_path: Path) -> None:
    page = "docs/how-to/plug-in.md"
    project = tomllib.loads(blocks(page, "toml")[1])["project"]
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in each.items())
        for group, each in project["entry-points"].items()
    )
    installed = tmp_path / "onnxbench_affine-0.1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Name: {project['name']}\nVersion: 0.1.0\n")
    (installed / "entry_points.txt").write_text(points)
    (tmp_path / "onnxbench_affine.py").write_text(blocks(page, "python")[0])
    (tmp_path / "models.yaml").write_text(blocks(page, "yaml")[0])
    run(["onnxbench", "export", "digits"], tmp_path, PYTHONPATH=str(tmp_path))


def test_the_network_of_the_manual_exports(tmp_path: Path) -> None:
    need_torch()
    page = "docs/how-to/export.md"
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets/mine.py").write_text(blocks(page, "python")[0])
    (tmp_path / "models.yaml").write_text(blocks(page, "yaml")[0])
    run(["onnxbench", "export", "tiny"], tmp_path)


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
