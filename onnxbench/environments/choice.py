"""Which Python an exporter or a runtime runs in: this one, or that of an environment."""

from __future__ import annotations

import importlib.util
import re
import sys
import threading
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.environments import installed
from onnxbench.environments.recipes import RECIPES
from onnxbench.errors import AdapterError, ExportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxbench.environments.installed import Installed
    from onnxbench.protocols import Exporter, RuntimeAdapter
    from onnxbench.types import Capability


PROBE_S = 10.0
"""Seconds that a probe may take, which looks for packages and files and imports nothing."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that an exporter can run in.

    ``environment``: the name of the one that it belongs to, None for the Python that runs this.
    ``versions``: of those of the exporter's distributions that are there, by their name.
    """

    path: Path
    environment: str | None
    versions: Mapping[str, str]


def interpreter_for(exporter: Exporter, also: Sequence[str] = ()) -> Interpreter:
    """Return the Python that ``exporter`` is to run in. Nothing is imported to find out.

    ``also``: further distributions whose versions are wanted. Raises ExportError that says what to
    install. Answers are remembered until an environment is installed or removed in this process.
    """
    wanted = (*exporter.distributions, *also)
    here = interpreter_here(tuple(exporter.modules), wanted)
    if here is not None:
        return here
    environment = _environment(exporter.environment, installed.home())
    if environment is not None:
        have = {normal(name): version for name, version in environment.versions.items()}
        versions = {name: have[normal(name)] for name in wanted if normal(name) in have}
        return Interpreter(environment.interpreter, environment.name, versions)
    raise ExportError(_absence(exporter), _remedy(exporter))


def runtime_interpreter(adapter: RuntimeAdapter) -> tuple[Interpreter, Capability]:
    """Return the Python that ``adapter`` is to run in, and whether it can.

    This one if the adapter's own probe finds its runtime here, else that of the environment that it
    names. Nothing is imported to find out. Raises AdapterError where the probe hangs.
    """
    distributions = tuple(getattr(adapter, "distributions", ()))
    here = Interpreter(Path(sys.executable), None, _versions_here(distributions))
    found = _probed(adapter)
    if found.available or not found.possible:
        return here, found
    name = getattr(adapter, "environment", "")
    environment = _environment(name, installed.home())
    if environment is None:
        why = installed.why_unusable(name) if name else ""
        reason = f"{found.reason}; the environment {name} cannot be used: {why}"
        return here, replace(found, reason=reason) if why else found
    have = {normal(name): version for name, version in environment.versions.items()}
    versions = {name: have[normal(name)] for name in distributions if normal(name) in have}
    own = next(iter(versions), found.distribution)
    there = replace(
        found,
        available=True,
        distribution=own,
        version=versions.get(own or "", found.version),
        reason="",
        hint="",
        environment=environment.name,
    )
    return Interpreter(environment.interpreter, environment.name, versions), there


def _probed(adapter: RuntimeAdapter) -> Capability:
    """Return what the adapter's probe finds; raise AdapterError where it does not come back.

    Nothing can end a thread that hangs; it is left behind, and does not keep this process alive.
    """
    answers: list[Capability | BaseException] = []

    def probe() -> None:
        try:
            answers.append(adapter.probe())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asked
            answers.append(error)

    thread = threading.Thread(target=probe, daemon=True, name=f"probe of {adapter.name}")
    thread.start()
    thread.join(PROBE_S)
    if not answers:
        raise AdapterError(
            f"the probe of {adapter.name} did not come back within {PROBE_S:g} s",
            "update or uninstall what brings it",
        )
    if isinstance(answers[0], BaseException):
        raise answers[0]
    return answers[0]


@cache
def interpreter_here(
    modules: tuple[str, ...], distributions: tuple[str, ...]
) -> Interpreter | None:
    """Return the Python that runs this if it has all ``modules``, else None."""
    if not all(map(is_importable, modules)):
        return None
    return Interpreter(Path(sys.executable), None, dict(_versions_here(distributions)))


def is_importable(module: str) -> bool:
    """Tell whether the package of ``module`` can be found here; nothing is imported."""
    root = module.partition(".")[0]
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):  # a half-imported module has no spec
        return False
    # A folder of that name in the working folder is a namespace, not the package.
    return spec is not None and spec.origin is not None


def forget() -> None:
    """Forget which environments there are: one was made or removed."""
    _environment.cache_clear()
    interpreter_here.cache_clear()
    importlib.invalidate_caches()


def normal(name: str) -> str:
    """Return the one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _environment(name: str, _home: Path) -> Installed | None:
    return installed.installed(name) if name else None


def _versions_here(distributions: tuple[str, ...]) -> Mapping[str, str]:
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _absence(exporter: Exporter) -> str:
    lacking = ", ".join(module for module in exporter.modules if not is_importable(module))
    message = f"{exporter.name} needs {lacking}, which this Python lacks"
    if not exporter.environment:
        return message
    why = installed.why_unusable(exporter.environment)
    return f"{message}; the environment {exporter.environment} " + (
        f"cannot be used: {why}" if why else "is not installed"
    )


def _remedy(exporter: Exporter) -> str:
    if not exporter.environment:
        return f"pip install {' '.join(exporter.distributions)}"
    remedy = f"onnxbench install {exporter.environment}"
    extras = [recipe.extra for recipe in RECIPES if recipe.name == exporter.environment]
    return f"{remedy}, or pip install 'onnxbench[{extras[0]}]'" if any(extras) else remedy
