"""Finds exporters and runtimes through entry points; the only way from the core to an adapter.

Entry points are read when a function here is called, never on import: a broken plug-in, or many,
must not slow down or break ``onnxbench --help``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from importlib import import_module, metadata

from onnxbench.errors import UsageError
from onnxbench.suggest import did_you_mean

RUNTIMES = "onnxbench.runtimes"
EXPORTERS = "onnxbench.exporters"


@dataclass(frozen=True, slots=True)
class Registered:
    """One plug-in as its distribution announces it; nothing of it has been imported.

    ``value``: ``package.module:attribute``. ``distribution``: who provides it. ``problem``: why
    it cannot be used (to be shown as a warning), empty when nothing is known against it.
    """

    name: str
    value: str
    distribution: str | None = None
    problem: str = ""


def runtimes() -> list[Registered]:
    """Return every registered runtime, sorted by name, the unusable ones included."""
    return _registered(RUNTIMES)


def exporters() -> list[Registered]:
    """Return every registered exporter, sorted by name, the unusable ones included."""
    return _registered(EXPORTERS)


def find_runtime(name: str) -> Registered:
    """Return the runtime called ``name``.

    Raises UsageError with the nearest name when there is none, or with the reason when two
    plug-ins claim the name or its announcement is malformed.
    """
    return _find(name, runtimes(), "runtime")


def find_exporter(name: str) -> Registered:
    """Return the exporter called ``name``, the scheme of a model's source. As `find_runtime`."""
    return _find(name, exporters(), "exporter")


def load(registered: Registered) -> object:
    """Import the plug-in and return it; a class is instantiated without arguments.

    Raises UsageError that names the plug-in, its distribution and what went wrong.
    """
    module, _, attribute = registered.value.partition(":")
    try:
        found: object = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        return found() if isinstance(found, type) else found
    except (Exception, SystemExit) as error:  # foreign code: it may raise anything
        owner = registered.distribution or "unknown distribution"
        raise UsageError(
            f"plug-in {registered.name} ({registered.value} of {owner}) cannot be loaded: "
            f"{type(error).__name__}: {error}",
            f"update or uninstall {owner}",
        ) from error


def _registered(group: str) -> list[Registered]:
    by_name: dict[str, dict[Registered, None]] = defaultdict(dict)
    for point in metadata.entry_points(group=group):
        owner = point.dist.name if point.dist else None
        plugin = Registered(point.name, point.value, owner, _malformed(point))
        by_name[point.name][plugin] = None
    return [
        plugin if len(claims) == 1 else _conflict(plugin, claims)
        for _, claims in sorted(by_name.items())
        for plugin in claims
    ]


def _malformed(point: metadata.EntryPoint) -> str:
    if re.fullmatch(r"[\w.]+:[\w.]+", point.value):
        return ""
    return f"its entry point {point.value!r} is not of the form package.module:attribute"


def _conflict(plugin: Registered, claims: dict[Registered, None]) -> Registered:
    who = " and ".join(sorted(f"{c.distribution} ({c.value})" for c in claims))
    problem = f"the name is claimed more than once: {who}"
    return Registered(plugin.name, plugin.value, plugin.distribution, problem)


def _find(name: str, plugins: list[Registered], noun: str) -> Registered:
    for plugin in plugins:
        if plugin.name != name:
            continue
        if plugin.problem:
            raise UsageError(
                f"{noun} {name} cannot be used: {plugin.problem}",
                f"uninstall or update {plugin.distribution}",
            )
        return plugin
    raise UsageError(f"no {noun} {name}", did_you_mean(name, {p.name for p in plugins}))
