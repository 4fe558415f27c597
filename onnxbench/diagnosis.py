"""What ``doctor`` finds out: what is installed, what is missing, what makes this host noisy."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench import __version__, environments, registry, selfproof
from onnxbench.probes import cpu, host, memory, noise
from onnxbench.targets import lock

if TYPE_CHECKING:
    from onnxbench.types import Capability, JsonObject


_BUILD = re.compile(r"^(?:package_name|__version__) = '([\w.+-]+)'", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Clash:
    """Packages that overwrite one another's files, and the commands that repair it.

    ``effective``: the one whose files are there, with its version: the last that was installed;
    "" where its files do not say.
    """

    module: str
    packages: tuple[str, ...]
    effective: str
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
        **_or_why(
            "memory_available_bytes", memory.available_bytes(), "the kernel gives no MemAvailable"
        ),
        "runtimes": [_runtime(runtime) for runtime in runtimes],
        "environments": [_environment(name) for name in environments.names()],
        "plugin_problems": [
            f"{plugin.name} ({plugin.distribution}): {plugin.problem}"
            for plugin in (*registry.runtimes(), *registry.exporters())
            if plugin.problem
        ],
        "clashes": [asdict(clash) for clash in clashes()],
        **_or_why(
            "measuring", holder and str(holder), "no process holds the measuring lock of this host"
        ),
        "host": [asdict(check) for check in noise.checks()],
        **_or_why(
            "self_proof",
            selfproof.recall(),
            "not run with this version: onnxbench doctor --self-proof",
        ),
    }


def _or_why(name: str, value: object, why: str) -> JsonObject:
    """Return ``value`` under ``name``, with ``why`` as its reason where it is None."""
    return {name: value} if value is not None else {name: None, f"{name}_reason": why}


def _runtime(found: Capability) -> JsonObject:
    """Return what a probe found; ``reason`` says why a runtime that is not available has nulls."""
    document = asdict(found)
    if found.available and found.environment is None:
        document["environment_reason"] = "it is in the Python that runs onnxbench"
    return document


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

    pip installs them side by side without a word; the files of the last one win. Removing one of
    them takes files of the others along, so the repair removes all (tried with pip 23).
    """
    found = sorted(set(importlib.metadata.packages_distributions().get("onnxruntime", [])))
    if len(found) < 2:
        return []
    names = " ".join(found)
    effective = _effective()
    keep = next((name for name in found if name == effective.partition(" ")[0]), found[0])
    repair = f"pip uninstall -y {names} && pip install {keep}  # keep the one that you want"
    return [Clash("onnxruntime", tuple(found), effective, repair)]


def _effective() -> str:
    """Return name and version of the build whose files Python would import, "" if they do not say.

    Every build of ONNX Runtime writes both into a module of its own.
    """
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        return ""
    path = Path(spec.origin).with_name("capi") / "build_and_package_info.py"
    try:
        found = _BUILD.findall(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ""
    return " ".join(found) if len(found) == 2 else ""
