"""install and uninstall as people type them."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from onnxbench import environments, registry
from onnxbench.environments import Recipe, choice, recipes
from onnxbench.environments.installed import claim
from tests.cli.command import Typed, argv, end, ended, start
from tests.environments.packages import recipe, wheel


@pytest.fixture(autouse=True)
def home(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Environments of this test alone, and a pip without an index."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ONNXBENCH_HOME", str(place / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    choice.forget()
    yield place / "home"
    choice.forget()


@pytest.fixture
def two_recipes(place: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Recipe, Recipe]:
    """A table of two: one that pip can make here, one that it cannot."""
    wheels = place / "wheels"
    wheels.mkdir()
    wheel(wheels, "tiny", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    table = (recipe(), recipe("absent==1.0", name="other", serves=()))
    for module in (recipes, environments):
        monkeypatch.setattr(module, "RECIPES", table)
    return table


def test_without_a_name_it_lists_what_there_is(typed: Typed, home: Path) -> None:
    ran = typed("install", "--json")
    assert ran.code == 0
    rows = {row["name"]: row for row in ran.document["environments"]}
    assert rows["torch"]["status"] == rows["paddle"]["status"] == "not installed"
    assert rows["torch"]["hint"] == "onnxbench install torch"
    assert "timm" in rows["torch"]["serves"]
    assert typed("list", "environments", "--json").document == ran.document
    assert "torchvision" in typed("install").out
    assert not home.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["install", "paddel"], "did you mean paddle?"),
        (["install", "torch", "paddel"], "did you mean paddle?"),
        (["install", "ncn"], "did you mean ncnn?"),
        (["install", "openvinoep"], "did you mean openvino-ep?"),
        (["install", "cpu"], "cpu has no environment of its own"),
        (["install", "coreml"], "coreml has no environment of its own"),
        (["uninstall", "torch"], "no environment torch is installed"),
        (["uninstall", "../../etc"], "no environment ../../etc"),
        (["uninstall"], "Missing argument"),
    ],
)
def test_a_name_that_means_nothing_is_a_usage_error(
    typed: Typed, home: Path, words: list[str], message: str
) -> None:
    ran = typed(*words)
    assert ran.code == 2
    assert message in ran.err
    assert ran.out == ""
    assert not home.exists()


@pytest.mark.install
def test_some_are_made_and_some_fail(
    typed: Typed, home: Path, two_recipes: tuple[Recipe, Recipe]
) -> None:
    ran = typed("install", "other", "small", "little", "--json")
    assert ran.code == 3, ran.err
    failed, made = ran.document["environments"]
    assert (failed["name"], failed["status"]) == ("other", "failed")
    assert "absent==1.0" in failed["reason"]
    assert (made["name"], made["status"]) == ("little", "installed")
    assert made["versions"] == {"tiny": "1.0"}
    assert Path(made["interpreter"]).is_relative_to(home)
    assert made["size_bytes"] > 1 << 20
    assert "error: other: No matching distribution found for absent==1.0" in ran.err
    assert "little: installing tiny==1.0" in ran.err, "progress is on stderr"

    again = typed("install", "small")
    assert (again.code, again.err) == (0, "")
    assert "up to date" in again.out

    rows = {
        row["name"]: row for row in typed("list", "environments", "--json").document["environments"]
    }
    assert rows["little"]["status"] == "installed"
    assert rows["other"]["status"] == "not installed"

    gone = typed("uninstall", "small", "--json")
    assert gone.code == 0
    assert gone.document["environments"][0]["freed_bytes"] > 1 << 20
    assert list((home / "environments").glob("little*")) == []


@pytest.mark.install
def test_ctrl_c_leaves_nothing(home: Path) -> None:
    process = start("install", "torch")
    try:
        assert process.stderr is not None
        assert b"making an environment" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        ran = end(process)
    finally:
        process.kill()
    assert ran.code == 130
    assert "interrupted" in ran.err
    assert [path.name for path in (home / "environments").iterdir()] == [".torch.lock"]


def test_what_an_interrupted_install_left_is_listed_and_can_be_removed(
    typed: Typed, home: Path
) -> None:
    claim(home / "environments" / "torch")
    claim(home / "environments" / "of-an-older-version")
    rows = {
        row["name"]: row for row in typed("list", "environments", "--json").document["environments"]
    }
    assert rows["torch"]["status"] == "unusable: its installation did not end"
    assert rows["torch"]["hint"] == "onnxbench install torch"
    assert rows["of-an-older-version"]["hint"] == "onnxbench uninstall of-an-older-version"
    (row,) = (row for row in doctor(typed) if row["name"] == "torch")
    assert row["problem"] == "its installation did not end"
    assert "environment torch: unusable" in typed("doctor").out
    assert typed("uninstall", "timm", "of-an-older-version").code == 0
    assert environments.names() == []


def doctor(typed: Typed) -> list[dict[str, object]]:
    found: list[dict[str, object]] = typed("doctor", "--json").document["doctor"]["environments"]
    return found


class TestListExporters:
    @pytest.fixture
    def announced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Three exporters of somebody else: one of this Python, one of none, one that breaks."""
        plain = {"revision": 1, "environment": "", "load": None}
        found = {
            "here": SimpleNamespace(
                name="here", modules=("numpy",), distributions=("numpy",), **plain
            ),
            "nowhere": SimpleNamespace(
                name="nowhere", modules=("absent",), distributions=("absent",), **plain
            ),
            "broken": SimpleNamespace(name="broken"),
        }
        plugins = [registry.Registered(name, "a:b", "somebody") for name in found]
        monkeypatch.setattr(registry, "exporters", lambda: plugins)
        monkeypatch.setattr(registry, "load", lambda plugin: found[plugin.name])

    def test_says_where_each_would_run_or_what_it_lacks(
        self, typed: Typed, announced: None
    ) -> None:
        document = typed("list", "exporters", "--json").document
        rows = {row["name"]: row for row in document["exporters"]}
        assert rows["here"]["where"] == "this Python"
        assert rows["here"]["packages"][0].startswith("numpy ")
        assert rows["nowhere"]["usable"] is False
        assert "needs absent" in rows["nowhere"]["reason"]
        assert rows["nowhere"]["hint"] == "pip install absent"
        assert rows["broken"]["hint"] == "update or uninstall somebody"

    def test_one_that_takes_files_is_always_usable(self, typed: Typed) -> None:
        document = typed("list", "exporters", "--json").document
        rows = {row["name"]: row for row in document["exporters"]}
        assert rows["file"]["usable"] is True


@pytest.mark.install
def test_the_only_one_fails_on_a_terminal(home: Path) -> None:
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        argv("install", "torch", "timm"),
        stdout=subprocess.PIPE,
        stderr=other_end,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(other_end)
    seen = b""
    with contextlib.suppress(OSError), ended(process):  # EIO: the command has gone
        while chunk := os.read(terminal, 1 << 16):
            seen += chunk
    os.close(terminal)
    assert process.returncode == 4
    assert b"0:00:0" in seen, "time passes"
    assert b"\x1b[?25h" in seen, "the cursor is back"
    assert seen.count(b"error: ") == 1, "both names mean one environment"
    assert b"No matching distribution found for torch==" in seen
    assert seen.rstrip().split(b"\n")[-1].startswith(b"hint: ")
    assert [path.name for path in (home / "environments").iterdir()] == [".torch.lock"]
