"""Packages small enough to make here, and the recipe of an environment for them."""

from __future__ import annotations

import sys
import zipfile
from typing import TYPE_CHECKING, Any

from onnxbench.environments import Recipe

if TYPE_CHECKING:
    from pathlib import Path

THIS = (sys.version_info[0], sys.version_info[1])


def wheel(folder: Path, name: str, code: str, more: str = "") -> None:
    """Write version 1.0 of the package ``name``, one module; ``more``: lines of its METADATA."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", code)
        file.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{more}"
        )
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")


def recipe(*requirements: str, **changes: Any) -> Recipe:
    """A recipe for this Python; by default of the package tiny."""
    fields: dict[str, Any] = {
        "name": "little",
        "serves": ("small",),
        "requirements": requirements or ("tiny==1.0",),
        "python": (THIS, THIS),
        "modules": ("tiny",) if not requirements else (),
        "size_bytes": 1 << 20,
    }
    return Recipe(**{**fields, **changes})
