"""The exported networks, each beside what its library counts in it: the folder of `export_zoo`.

``ONNXBENCH_ZOO`` names it (``python -m benchmarks --zoo`` sets it). A figure without it is
measured on nothing, and says so.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.analyzer import given
from onnxbench.graph.analysis import analyze
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from onnxbench.graph.profile import Convention, GraphProfile
    from onnxbench.types import JsonObject

MISSING = f"no network exported: {given.ZOO} is not set"
INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class Network:
    """A file with its facts; see `zoo_export` for their meaning."""

    path: Path
    facts: JsonObject

    @property
    def name(self) -> str:
        """Its name, safe to print."""
        return safe_text(self.facts["name"], 200)

    @property
    def published(self) -> dict[str, Any]:
        """What is published about it."""
        return dict(self.facts["published"])

    def profile(self, convention: Convention = "pure") -> GraphProfile | str:
        """Return what we find in it, or why we do not."""
        try:
            return analyze(self.path, convention=convention)
        except Exception as error:  # noqa: BLE001 - a crash of ours is a result as well
            return safe_text(f"{type(error).__name__}: {error}", 300)


def networks(prefix: str = "", suffix: str = "") -> list[Network]:
    """Return the exported networks whose names begin and end so, by name."""
    folder = os.environ.get(given.ZOO)
    if not folder:
        return []
    return [
        Network(sidecar.with_suffix(".onnx"), json.loads(sidecar.read_text(encoding="utf-8")))
        for sidecar in sorted(Path(folder).glob(f"{prefix}*{suffix}.json"))
        if sidecar.name != INDEX
    ]


def failed(prefix: str) -> list[str]:
    """Return names of networks that could not be exported."""
    folder = os.environ.get(given.ZOO)
    index = Path(folder, INDEX) if folder else None
    if index is None or not index.exists():
        return []
    rows = json.loads(index.read_text(encoding="utf-8"))["networks"]
    names = (safe_text(row["name"], 200) for row in rows if row["status"] == "failed")
    return [name for name in names if name.startswith(prefix)]
