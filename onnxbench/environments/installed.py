"""The environments that are here: where they live, and the stamp that says one is complete.

An environment is the folder ``environments/NAME`` of `home`. The file ``environment.json`` in it is
written last, so a folder without it was left by an install that did not end; the empty file
``.onnxbench`` is written first, so nothing is ever removed that onnxbench did not make.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onnxbench import places
from onnxbench.errors import InstallError, UsageError
from onnxbench.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onnxbench.environments.recipes import Recipe

STAMP = "environment.json"
MARKER = ".onnxbench"
SCHEMA = 1
STAMP_BYTES = 1 << 20
"""Most that a stamp may hold; ours hold some kilobytes."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Installed:
    """A complete environment.

    ``interpreter``: its Python, of version ``python``. ``pins``: what pip was asked for;
    ``versions``: every distribution that came of it; ``reports``: the versions that modules gave
    when they were imported, by module. ``seconds``: what making it took.
    ``size_bytes``: of its files. ``created``: UTC, ISO 8601.
    """

    name: str
    folder: Path
    interpreter: Path
    python: str
    pins: tuple[str, ...]
    versions: Mapping[str, str]
    seconds: float
    size_bytes: int
    created: str
    reports: Mapping[str, str] = field(default_factory=dict)

    def matches(self, recipe: Recipe) -> bool:
        """Tell whether this is what ``recipe`` would make today."""
        return set(self.pins) == set(recipe.pins)


def home() -> Path:
    """Return the folder of what onnxbench keeps for good."""
    return places.home()


def folder_of(name: str) -> Path:
    """Return the folder of the environment ``name``. Raises UsageError for an impossible name."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of an environment", "onnxbench list environments")
    return home() / "environments" / name


def python_of(folder: Path) -> Path:
    """Return where `venv` puts the interpreter of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def names() -> list[str]:
    """Return the names of all environments that are here, complete or not."""
    try:
        found = [each.name for each in (home() / "environments").iterdir() if is_ours(each)]
    except OSError:  # nothing was ever installed
        return []
    return sorted(filter(_NAME.fullmatch, found))


def is_ours(folder: Path) -> bool:
    """Tell whether ``folder`` is an environment that onnxbench made, complete or not."""
    return not folder.is_symlink() and (folder / MARKER).is_file()


def all_installed() -> list[Installed]:
    """Return every complete environment, by name."""
    return [environment for name in names() if (environment := installed(name)) is not None]


def installed(name: str) -> Installed | None:
    """Return the environment ``name``, None when it is not here or not usable."""
    found = _read(folder_of(name))
    return found if isinstance(found, Installed) else None


def why_unusable(name: str) -> str:
    """Return what is wrong with the environment ``name``; "" when it is complete or not here."""
    found = _read(folder_of(name))
    return "" if isinstance(found, Installed) else found


def _read(folder: Path) -> Installed | str:
    """Return the environment in ``folder``, or why it is none ("": there is no such folder)."""
    if not folder.exists():
        return ""
    if not is_ours(folder):
        return "its folder was not made by onnxbench"
    try:
        with (folder / STAMP).open("rb") as file:
            stamp = json.loads(file.read(STAMP_BYTES))
        environment = _from_stamp(folder, stamp)
    except FileNotFoundError:
        return "its installation did not end"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return f"its {STAMP} is damaged"
    if not environment.interpreter.is_file():  # a link to a Python that has been uninstalled
        return "its Python has gone"
    return environment


def _from_stamp(folder: Path, stamp: dict[str, Any]) -> Installed:
    if stamp["schema"] != SCHEMA or stamp["name"] != folder.name:
        raise ValueError(stamp["schema"])
    return Installed(
        name=folder.name,
        folder=folder,
        interpreter=python_of(folder),
        python=str(stamp["python"]),
        pins=tuple(map(str, stamp["pins"])),
        versions={str(name): str(version) for name, version in dict(stamp["versions"]).items()},
        seconds=float(stamp["seconds"]),
        size_bytes=int(stamp["size_bytes"]),
        created=str(stamp["created"]),
        # Stamps of onnxbench 0.1 have none.
        reports={str(name): str(said) for name, said in dict(stamp.get("reports", {})).items()},
    )


def write_stamp(environment: Installed) -> None:
    """Declare ``environment`` complete, atomically."""
    stamp = {
        "schema": SCHEMA,
        "name": environment.name,
        "python": environment.python,
        "pins": environment.pins,
        "versions": dict(environment.versions),
        "seconds": environment.seconds,
        "size_bytes": environment.size_bytes,
        "created": environment.created,
        "reports": dict(environment.reports),
    }
    path = environment.folder / STAMP
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    draft.replace(path)


def existing(name: str) -> Path:
    """Return the folder of the environment ``name``, which is complete or not, but ours.

    Raises UsageError when there is none, InstallError when onnxbench did not make it.
    """
    folder = folder_of(name)
    if is_ours(folder):
        return folder
    if folder.is_symlink() or folder.exists():
        raise InstallError(f"{folder} was not made by onnxbench", "remove it yourself")
    raise UsageError(f"no environment {name} is installed", did_you_mean(name, names()))


def claim(folder: Path) -> None:
    """Make ``folder`` anew with our marker in it; what an earlier install left there goes.

    Raises InstallError when there is something that onnxbench did not make.
    """
    if is_ours(folder):
        remove(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FileExistsError
    except (FileExistsError, NotADirectoryError):
        message = f"{folder} exists, and onnxbench did not make it"
        raise InstallError(message, "move it away, or set ONNXBENCH_HOME") from None
    (folder / MARKER).touch()


def remove(folder: Path) -> None:
    """Delete an environment of ours.

    The stamp goes first and the marker last: one that is removed by half is neither usable nor
    left behind for ever.
    """
    for path in sorted(folder.iterdir(), key=lambda p: (p.name != STAMP, p.name == MARKER)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    folder.rmdir()


def size_of(folder: Path) -> int:
    """Return the bytes of all files below ``folder``; links count as links."""
    return sum(
        path.lstat().st_size for path in folder.rglob("*") if path.is_symlink() or path.is_file()
    )
