"""A target that carries the observing adapter, and folders that are no user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxbench.targets.local import LocalTarget


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def private(
    monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("ONNXBENCH_CACHE", str(cache))
    monkeypatch.setenv("ONNXBENCH_LOCK", str(tmp_path_factory.getbasetemp() / "measuring.lock"))


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
