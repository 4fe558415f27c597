"""Folders that are no user's, for tests that start workers: a conftest imports both fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def private(
    monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("ONNXBENCH_CACHE", str(cache))
    monkeypatch.setenv("ONNXBENCH_LOCK", str(tmp_path_factory.getbasetemp() / "measuring.lock"))
