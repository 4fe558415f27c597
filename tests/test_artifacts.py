"""The folder of exported models: whole or absent, found again only while unchanged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from onnxbench.artifacts import ArtifactFolder, Kept
from onnxbench.sources import DATA_FILE, MODEL_FILE

SHA = "a" * 64


@pytest.fixture
def folder(tmp_path: Path) -> ArtifactFolder:
    return ArtifactFolder(tmp_path / "artifacts")


def kept(folder: ArtifactFolder, key: str = "k", *, data: bytes = b"weights") -> Kept:
    with folder.staging() as staged:
        (staged / MODEL_FILE).write_bytes(b"model")
        (staged / DATA_FILE).write_bytes(data)
        return folder.keep(staged, key, SHA, {"id": "m"})


def left_over(folder: ArtifactFolder) -> list[Path]:
    return list((folder.root / "partial").iterdir())


def test_what_was_kept_is_found_under_its_hash(folder: ArtifactFolder) -> None:
    first = kept(folder)
    found = folder.find("k")
    assert found == first
    assert found.path == folder.root / SHA / MODEL_FILE
    assert found.sha256 == SHA
    assert found.path.with_name(DATA_FILE).read_bytes() == b"weights"
    assert json.loads((folder.root / SHA / "artifact.json").read_text()) == found.sidecar
    assert left_over(folder) == []


def test_two_requests_may_lead_to_the_same_bytes(folder: ArtifactFolder) -> None:
    first = kept(folder, "one")
    second = kept(folder, "two")
    assert first.path == second.path
    assert folder.find("one") is not None
    assert folder.find("two") is not None


def test_an_unknown_request_is_not_found(folder: ArtifactFolder) -> None:
    assert folder.find("k") is None


@pytest.mark.parametrize("name", [MODEL_FILE, DATA_FILE])
@pytest.mark.parametrize("damage", ["removed", "changed", "touched"])
def test_what_was_changed_is_not_found(folder: ArtifactFolder, name: str, damage: str) -> None:
    path = kept(folder).path.with_name(name)
    if damage == "removed":
        path.unlink()
    elif damage == "changed":
        path.write_bytes(b"longer than it was before")
    else:
        os.utime(path, ns=(0, 0))
    assert folder.find("k") is None
    whole = kept(folder).path.with_name(name).read_bytes()
    assert whole == {MODEL_FILE: b"model", DATA_FILE: b"weights"}[name], "it is made again"
    assert folder.find("k") is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', '{"schema": 2, "files": []}'])
def test_a_damaged_record_is_no_record(folder: ArtifactFolder, text: str) -> None:
    kept(folder)
    (folder.root / "requests" / "k.json").write_text(text)
    assert folder.find("k") is None


def test_an_exception_leaves_nothing(folder: ArtifactFolder) -> None:
    def interrupted() -> None:
        with folder.staging() as staged:
            (staged / MODEL_FILE).write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert left_over(folder) == []
    assert not (folder.root / "requests").exists()


def test_what_a_killed_export_left_goes_with_the_next(folder: ArtifactFolder) -> None:
    code = (
        "import os, pathlib, sys; from onnxbench.artifacts import ArtifactFolder\n"
        "with ArtifactFolder(pathlib.Path(sys.argv[1])).staging() as staged:\n"
        "    (staged / 'model.onnx').write_bytes(b'half'); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder.root)], check=False)
    assert len(left_over(folder)) == 1
    with folder.staging() as ours:
        assert left_over(folder) == [ours]


def test_an_export_that_runs_is_left_alone(folder: ArtifactFolder) -> None:
    with folder.staging() as one, folder.staging() as two:
        assert sorted(left_over(folder)) == sorted([one, two])


def test_many_may_keep_the_same_at_the_same_time(folder: ArtifactFolder) -> None:
    def keep_all(_: int) -> None:
        for number in range(5):
            with folder.staging() as staged:
                (staged / MODEL_FILE).write_bytes(b"model")
                folder.keep(staged, f"k{number}", f"{number:064}", {"id": "m"})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(keep_all, range(8)))
    assert left_over(folder) == []
    assert all(folder.find(f"k{number}") for number in range(5))
    assert len(list((folder.root / "requests").iterdir())) == 5


def test_a_file_that_stays_where_it_is_is_remembered(
    folder: ArtifactFolder, tmp_path: Path
) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"model")
    folder.note(model, [model], "k", {"sha256": SHA})
    found = folder.find("k")
    assert found is not None
    assert found.path == model
    model.write_bytes(b"another")
    assert folder.find("k") is None


def test_a_folder_that_was_never_locked_goes_when_it_is_old(folder: ArtifactFolder) -> None:
    partial = folder.root / "partial"
    for name in ("old", "new"):
        (partial / name).mkdir(parents=True)
    os.utime(partial / "old", (0, 0))
    with folder.staging() as ours:
        assert sorted(left_over(folder)) == sorted([ours, partial / "new"])
