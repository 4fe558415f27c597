"""The machine while a figure was measured: what it is, how busy others kept it, which versions."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench import __version__
from onnxbench.probes import host, load
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from onnxbench.probes.load import Snapshot
    from onnxbench.types import JsonObject

ROOT = Path(__file__).parent.parent
PACKAGES = ("onnxruntime", "onnx", "onnx-shape-inference", "numpy", "typer", "rich")


@dataclass(frozen=True, slots=True)
class Before:
    """The machine before a measurement. ``foreign_cores``: kept busy by others while we slept;
    None where the system does not tell."""

    date: datetime
    environment: JsonObject
    foreign_cores: float | None
    counters: Snapshot


def look(seconds: float) -> Before:
    """Return the machine as it is now, after a look of so many seconds."""
    first = load.snapshot()
    time.sleep(seconds)
    counters = load.snapshot()
    return Before(
        datetime.now(UTC),
        host.environment(),
        load.between(first, counters)["foreign_cores"],
        counters,
    )


def since(before: Before) -> JsonObject:
    """Return what is published of the machine beside a figure that was measured since then."""
    during = load.between(before.counters, load.snapshot())
    environment = before.environment
    cpu, system = environment["cpu"], environment["kernel"]
    return {
        "date": before.date.isoformat(timespec="seconds"),
        "took_s": round(during["wall_ns"] / 1e9, 1),
        "cpu": safe_text(cpu["model"]),
        "cores": cpu["affinity_cores"],
        "system": safe_text(f"{system['system']} {system['release']}"),
        "hypervisor": environment["host"]["hypervisor"],
        "load_average": environment["host"]["load_average"],
        "foreign_cores_before": before.foreign_cores,
        "steal_share": during["steal_share"],
        "versions": {
            "onnxbench": __version__,
            "commit": _commit(),
            "python": environment["software"]["python"]["version"],
            **{name: _version(name) for name in PACKAGES},
        },
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit that was measured, with ``+`` if files that it tracks were changed."""
    try:
        ended = subprocess.run(
            ["git", "describe", "--always", "--abbrev=10", "--exclude=*", "--dirty=+"],
            cwd=ROOT, capture_output=True, encoding="utf-8", check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return ended.stdout.strip()
