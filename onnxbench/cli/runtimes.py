"""Runtimes as the command line sees them: the adapter, where it would run, whether it can."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from onnxbench import environments, registry
from onnxbench.environments import Interpreter
from onnxbench.errors import OnnxBenchError, UsageError
from onnxbench.types import Capability

if TYPE_CHECKING:
    from onnxbench.registry import Registered


@dataclass(frozen=True, slots=True)
class Found:
    """A registered runtime. ``adapter`` is None where the plug-in cannot be loaded."""

    adapter: Any
    interpreter: Interpreter
    capability: Capability


State = Literal["installed", "installable", "impossible here", "broken"]


def find(registered: "Registered") -> Found:
    """Return where a runtime would run and whether it can; a broken plug-in is not available."""
    nowhere = Interpreter(Path(sys.executable), None, {})
    name = registered.name
    try:
        adapter: Any = registry.load(registered)
        with registry.prints_to_stderr():
            interpreter, capability = environments.runtime_interpreter(adapter)
    except OnnxBenchError as error:
        lacking = Capability(name, available=False, reason=error.message, hint=error.hint)
        return Found(None, nowhere, lacking)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plug-in may be anybody's
        owner = f"plug-in {name} of {registered.distribution}"
        reason = f"{owner}: its probe failed: {type(error).__name__}: {error}"
        hint = f"update or uninstall {registered.distribution}"
        return Found(None, nowhere, Capability(name, available=False, reason=reason, hint=hint))
    return Found(adapter, interpreter, capability)


def row(registered: "Registered") -> dict[str, Any]:
    """Return the row of ``list runtimes``; where something is None, ``reason`` says why."""
    found = find(registered)
    capability = found.capability
    state, reason, hint = _state(found)
    where = f"environment {capability.environment}" if capability.environment else "this Python"
    return {
        "name": registered.name,
        "state": state,
        "usable": capability.available,
        "version": capability.version,
        "package": capability.distribution or registered.distribution,
        "where": where if capability.available else None,
        "unverified": capability.unverified,
        "reason": reason,
        "hint": hint,
    }


def in_short(row: dict[str, Any]) -> dict[str, Any]:
    """Return a line of the table: where it is, else what to type or why that would not help."""
    if row["state"] == "installed":
        said = row["where"]
    elif row["state"] == "installable":
        said = row["hint"]
    else:
        said = row["reason"] + (f"; {row['hint']}" if row["state"] == "broken" else "")
    if row["unverified"] and row["state"] in ("installed", "installable"):
        said += f"; unverified: {row['unverified']}"
    shown = {name: row[name] for name in ("name", "state", "version")}
    return {**shown, "where, or what to do": said}


def _state(found: Found) -> tuple[State, str, str]:
    """Return the state of a runtime with the reason and the hint that belong to it."""
    capability = found.capability
    reason, hint = capability.reason, capability.hint
    if capability.available:
        return "installed", reason, hint
    if found.adapter is None:
        return "broken", reason, hint
    if not capability.possible:
        return "impossible here", reason, hint
    try:
        recipe = environments.find(getattr(found.adapter, "environment", ""))
    except UsageError:  # it is for this Python, or a plug-in's own affair
        return "installable", reason, hint
    if obstacle := environments.obstacle(recipe):
        return "impossible here", obstacle.message, obstacle.hint
    return "installable", reason, hint
