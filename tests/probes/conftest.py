"""Trees of kernel files, written as a machine of another kind would show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from onnxbench.probes.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Kernel]:
    def write(files: Mapping[str, str | bytes]) -> Kernel:
        for name, content in files.items():
            path = tmp_path / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())
        return Kernel(str(tmp_path))

    return write


@pytest.fixture
def nowhere(tmp_path: Path) -> Kernel:
    """A machine that tells nothing: macOS, Windows, a sandbox without /proc and /sys."""
    return Kernel(str(tmp_path / "nothing"))
