"""A target that carries the observing adapter, and folders that are no user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxbench.targets.local import LocalTarget
from tests.private import cache, private

__all__ = ["cache", "private"]  # fixtures


@pytest.fixture(scope="session")
def target(cache: Path) -> LocalTarget:
    """This machine, with bundles for our adapters and for ``observing_adapter``."""
    target = LocalTarget(cache=cache)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        target.bundle_for("observing_adapter:ObservingAdapter")
    return target


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Where the converted files go."""
    return str(tmp_path / "converted")
