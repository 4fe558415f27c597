"""Which Python an exporter runs in; what it says when there is none."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from onnxbench.environments import choice, installed, interpreter_for, runtime_interpreter
from onnxbench.environments.installed import Installed, claim, python_of, write_stamp
from onnxbench.errors import AdapterError, ExportError
from onnxbench.runtimes import ncnn, onnxruntime


def exporter(modules: Sequence[str], environment: str = "", packages: Sequence[str] = ()) -> Any:
    return SimpleNamespace(
        name="some",
        revision=1,
        modules=tuple(modules),
        distributions=tuple(packages),
        environment=environment,
    )


def make(place: Path, name: str, **versions: str) -> Installed:
    folder = place / "environments" / name
    claim(folder)
    python_of(folder).parent.mkdir()
    python_of(folder).symlink_to(sys.executable)
    made = Installed(name, folder, python_of(folder), "3.11.7", (), versions, 1.0, 1, "now")
    write_stamp(made)
    return made


def test_this_python_is_taken_when_it_has_the_modules(place: Path) -> None:
    make(place, "torch", numpy="0.1")
    found = interpreter_for(exporter(["numpy", "json"], "torch", ["NumPy", "no-such-thing"]))
    import numpy as np

    assert found.path == Path(sys.executable)
    assert found.environment is None
    assert found.versions == {"NumPy": np.__version__}


def test_else_the_environment_with_the_versions_of_its_stamp(place: Path) -> None:
    made = make(place, "torch", Absent_Thing="2.1", other="3")
    found = interpreter_for(exporter(["absent_thing"], "torch", ["absent-thing", "gone"]))
    assert found.path == made.interpreter
    assert found.environment == "torch"
    assert found.versions == {"absent-thing": "2.1"}


def test_nothing_is_imported_to_find_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "explosive").mkdir()
    (tmp_path / "explosive" / "__init__.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    assert interpreter_for(exporter(["explosive", "explosive.inner"])).environment is None
    assert "explosive" not in sys.modules


def test_a_folder_that_is_called_like_a_module_is_not_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "paddle_absent").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ExportError, match="needs paddle_absent"):
        interpreter_for(exporter(["paddle_absent"]))


@pytest.mark.parametrize(
    ("environment", "message", "hint"),
    [
        (
            "torch",
            "some needs absent, which this Python lacks; the environment torch is not installed",
            "onnxbench install torch, or pip install 'onnxbench[torch]'",
        ),
        (
            "paddle",
            "some needs absent, which this Python lacks; the environment paddle is not installed",
            "onnxbench install paddle",
        ),
        ("", "some needs absent, which this Python lacks", "pip install absent-package"),
    ],
)
def test_without_any_it_says_what_to_install(environment: str, message: str, hint: str) -> None:
    with pytest.raises(ExportError) as caught:
        interpreter_for(exporter(["absent", "json"], environment, ["absent-package"]))
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_an_unusable_environment_is_called_that(place: Path) -> None:
    python_of(make(place, "torch").folder).unlink()
    with pytest.raises(ExportError, match="torch cannot be used: its Python has gone"):
        interpreter_for(exporter(["absent"], "torch"))


def test_answers_are_remembered_until_something_is_installed(place: Path) -> None:
    made = make(place, "torch", torch="2")
    asked = exporter(["absent"], "torch", ["torch"])
    before = interpreter_for(asked)
    began = time.perf_counter()
    for _ in range(200):
        assert interpreter_for(asked) == before
    assert time.perf_counter() - began < 0.2
    installed_again = installed("torch")
    assert installed_again == made
    (made.folder / "environment.json").unlink()
    choice.forget()
    with pytest.raises(ExportError):
        interpreter_for(asked)


def test_another_home_is_another_answer(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(place, "torch")
    assert interpreter_for(exporter(["absent"], "torch")).environment == "torch"
    monkeypatch.setenv("ONNXBENCH_HOME", str(tmp_path / "other"))
    with pytest.raises(ExportError):
        interpreter_for(exporter(["absent"], "torch"))


NCNN: Any = ncnn.NCNN
CPU: Any = onnxruntime.CPU
COREML: Any = onnxruntime.COREML


class TestRuntime:
    def test_this_python_goes_first(self, place: Path) -> None:
        make(place, "torch")
        interpreter, found = runtime_interpreter(CPU)
        assert interpreter.path == Path(sys.executable)
        assert found.available
        assert found.environment is None
        assert interpreter.versions["onnxruntime"] == found.version

    def test_else_the_environment_with_the_versions_of_its_stamp(self, place: Path) -> None:
        made = make(place, "ncnn", ncnn="1.2", PNNX="3", numpy="2")
        interpreter, found = runtime_interpreter(NCNN)
        assert interpreter.path == made.interpreter
        assert interpreter.versions == {"ncnn": "1.2", "pnnx": "3"}
        assert (found.available, found.environment) == (True, "ncnn")
        assert (found.distribution, found.version) == ("ncnn", "1.2")
        assert (found.reason, found.hint) == ("", "")

    def test_without_one_the_probe_says_what_to_type(self) -> None:
        interpreter, found = runtime_interpreter(NCNN)
        assert interpreter.path == Path(sys.executable)
        assert not found.available
        assert found.hint == "onnxbench install ncnn"
        assert "cannot be used" not in found.reason

    def test_one_that_is_half_made_is_called_that(self, place: Path) -> None:
        claim(place / "environments" / "ncnn")
        _, found = runtime_interpreter(NCNN)
        assert not found.available
        assert found.reason.endswith(
            "the environment ncnn cannot be used: its installation did not end"
        )

    @pytest.mark.skipif(sys.platform == "darwin", reason="is about other systems")
    def test_what_is_impossible_is_not_looked_for(self, place: Path) -> None:
        _, found = runtime_interpreter(COREML)
        assert not found.possible


class Hanging:
    """A plug-in's adapter whose probe does not come back."""

    name = "hanging"

    def probe(self) -> Any:
        threading.Event().wait()


def test_a_probe_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "PROBE_S", 0.05)
    with pytest.raises(AdapterError, match="probe of hanging did not come back"):
        runtime_interpreter(Hanging())  # type: ignore[arg-type]
