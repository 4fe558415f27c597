"""What ``doctor`` finds out: what is installed, what is missing, what makes this host noisy."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from onnxbench import __version__, environments, registry, selfproof
from onnxbench.probes import cpu, host, memory, noise
from onnxbench.targets import lock

if TYPE_CHECKING:
    from onnxbench.types import Capability, JsonObject


@dataclass(frozen=True, slots=True)
class Clash:
    """Packages that overwrite one another's files, and the commands that repair it."""

    module: str
    packages: tuple[str, ...]
    repair: str


def diagnose(runtimes: list[Capability]) -> JsonObject:
    """Return the document of ``doctor``. Takes about a second; starts no runtime."""
    holder = lock.current_holder()
    threads, threads_reason = cpu.default_threads()
    return {
        "onnxbench": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "device": asdict(host.device()),
        "threads": threads,
        "threads_reason": threads_reason,
        "memory_available_bytes": memory.available_bytes(),
        "runtimes": [asdict(runtime) for runtime in runtimes],
        "environments": [_environment(name) for name in environments.names()],
        "plugin_problems": [
            f"{plugin.name} ({plugin.distribution}): {plugin.problem}"
            for plugin in (*registry.runtimes(), *registry.exporters())
            if plugin.problem
        ],
        "clashes": [asdict(clash) for clash in clashes()],
        "measuring": str(holder) if holder is not None else None,
        "host": [asdict(check) for check in noise.checks()],
        "self_proof": selfproof.recall(),
    }


def _environment(name: str) -> JsonObject:
    """Return what there is to say of one environment that `onnxbench install` made."""
    made = environments.installed(name)
    return {
        "name": name,
        "python": made.python if made else None,
        "size_bytes": made.size_bytes if made else None,
        "problem": environments.why_unusable(name),
    }


def clashes() -> list[Clash]:
    """Return the packages here that share the import folder ``onnxruntime``.

    pip installs them side by side without a word; the files of the last one win.
    """
    found = sorted(set(importlib.metadata.packages_distributions().get("onnxruntime", [])))
    if len(found) < 2:
        return []
    names = " ".join(found)
    repair = f"pip uninstall -y {names} && pip install {found[0]}  # keep the one that you want"
    return [Clash("onnxruntime", tuple(found), repair)]
