"""The table: exact pins, the ones that the tests run with, and names that lead to one row."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import onnxbench
from onnxbench import registry
from onnxbench.environments import RECIPES, Recipe, find, normal
from onnxbench.errors import UsageError
from onnxbench.protocols import FileSource

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE = Path(onnxbench.__file__).parent.parent


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
class TestRow:
    def test_every_package_is_pinned(self, recipe: Recipe) -> None:
        for pin in recipe.pins:
            assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", pin), pin

    def test_a_package_is_asked_for_once(self, recipe: Recipe) -> None:
        names = [normal(pin.partition("==")[0]) for pin in recipe.pins]
        assert len(names) == len(set(names))

    def test_there_is_a_python_for_it(self, recipe: Recipe) -> None:
        first, last = recipe.python
        assert first <= last
        assert first[0] == last[0]

    def test_machines_are_a_system_and_a_processor(self, recipe: Recipe) -> None:
        for machine in recipe.machines:
            assert re.fullmatch(r"(Linux|Darwin|Windows) \w+", machine), machine

    def test_its_extra_exists(self, recipe: Recipe) -> None:
        project = tomllib.loads((CLONE / "pyproject.toml").read_text())["project"]
        assert not recipe.extra or recipe.extra in project["optional-dependencies"]


def test_an_extra_is_tested_with_the_pins_of_its_environment() -> None:
    lines = (CLONE / "constraints.txt").read_text().splitlines()
    tested = {normal(line.partition("==")[0]): line for line in lines if "==" in line}
    for pin in find("torch").pins:
        assert tested[normal(pin.partition("==")[0])] == pin


def test_no_name_leads_to_two_rows() -> None:
    names = [name for recipe in RECIPES for name in (recipe.name, *recipe.serves)]
    assert len(names) == len(set(names))


def test_what_an_environment_serves_finds_it() -> None:
    assert find("timm") is find("torchvision") is find("torch")
    assert find("paddleclas").name == "paddle"


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no environment torhc") as caught:
        find("torhc")
    assert "torch" in caught.value.hint


def test_every_exporter_names_an_environment_that_has_its_modules() -> None:
    for registered in registry.exporters():
        exporter = registry.load(registered)
        if isinstance(exporter, FileSource) or not exporter.environment:  # type: ignore[attr-defined]
            continue
        environment = find(exporter.environment)  # type: ignore[attr-defined]
        assert environment.name == exporter.environment, "its folder's name"  # type: ignore[attr-defined]
        packages = {normal(pin.partition("==")[0]) for pin in environment.pins}
        assert {normal(name) for name in exporter.distributions} <= packages  # type: ignore[attr-defined]


def runtimes() -> Iterator[tuple[str, Any]]:
    """Our runtimes that have an environment, by the name that people type."""
    for registered in registry.runtimes():
        adapter: Any = registry.load(registered)
        if adapter.environment:
            yield registered.name, adapter


def test_every_runtime_names_an_environment_that_has_its_own_package() -> None:
    found = dict(runtimes())
    assert {"openvino", "ncnn", "mnn", "tract"} <= set(found)
    for adapter in found.values():
        environment = find(adapter.environment)
        assert environment.name == adapter.environment, "its folder's name"
        packages = {normal(pin.partition("==")[0]) for pin in environment.pins}
        assert normal(adapter.distributions[0]) in packages


def test_a_runtime_can_be_installed_by_its_name() -> None:
    for name, adapter in runtimes():
        assert find(name).name == adapter.environment
