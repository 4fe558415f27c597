"""Runtimes as the command line sees them: the adapter, where it would run, whether it can."""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench import environments, registry
from onnxbench.environments import Interpreter
from onnxbench.errors import OnnxBenchError
from onnxbench.types import Capability

if TYPE_CHECKING:
    from onnxbench.registry import Registered


@dataclass(frozen=True, slots=True)
class Found:
    """A registered runtime. ``adapter`` is None where the plug-in cannot be loaded."""

    adapter: Any
    interpreter: Interpreter
    capability: Capability


def find(registered: "Registered") -> Found:
    """Return where a runtime would run and whether it can; a broken plug-in is not available."""
    nowhere = Interpreter(Path(sys.executable), None, {})
    name = registered.name
    try:
        adapter: Any = registry.load(registered)
        with contextlib.redirect_stdout(sys.stderr):  # stdout may be a document of ours
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
