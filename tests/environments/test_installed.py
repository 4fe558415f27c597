"""What counts as installed: a stamp that is whole, in a folder of ours, with a Python behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from onnxbench.environments import Installed, all_installed, home, installed, names, why_unusable
from onnxbench.environments.installed import (
    MARKER,
    STAMP,
    claim,
    folder_of,
    python_of,
    remove,
    write_stamp,
)
from onnxbench.errors import InstallError, UsageError
from tests.environments.packages import recipe


@pytest.fixture
def little(place: Path) -> Installed:
    """An environment as `install` would leave it, without pip."""
    folder = place / "environments" / "little"
    claim(folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    made = Installed(
        name="little",
        folder=folder,
        interpreter=python_of(folder),
        python="3.11.7",
        pins=("tiny==1.0",),
        versions={"tiny": "1.0"},
        seconds=3.5,
        size_bytes=1000,
        created="2026-11-22T14:00:00+00:00",
        reports={"tiny": "1.0-build 7"},
    )
    write_stamp(made)
    return made


def test_what_was_written_is_read(little: Installed) -> None:
    assert installed("little") == little
    assert all_installed() == [little]
    assert why_unusable("little") == ""
    assert subprocess.run([little.interpreter, "-c", ""], check=False).returncode == 0


def test_nothing_is_installed_where_nothing_is(place: Path) -> None:
    assert installed("little") is None
    assert why_unusable("little") == ""
    assert all_installed() == []
    assert not place.exists(), "asking makes no folder"


def test_other_pins_are_another_environment(little: Installed) -> None:
    assert little.matches(recipe("tiny==1.0"))
    assert not little.matches(recipe("tiny==1.1"))
    assert not little.matches(recipe("tiny==1.0", without_dependencies=("needy==1.0",)))


@pytest.mark.parametrize(
    "stamp",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"schema": 1}',
        b'{"schema": 2, "name": "little"}',
    ],
    ids=["empty", "cut", "list", "null", "binary", "deep", "bare", "newer"],
)
def test_a_damaged_stamp_is_no_environment(little: Installed, stamp: bytes) -> None:
    (little.folder / STAMP).write_bytes(stamp)
    assert installed("little") is None
    assert all_installed() == []
    assert why_unusable("little") == f"its {STAMP} is damaged"


@pytest.mark.parametrize("field", ["python", "pins", "versions", "seconds", "size_bytes"])
def test_a_stamp_with_a_wrong_field_is_damaged(little: Installed, field: str) -> None:
    stamp = json.loads((little.folder / STAMP).read_text())
    del stamp[field]
    (little.folder / STAMP).write_text(json.dumps(stamp))
    assert why_unusable("little") == f"its {STAMP} is damaged"


def test_a_stamp_from_before_there_were_reports_is_good(little: Installed) -> None:
    stamp = json.loads((little.folder / STAMP).read_text())
    del stamp["reports"]
    (little.folder / STAMP).write_text(json.dumps(stamp))
    found = installed("little")
    assert found is not None
    assert found.reports == {}


@pytest.mark.parametrize("field", ["versions", "reports"])
def test_a_stamp_with_a_list_for_a_table_is_damaged(little: Installed, field: str) -> None:
    stamp = json.loads((little.folder / STAMP).read_text())
    (little.folder / STAMP).write_text(json.dumps({**stamp, field: ["tiny"]}))
    assert why_unusable("little") == f"its {STAMP} is damaged"


def test_a_stamp_for_another_name_is_damaged(little: Installed) -> None:
    little.folder.rename(little.folder.with_name("moved"))
    assert why_unusable("moved") == f"its {STAMP} is damaged"


def test_without_a_stamp_the_installation_did_not_end(little: Installed) -> None:
    (little.folder / STAMP).unlink()
    assert installed("little") is None
    assert why_unusable("little") == "its installation did not end"
    assert names() == ["little"]


def test_a_python_that_was_uninstalled_is_noticed(little: Installed) -> None:
    for link in (little.folder / "bin").iterdir():
        if link.is_symlink():
            link.unlink()
            link.symlink_to("/nowhere/python")
    assert installed("little") is None
    assert why_unusable("little") == "its Python has gone"


def test_a_folder_of_somebody_else_is_neither_listed_nor_taken(place: Path) -> None:
    folder = place / "environments" / "theirs"
    folder.mkdir(parents=True)
    (folder / "precious").touch()
    assert names() == []
    assert why_unusable("theirs") == "its folder was not made by onnxbench"
    with pytest.raises(InstallError, match="onnxbench did not make it"):
        claim(folder)
    assert (folder / "precious").exists()


def test_a_folder_with_an_impossible_name_is_passed_over(place: Path) -> None:
    folder = place / "environments" / "\x1b[31m"
    folder.mkdir(parents=True)
    (folder / MARKER).touch()
    assert names() == []
    assert all_installed() == []


def test_a_link_is_not_followed(little: Installed) -> None:
    link = little.folder.with_name("link")
    link.symlink_to(little.folder)
    assert names() == ["little"]
    with pytest.raises(InstallError):
        claim(link)
    assert installed("little") == little


def test_an_environment_is_claimed_anew_without_what_was_in_it(little: Installed) -> None:
    claim(little.folder)
    assert [path.name for path in little.folder.iterdir()] == [MARKER]


def test_removal_takes_the_stamp_first_and_the_marker_last(
    little: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(KeyboardInterrupt):
        remove(little.folder)
    assert why_unusable("little") == "its installation did not end"
    assert names() == ["little"], "it can still be removed"
    monkeypatch.undo()


def test_removal_does_not_follow_links_out_of_the_folder(little: Installed, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    (little.folder / "link").symlink_to(outside)
    remove(little.folder)
    assert not little.folder.exists()
    assert (outside / "precious").exists()


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "/etc", "A", "-r", "x" * 80, "a\n"])
def test_a_name_that_is_no_name_reaches_no_folder(name: str) -> None:
    with pytest.raises(UsageError, match="is no name of an environment"):
        folder_of(name)


def test_a_stamp_that_cannot_be_finished_leaves_the_old_one(
    little: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write_stamp(replace(little, python="3.12.0"))
    assert installed("little") == little


class TestHome:
    def test_the_variable_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ONNXBENCH_HOME", str(tmp_path))
        assert home() == tmp_path

    def test_a_relative_one_means_the_working_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ONNXBENCH_HOME", "here")
        assert home() == tmp_path / "here"

    @pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="XDG is for Linux")
    def test_then_comes_xdg(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("ONNXBENCH_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
        assert home() == tmp_path / ".local/share/onnxbench"
        monkeypatch.setenv("XDG_DATA_HOME", "/data")
        assert home() == Path("/data/onnxbench")
