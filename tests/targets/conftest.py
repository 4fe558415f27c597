"""A target that carries the test-only adapter, and folders that are no user's."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from onnxbench.targets.local import LocalTarget
from tests.targets.child import TEST

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def private(
    monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("ONNXBENCH_CACHE", str(cache))
    monkeypatch.setenv("ONNXBENCH_LOCK", str(tmp_path_factory.getbasetemp() / "measuring.lock"))
    monkeypatch.setenv(TEST, secrets.token_hex(8))


@pytest.fixture(scope="session")
def target(cache: Path) -> Iterator[LocalTarget]:
    """This machine, with a bundle that holds ``fault_adapter``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        target = LocalTarget(cache=cache)
        target.bundle_for("fault_adapter:FaultAdapter")
        yield target
