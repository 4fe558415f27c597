"""Real venvs made by real pip: complete or gone, whatever happens on the way."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from onnxbench.environments import (
    install,
    installed,
    names,
    uninstall,
    why_unusable,
)
from onnxbench.environments.install import _last_meaningful
from onnxbench.environments.installed import claim
from onnxbench.environments.interpreters import Python
from onnxbench.errors import InstallError, UsageError
from tests.environments.packages import THIS, recipe
from tests.environments.test_child import ends, is_running

pytestmark = pytest.mark.install

CHILD = """
import sys
from onnxbench.environments import Recipe, install
try:
    install(Recipe("little", (), (sys.argv[1],), (sys.version_info[:2],) * 2, (), 1), say=print)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture(scope="session")
def made_by_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def fast(made_by_venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python whose venv copies what the real one made before: seconds less for each test."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nexec cp -a "{made_by_venv}/." "$3"\n')
    script.chmod(0o755)
    found = Python(script, platform.python_version())
    monkeypatch.setattr(sys.modules[install.__module__], "find_python", lambda _: found)


def quiet(_: str) -> None:
    pass


def folders(place: Path) -> list[str]:
    """What is left below the environments, the locks aside."""
    below = place / "environments"
    return [each.name for each in below.iterdir() if not each.name.endswith(".lock")]


def test_an_environment_is_made_found_left_alone_rebuilt_and_removed(place: Path) -> None:
    said: list[str] = []
    both = recipe(without_dependencies=("needy==1.0",), modules=("tiny", "needy"))
    made = install(both, say=said.append)
    assert made == installed("little")
    assert made.versions.items() >= {"tiny": "1.0", "needy": "1.0"}.items()
    assert made.python.startswith(f"{THIS[0]}.{THIS[1]}.")
    assert made.seconds > 0
    on_disk = sum(p.lstat().st_size for p in made.folder.rglob("*") if not p.is_dir())
    assert on_disk - 2000 < made.size_bytes <= on_disk, "all but the stamp"
    code = "import sys, tiny; print(tiny.VALUE, sys.prefix)"
    ran = subprocess.run([made.interpreter, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1", str(made.folder)]
    assert any("Successfully installed tiny-1.0" in line for line in said)
    assert made.reports == {"tiny": "1.0 of its own"}

    said.clear()
    assert install(both, say=said.append) == made
    assert said == [], "up to date: nothing to do"

    (made.folder / "litter").touch()
    assert install(recipe(), say=quiet).pins == ("tiny==1.0",), "other pins, another one"
    assert not (made.folder / "litter").exists()

    assert uninstall("little") > 1 << 20
    assert folders(place) == []
    with pytest.raises(UsageError, match="no environment little is installed"):
        uninstall("little")


@pytest.mark.usefixtures("fast")
def test_what_pip_cannot_get_is_named_and_nothing_stays(place: Path) -> None:
    with pytest.raises(InstallError) as caught:
        install(recipe("needy==1.0", note="only on the moon"), say=quiet)
    assert "little: No matching distribution found for nobody-has-this" in caught.value.message
    assert "pip config list" in caught.value.hint
    assert caught.value.hint.endswith("only on the moon")
    assert folders(place) == []


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            [
                "ERROR: Cannot install a==1 because these package versions have conflicts.",
                "ERROR: ResolutionImpossible: for help visit the manual",
                "[notice] A new release of pip is available",
            ],
            "Cannot install a==1 because these package versions have conflicts.",
        ),
        (["Killed", "WARNING: Location 'x' is ignored: it is not there"], "Killed"),
        (["WARNING: only that"], "pip failed without a word"),
        ([], "pip failed without a word"),
    ],
)
def test_the_reason_is_what_pip_calls_an_error(lines: list[str], reason: str) -> None:
    assert _last_meaningful(lines) == reason


@pytest.mark.usefixtures("fast")
def test_a_closed_network_is_called_that(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(InstallError, match="No matching distribution found") as caught:
        install(recipe("absent==1.0"), say=quiet)
    assert "the package index cannot be reached" in caught.value.hint
    assert folders(place) == []


@pytest.mark.usefixtures("fast")
def test_a_module_that_does_not_import_is_named_and_nothing_stays(place: Path) -> None:
    with pytest.raises(InstallError) as caught:
        install(recipe("broken==1.0", modules=("broken",)), say=quiet)
    assert "importing broken fails: RuntimeError: not on" in caught.value.message
    assert "\x1b" not in caught.value.message
    assert folders(place) == []


@pytest.mark.usefixtures("fast")
def test_a_pin_that_pip_did_not_keep_is_an_error(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_DRY_RUN", "1")
    with pytest.raises(InstallError, match=r"asked for tiny==1\.0 and installed nothing"):
        install(recipe(), say=quiet)
    assert folders(place) == []


@pytest.mark.usefixtures("fast")
def test_hostile_output_of_a_build_is_made_safe(place: Path, source: Callable[[str], str]) -> None:
    said: list[str] = []
    code = r"print('\x1b]0;owned\x07\x9b31m\u202eevil' * 1000); raise SystemExit(1)"
    with pytest.raises(InstallError) as caught:
        install(recipe(source(code)), say=said.append)
    assert any("evil" in line for line in said)
    assert all(line.isprintable() for line in [*said, caught.value.message])
    assert folders(place) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_one_that_is_interrupted_is_never_taken_for_a_good_one(
    place: Path, tmp_path: Path, source: Callable[[str], str], number: signal.Signals
) -> None:
    build = tmp_path / "build"
    code = f"import os, pathlib, time; pathlib.Path({str(build)!r}).write_text(str(os.getpid())); "
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, source(code + "time.sleep(60)")],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    pid = 0
    try:
        deadline = time.monotonic() + 60
        while not (build.exists() and (text := build.read_text())):
            assert process.poll() is None, "it ended before it began to build"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        pid = int(text)
        process.send_signal(number)
        code_of = process.wait(30)
        assert installed("little") is None
        if number == signal.SIGINT:
            assert code_of == 130
            assert folders(place) == []
            assert ends(pid)
        else:
            assert why_unusable("little") == "its installation did not end"
            assert install(recipe(), say=quiet) == installed("little"), "built anew"
    finally:
        process.kill()
        process.wait()
        if pid and is_running(pid):  # SIGKILL leaves no time to end it
            os.killpg(os.getpgid(pid), signal.SIGKILL)


@pytest.mark.usefixtures("fast")
def test_the_second_of_two_waits_and_takes_what_the_first_made(place: Path) -> None:
    said: list[str] = []
    made = []
    both = [
        threading.Thread(target=lambda: made.append(install(recipe(), say=said.append)))
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert made[0] == made[1] == installed("little")
    assert said.count("waiting: another onnxbench is installing little") == 1
    assert sum("Successfully installed" in line for line in said) == 1


def test_without_a_fitting_python_what_is_there_stays(place: Path) -> None:
    claim(place / "environments" / "little")
    with pytest.raises(InstallError, match=r"needs a Python 2\.6 to 2\.7"):
        install(recipe(python=((2, 6), (2, 7))), say=quiet)
    assert names() == ["little"]


def test_a_disk_without_room_is_noticed_before_anything_is_made(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    with pytest.raises(InstallError, match=r"little needs about 1,250 MiB of disk; .* has 1 MiB"):
        install(recipe(size_bytes=1000 << 20), say=quiet)
    assert folders(place) == []


def test_a_folder_of_somebody_else_is_neither_built_over_nor_removed(place: Path) -> None:
    folder = place / "environments" / "little"
    folder.mkdir(parents=True)
    (folder / "precious").touch()
    with pytest.raises(InstallError, match="onnxbench did not make it"):
        install(recipe(), say=quiet)
    with pytest.raises(InstallError, match="was not made by onnxbench"):
        uninstall("little")
    assert (folder / "precious").exists()
    assert names() == []


def test_a_home_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ONNXBENCH_HOME", str(tmp_path / "file"))
    with pytest.raises(InstallError, match="cannot write to") as caught:
        install(recipe(), say=quiet)
    assert "ONNXBENCH_HOME" in caught.value.hint
