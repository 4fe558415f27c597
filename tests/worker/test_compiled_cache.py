"""The folder of what a runtime compiles: private, kept whole, and never half of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxbench.worker.main import compiled_cache


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "builds/one"


def test_it_is_private_and_goes_if_nothing_is_kept(folder: Path) -> None:
    with compiled_cache(str(folder)):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_what_was_compiled_is_there_for_the_next(folder: Path) -> None:
    with compiled_cache(str(folder)):
        (folder / "a.engine").write_bytes(b"whole")
    with compiled_cache(str(folder)):
        assert (folder / "a.engine").read_bytes() == b"whole"
    assert (folder / "a.engine").exists()


def test_what_a_killed_process_left_goes_before_the_next(folder: Path) -> None:
    with compiled_cache(str(folder)):
        (folder / "a.engine").write_bytes(b"whole")
    killed = compiled_cache(str(folder))
    killed.__enter__()  # and no end
    (folder / "b.engine").write_bytes(b"hal")
    with compiled_cache(str(folder)):
        assert not list(folder.iterdir())


def test_a_build_that_fails_leaves_nothing_to_trust(folder: Path) -> None:
    def build() -> None:
        with compiled_cache(str(folder)):
            (folder / "a.engine").write_bytes(b"hal")
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        build()
    with compiled_cache(str(folder)):
        assert not list(folder.iterdir())
