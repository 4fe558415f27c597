"""``list runtimes``: installed and where, installable and how, or impossible and why."""

from __future__ import annotations

import os
import platform
from typing import Any

import pytest

from onnxbench import environments, registry
from onnxbench.cli import runtimes
from onnxbench.environments import Recipe, choice
from onnxbench.environments.installed import claim
from onnxbench.runtimes import onnxruntime as adapters
from tests.cli.command import Typed, onnxbench
from tests.environments.packages import recipe
from tests.runtimes.running import installed_environment


@pytest.fixture
def listed(typed: Typed) -> dict[str, dict[str, Any]]:
    """The rows, by name, of a home without environments."""
    document = typed("list", "runtimes", "--json").document
    return {row["name"]: row for row in document["runtimes"]}


def test_nothing_is_left_open(listed: dict[str, dict[str, Any]]) -> None:
    assert len(listed) >= 17
    for row in listed.values():
        assert row["usable"] is (row["state"] == "installed")
        assert row["usable"] is (row["where"] is not None)
        if not row["usable"]:
            assert row["reason"]
            assert row["hint"]


def test_here(listed: dict[str, dict[str, Any]]) -> None:
    cpu = listed["cpu"]
    assert (cpu["state"], cpu["where"], cpu["package"]) == (
        "installed",
        "this Python",
        "onnxruntime",
    )
    assert cpu["version"]


def test_what_to_type(listed: dict[str, dict[str, Any]]) -> None:
    assert listed["ncnn"]["state"] == "installable"
    assert listed["ncnn"]["hint"] == "onnxbench install ncnn"
    assert "ncnn" in listed["ncnn"]["reason"]


@pytest.mark.skipif(platform.system() != "Linux", reason="is about Linux")
def test_what_no_package_helps(listed: dict[str, dict[str, Any]]) -> None:
    assert listed["dml"]["state"] == listed["coreml"]["state"] == "impossible here"
    assert "needs Windows, this is Linux" in listed["dml"]["reason"]
    assert listed["xnnpack"]["state"] == "impossible here"
    assert listed["coreml"]["unverified"] == "no Mac has run it yet"


def test_an_environment_that_is_here(monkeypatch: pytest.MonkeyPatch, typed: Typed) -> None:
    made = installed_environment(monkeypatch, "openvino")
    choice.forget()
    rows = {row["name"]: row for row in typed("list", "runtimes", "--json").document["runtimes"]}
    row = rows["openvino"]
    assert (row["state"], row["where"]) == ("installed", "environment openvino")
    assert row["version"] == made.versions["openvino"]
    assert row["reason"] == ""
    choice.forget()


def test_an_environment_that_is_half_made(typed: Typed) -> None:
    claim(environments.home() / "environments" / "ncnn")
    choice.forget()
    rows = {row["name"]: row for row in typed("list", "runtimes", "--json").document["runtimes"]}
    assert rows["ncnn"]["state"] == "installable"
    assert "its installation did not end" in rows["ncnn"]["reason"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"machines": ("Plan9 mips",)}, "wheels for Plan9 mips; this is "),
        ({"python": ((3, 98), (3, 99))}, "needs a Python 3.98 to 3.99"),
    ],
)
def test_no_wheel_or_no_python_for_it(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], reason: str
) -> None:
    made: Recipe = recipe("tiny==1.0", name="webgpu", serves=(), **changes)
    monkeypatch.setattr(environments.recipes, "RECIPES", (made,))
    (registered,) = (each for each in registry.runtimes() if each.name == "webgpu")
    assert registry.load(registered) is adapters.WEBGPU
    row = runtimes.row(registered)
    assert row["state"] == "impossible here"
    assert reason in row["reason"]
    assert row["hint"]


def test_in_words_at_80_columns() -> None:
    ran = onnxbench("list", "runtimes", env={**os.environ, "COLUMNS": "80"})
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "onnxbench install mnn" in ran.out
    assert "this Python" in ran.out
    assert "unverified: no" in ran.out
