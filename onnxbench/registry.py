"""Finds exporters and runtimes through entry points; the only way from the core to an adapter.

Entry points are read when a function here is called, never on import: a broken plug-in, or many,
must not slow down or break ``onnxbench --help``.
"""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from typing import TYPE_CHECKING

from onnxbench.errors import UsageError
from onnxbench.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUNTIMES = "onnxbench.runtimes"
EXPORTERS = "onnxbench.exporters"

_REDIRECTING = threading.RLock()
"""sys.stdout is one for all threads: two that swap it at once leave it swapped for good."""

OURS = "onnxbench"
"""The distribution whose names nobody can take away: a plug-in breaks no command of ours."""


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


@contextlib.contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Send what foreign code prints to stderr: stdout may be a document of ours."""
    with _REDIRECTING, contextlib.redirect_stdout(sys.stderr):
        yield


def load(registered: Registered) -> object:
    """Import the plug-in and return it; a class is instantiated without arguments.

    What it prints goes to stderr: stdout may be a document of ours. Raises UsageError that
    names the plug-in, its distribution and what went wrong.
    """
    owner = registered.distribution or "unknown distribution"
    if registered.problem:
        raise UsageError(
            f"plug-in {registered.name} of {owner} cannot be used: {registered.problem}",
            f"uninstall or update {owner}",
        )
    module, _, attribute = registered.value.partition(":")
    try:
        with prints_to_stderr():
            found: object = import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
            return found() if isinstance(found, type) else found
    except (Exception, SystemExit) as error:  # foreign code: it may raise anything
        raise UsageError(
            f"plug-in {registered.name} ({registered.value} of {owner}) cannot be loaded: "
            f"{type(error).__name__}: {error}",
            f"update or uninstall {owner}",
        ) from error


def _registered(group: str) -> list[Registered]:
    by_name: dict[str, dict[Registered, None]] = defaultdict(dict)
    for plugin in _announced(group):
        by_name[plugin.name][plugin] = None
    return [plugin for _, claims in sorted(by_name.items()) for plugin in _settled(list(claims))]


def _announced(group: str) -> Iterator[Registered]:
    """Yield what the distributions announce, each distribution by itself.

    `importlib.metadata.entry_points` fails altogether where one file of anybody's is malformed.
    """
    seen: set[str | None] = set()
    for distribution in metadata.distributions():
        text = _quietly(distribution.read_text, "entry_points.txt")
        if text is None or group not in text:
            continue
        owner = _quietly(getattr, distribution, "name")
        if owner is not None and owner in seen:  # an older one further back on the path
            continue
        seen.add(owner)
        try:
            points = list(distribution.entry_points.select(group=group))
        except Exception as error:  # noqa: BLE001 - whatever its parser makes of any text
            problem = f"its entry_points.txt cannot be read: {type(error).__name__}: {error}"
            yield Registered(owner or "unknown", "", owner, problem)
            continue
        for point in points:
            yield Registered(point.name, point.value, owner, _malformed(point))


def _quietly(read: Callable[..., str | None], *arguments: object) -> str | None:
    """Return what ``read`` does, None where the distribution is too broken to tell."""
    try:
        return read(*arguments)
    except Exception:  # noqa: BLE001 - a folder that is anybody's
        return None


def _malformed(point: metadata.EntryPoint) -> str:
    if re.fullmatch(r"[\w.]+:[\w.]+", point.value):
        return ""
    return f"its entry point {point.value!r} is not of the form package.module:attribute"


def _settled(claims: list[Registered]) -> list[Registered]:
    """Return who gets a name: one who claims it alone, else onnxbench, else nobody."""
    if len(claims) == 1:
        return claims
    ours = [claim for claim in claims if claim.distribution == OURS]
    if len(ours) == 1:
        others = (claim for claim in claims if claim not in ours)
        return [*ours, *(replace(each, problem="the name is onnxbench's own") for each in others)]
    who = sorted(f"{claim.distribution} ({claim.value})" for claim in claims)
    owners = " or ".join(sorted({str(claim.distribution) for claim in claims}))
    problem = f"the name is claimed more than once: {' and '.join(who)}"
    return [Registered(claims[0].name, "", owners, problem)]


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
