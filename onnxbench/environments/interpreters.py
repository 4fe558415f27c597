"""Finding a Python that an environment can be made with."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.errors import InstallError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxbench.environments.recipes import Recipe

ASK_SECONDS = 20.0
"""How long an interpreter may take to say what it is."""

_QUESTION = """
import sys, sysconfig
import ensurepip, venv
if sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED"):
    print(*sys.version_info[:3], sep=".")
"""


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter that can make environments."""

    path: Path
    version: str


def find_python(recipe: Recipe) -> Python:
    """Return an interpreter for ``recipe``: this one if it fits, else the newest that does.

    Looked at: the one that runs onnxbench, PATH, the versions of pyenv and those of uv. Raises
    InstallError that says which versions would do and how to get one.
    """
    for path in _candidates(recipe):
        version = _ask(path)
        if version is not None and _fits(version, recipe):
            return Python(path, version)
    first, last = (".".join(map(str, bound)) for bound in recipe.python)
    raise InstallError(
        f"{recipe.name} needs a Python {first} to {last} with venv and ensurepip; none was found "
        "on PATH, below pyenv or below uv",
        f"install one: apt install python{last} python{last}-venv, or uv python install {last}, "
        f"or pyenv install {last}",
    )


def obstacle(recipe: Recipe) -> InstallError | None:
    """Return why ``recipe`` cannot be made on this machine, None where nothing is known against it.

    Asks interpreters for their version unless the one that runs onnxbench fits; nothing is made.
    """
    machine = f"{platform.system()} {platform.machine()}"
    if recipe.machines and machine not in recipe.machines:
        wanted = ", ".join(recipe.machines)
        return InstallError(
            f"{recipe.name} has wheels for {wanted}; this is {machine}", "use another runtime"
        )
    try:
        find_python(recipe)
    except InstallError as error:
        return error
    return None


def _fits(version: str, recipe: Recipe) -> bool:
    major, minor = map(int, version.split(".")[:2])
    first, last = recipe.python
    return first <= (major, minor) <= last


def _candidates(recipe: Recipe) -> Iterator[Path]:
    """Yield the interpreters to ask, the preferred ones first; none of them twice."""
    (major, first), (_, last) = recipe.python
    minors = [f"{major}.{minor}" for minor in range(last, first - 1, -1)]
    asked: set[Path] = set()
    for path in (
        Path(sys.executable),
        *(path for minor in minors for path in _of_version(minor)),
        *_on_path("python3"),
    ):
        if path not in asked and os.access(path, os.X_OK):
            asked.add(path)
            yield path


def _of_version(minor: str) -> Iterator[Path]:
    """Yield where a Python ``minor`` ("3.12") may be."""
    yield from _on_path(f"python{minor}")
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{minor}*/bin/python"), reverse=True)
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python")
    yield from sorted(uv.glob(f"cpython-{minor}*/bin/python{minor}"), reverse=True)


def _on_path(program: str) -> Iterator[Path]:
    """Yield every ``program`` on PATH, not the first one alone: that may be a shim of pyenv."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if os.path.isabs(folder):  # noqa: PTH117 - "" is a Path too: the working folder
            yield Path(folder, program + (".exe" if os.name == "nt" else ""))


def _ask(path: Path) -> str | None:
    """Return the version of the CPython at ``path``, None if it cannot make environments."""
    try:
        done = subprocess.run(
            [path, "-I", "-c", _QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    is_version = len(words) == 1 and all(map(str.isdecimal, words[0].split(".")))
    return words[0] if done.returncode == 0 and is_version else None
