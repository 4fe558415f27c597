"""A private home, and packages made here, so that pip needs no registry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from onnxbench.environments import choice
from tests.environments.packages import wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def place(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Environments of this test alone, and a pip that knows no other packages than `wheels`."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, setting in {
        "ONNXBENCH_HOME": tmp_path / "home",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": 1,
        "PIP_FIND_LINKS": wheels,
    }.items():
        monkeypatch.setenv(name, str(setting))
    choice.forget()
    yield tmp_path / "home"
    choice.forget()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels: tiny 1.0; needy 1.0, which wants what nobody has; broken 1.0."""
    folder = tmp_path_factory.mktemp("wheels")
    wheel(folder, "tiny", "VALUE = 1\n__version__ = '1.0 of its own'\n")
    wheel(folder, "needy", "VALUE = 2\n", "Requires-Dist: nobody-has-this\n")
    wheel(folder, "broken", "raise RuntimeError('not on \\x1b[31mthis machine')\n")
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Callable[[str], str]:
    """Makes a package that pip must build, whose build runs the given code."""

    def make(code: str) -> str:
        folder = tmp_path / "source"
        folder.mkdir()
        (folder / "pyproject.toml").write_text(
            "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
            "[project]\nname = 'built'\nversion = '1.0'\n"
        )
        (folder / "backend.py").write_text(
            f"def build_wheel(*_):\n    {code}\nprepare_metadata_for_build_wheel = build_wheel\n"
        )
        return f"built @ {folder.as_uri()}"

    return make
