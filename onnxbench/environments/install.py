"""Makes an environment: venv, pip, a look at what came of it, and the stamp; or none of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onnxbench.environments import child, choice, installed
from onnxbench.environments.installed import Installed
from onnxbench.environments.interpreters import Python, find_python
from onnxbench.errors import InstallError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from onnxbench.environments.recipes import Recipe

IMPORT_SECONDS = 300.0
"""How long all modules together may take to import; torch from a cold disk takes about 20 s."""

POLL_SECONDS = 0.25

ROOM = 1.25
"""Free disk that must be there, as a multiple of what the environment takes: pip unpacks beside
what it has downloaded."""

_PIP = ("-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--no-user",
        "--progress-bar=off")  # fmt: skip

_VERSIONS = """
import json
from importlib.metadata import distributions
print(json.dumps({d.metadata["Name"]: d.version for d in distributions()}))
"""

_IMPORTS = """
import importlib, sys
for name in sys.argv[1:]:
    print("importing", name, flush=True)
    module = importlib.import_module(name)
    version = getattr(module, "__version__", None) or getattr(module, "version", None)
    version = version() if callable(version) else version
    if isinstance(version, str):
        print("imported", name, version, flush=True)
"""


def install(recipe: Recipe, *, say: Callable[[str], None], reinstall: bool = False) -> Installed:
    """Make the environment of ``recipe``, and return it; one that is up to date is left alone.

    ``say`` gets every line that pip prints and every step of ours, on one line each and safe to
    show. ``reinstall``: build it anew. A second install of the same name waits for the first.

    Raises InstallError: no fitting Python, no room, pip failed, or a module does not import. What
    was made up to then is removed, also after Ctrl-C; the environment that was there before is
    gone then too.
    """
    with _alone(recipe.name, say):
        before = installed.installed(recipe.name)
        if before is not None and before.matches(recipe) and not reinstall:
            return before
        folder = installed.folder_of(recipe.name)
        _check_room(recipe, folder)
        python = find_python(recipe)
        installed.claim(folder)
        try:
            made = _build(recipe, python, folder, say)
        except OSError as error:
            installed.remove(folder)
            message = f"{recipe.name}: {error}"
            raise InstallError(message, "free what the message names, and try again") from error
        except BaseException:
            installed.remove(folder)
            raise
        finally:
            choice.forget()
        return made


def _build(recipe: Recipe, python: Python, folder: Path, say: Callable[[str], None]) -> Installed:
    started = time.monotonic()
    say(f"making an environment with Python {python.version}")
    _step(recipe, [python.path, "-m", "venv", folder], say, folder)
    interpreter = installed.python_of(folder)
    inside: list[str | Path] = [interpreter, "-I"]
    say(f"installing {', '.join(recipe.pins)}")
    _step(recipe, [*inside, *_PIP, *recipe.requirements], say, folder)
    if recipe.without_dependencies:
        _step(recipe, [*inside, *_PIP, "--no-deps", *recipe.without_dependencies], say, folder)
    versions = _versions(inside, folder)
    _check_pins(recipe, versions)
    reports = _check_imports(recipe, inside, say, folder)
    made = Installed(
        name=recipe.name,
        folder=folder,
        interpreter=interpreter,
        python=python.version,
        pins=recipe.pins,
        versions=versions,
        seconds=round(time.monotonic() - started, 1),
        size_bytes=installed.size_of(folder),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        reports=reports,
    )
    installed.write_stamp(made)
    return made


def uninstall(name: str) -> int:
    """Remove the environment ``name``, complete or not, and return the bytes that are free now.

    Raises UsageError when there is none, InstallError when the folder is not one of ours.
    """
    folder = installed.existing(name)
    with _alone(name, lambda _: None):
        size = installed.size_of(folder)
        installed.remove(folder)
        choice.forget()
    return size


@contextmanager
def _alone(name: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock on one name; the kernel releases it when its holder dies."""
    path = installed.folder_of(name).with_name(f".{name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        message = f"cannot write to {path.parent}: {error.strerror}"
        raise InstallError(message, "set ONNXBENCH_HOME to a folder that you own") from error
    try:
        _wait_for(fd, name, say)
        yield
    finally:
        os.close(fd)


def _wait_for(fd: int, name: str, say: Callable[[str], None]) -> None:
    try:
        import fcntl  # noqa: PLC0415 - absent on Windows
    except ImportError:
        return
    is_said = False
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not is_said:
                say(f"waiting: another onnxbench is installing {name}")
                is_said = True
            time.sleep(POLL_SECONDS)
        else:
            return


def _check_room(recipe: Recipe, folder: Path) -> None:
    """Raise InstallError when the disk cannot hold the environment."""
    free = shutil.disk_usage(folder.parent).free
    if folder.exists():  # it will be removed first
        with contextlib.suppress(OSError):
            free += installed.size_of(folder)
    needed = int(recipe.size_bytes * ROOM)
    if free < needed:
        raise InstallError(
            f"{recipe.name} needs about {needed >> 20:,} MiB of disk; {folder.parent} has "
            f"{free >> 20:,} MiB free",
            "free some, or set ONNXBENCH_HOME to a folder on another disk",
        )


def _step(
    recipe: Recipe, argv: Sequence[str | Path], say: Callable[[str], None], folder: Path
) -> None:
    """Run one command of the installation; InstallError says what it said last."""
    try:
        child.run(argv, say, folder=folder)
    except child.Failed as failed:
        reason = _last_meaningful(failed.lines)
        raise InstallError(f"{recipe.name}: {reason}", _hint(recipe, failed.lines)) from failed
    except OSError as error:
        message = f"{recipe.name}: cannot start {argv[0]}: {error.strerror}"
        raise InstallError(message, "onnxbench doctor") from error


def _last_meaningful(lines: Sequence[str]) -> str:
    """Return the last line that pip calls an error, else the last that is no warning."""
    errors = [
        line.removeprefix("ERROR: ")
        for line in lines
        # Of two lines about a conflict, the last one only leads to pip's manual.
        if line.startswith("ERROR: ") and not line.startswith("ERROR: ResolutionImpossible")
    ]
    others = [line for line in lines if not re.match(r"WARNING: |\[notice\]|note: |hint: ", line)]
    return (errors or others or ["pip failed without a word"])[-1]


def _hint(recipe: Recipe, lines: Sequence[str]) -> str:
    """Return what to do about a failed command, from what it printed."""
    text = "\n".join(lines)
    if re.search(r"No space left on device|Disk quota exceeded", text):
        return "free some disk, or set ONNXBENCH_HOME to a folder on another disk"
    if re.search(r"Retrying \(Retry\(|NewConnectionError|ConnectTimeout|ProxyError|SSLError", text):
        return (
            "the package index cannot be reached: check the network or the proxy, or point pip "
            "at a mirror or at a folder of wheels (pip config set global.find-links FOLDER)"
        )
    if re.search(r"No matching distribution found", text):
        wheels = f"there are wheels for {', '.join(recipe.machines)}" if recipe.machines else ""
        why = recipe.note or wheels
        return (
            "the index that pip is set up for (pip config list) has no such file for this Python "
            f"and processor{why and f'; {why}'}"
        )
    return "all that was said: the same command, with 2>&1 | cat behind it"


def _versions(inside: Sequence[str | Path], folder: Path) -> Mapping[str, str]:
    """Return every distribution of the environment with its version, by name."""
    try:
        lines = child.run([*inside, "-c", _VERSIONS], lambda _: None, folder=folder, seconds=60)
        found = json.loads(lines[-1])
    except (child.Failed, OSError, ValueError, IndexError) as error:
        message = f"{folder.name}: the new environment cannot say what it holds"
        raise InstallError(message, "try the same again") from error
    return {str(name): str(version) for name, version in sorted(found.items())}


def _check_pins(recipe: Recipe, versions: Mapping[str, str]) -> None:
    """Raise InstallError unless every pin was met: a user's own constraints may say otherwise."""
    have = {choice.normal(name): version for name, version in versions.items()}
    for pin in recipe.pins:
        name, _, wanted = pin.partition("==")
        found = have.get(choice.normal(name), "nothing")
        if found != wanted and found.partition("+")[0] != wanted:  # 2.13.0+cpu is 2.13.0
            message = f"{recipe.name}: pip was asked for {pin} and installed {found}"
            raise InstallError(message, "look for constraints of your own: pip config list")


def _check_imports(
    recipe: Recipe, inside: Sequence[str | Path], say: Callable[[str], None], folder: Path
) -> dict[str, str]:
    """Import the modules and return the versions that they give, of those that give one.

    Raises InstallError that names the first module which does not import.
    """
    try:
        argv = [*inside, "-c", _IMPORTS, *recipe.modules]
        lines = child.run(argv, say, folder=folder, seconds=IMPORT_SECONDS)
    except child.Failed as failed:
        tried = [line.split()[1] for line in failed.lines if line.startswith("importing ")]
        module = tried[-1] if tried else "its modules"
        why = (
            f"takes longer than {IMPORT_SECONDS:.0f} s"
            if failed.timed_out
            else f"fails: {failed.lines[-1] if failed.lines else 'without a word'}"
        )
        message = f"{recipe.name}: importing {module} {why}"
        raise InstallError(message, "try the same again; if it stays, report it") from failed
    said = (line.split(maxsplit=2) for line in lines if line.startswith("imported "))
    return {words[1]: words[2] for words in said if len(words) == 3}
