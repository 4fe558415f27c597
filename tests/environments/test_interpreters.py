"""Finding a Python: the own one first, then others that really can make environments."""

from __future__ import annotations

import platform
import sys
import time
from pathlib import Path

import pytest

from onnxbench.environments import interpreters
from onnxbench.environments.interpreters import Python, find_python, obstacle
from onnxbench.errors import InstallError
from tests.environments.packages import THIS, recipe

MINOR = f"{THIS[0]}.{THIS[1]}"
HERE = Path(sys.executable)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any Python: the folder is its PATH, and its home."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def python(path: Path) -> Path:
    return program(path, f'exec "{HERE}" "$@"')


def test_this_python_is_taken_if_it_fits() -> None:
    assert find_python(recipe()) == Python(HERE, platform.python_version())


@pytest.mark.parametrize(
    "place",
    [
        f"python{MINOR}",
        "python3",
        f".pyenv/versions/{platform.python_version()}/bin/python",
        f".local/share/uv/python/cpython-{MINOR}-linux/bin/python{MINOR}",
    ],
)
def test_another_place_will_do(elsewhere: Path, place: str) -> None:
    path = python(elsewhere / place)
    assert find_python(recipe()) == Python(path, platform.python_version())


def test_a_newer_version_is_asked_first(elsewhere: Path) -> None:
    said = f"echo {THIS[0]}.{THIS[1] + 1}.0"
    newer = program(elsewhere / f"python{THIS[0]}.{THIS[1] + 1}", said)
    python(elsewhere / f"python{MINOR}")
    both = recipe(python=(THIS, (THIS[0], THIS[1] + 1)))
    assert find_python(both).path == newer


@pytest.mark.parametrize(
    "script",
    ["exit 1", "echo what", "echo 3.x", "echo 2.7.18", f"echo {MINOR}.0; exit 1", "sleep 30"],
    ids=["shim", "babble", "no number", "too old", "no ensurepip", "hangs"],
)
def test_what_is_no_fitting_python_is_passed_over(
    elsewhere: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{elsewhere}:/usr/bin:/bin")
    monkeypatch.setattr(interpreters, "ASK_SECONDS", 1.0)
    program(elsewhere / f"python{MINOR}", script)
    python(elsewhere / "second" / f"python{MINOR}")
    monkeypatch.setenv("PATH", f"{elsewhere}:{elsewhere}/second:/bin")
    began = time.monotonic()
    found = find_python(recipe())
    assert found.path == elsewhere / "second" / f"python{MINOR}"
    assert time.monotonic() - began < 15


def test_a_missing_version_is_named_with_ways_to_get_it(elsewhere: Path) -> None:
    python(elsewhere / "python3")
    with pytest.raises(InstallError, match=r"needs a Python 2\.6 to 2\.7 with venv") as caught:
        find_python(recipe(python=((2, 6), (2, 7))))
    assert "uv python install 2.7" in caught.value.hint


def test_what_keeps_an_environment_from_being_made_here(elsewhere: Path) -> None:
    missing = obstacle(recipe(python=((2, 6), (2, 7))))
    assert "needs a Python 2.6 to 2.7" in str(missing)
    machine = f"{platform.system()} {platform.machine()}"
    other = obstacle(recipe(machines=("Plan9 mips",)))
    assert f"little has wheels for Plan9 mips; this is {machine}" in str(other)
    link = elsewhere / f"python{MINOR}"
    link.symlink_to(HERE)
    assert obstacle(recipe(machines=("Plan9 mips", machine))) is None


def test_relative_folders_of_path_are_not_run(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python(elsewhere / "python3")
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("PATH", ":.")
    with pytest.raises(InstallError):
        find_python(recipe())
