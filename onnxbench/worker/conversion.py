"""Runs an adapter's converter, and keeps what it wrote by content.

A folder of converted files is complete once it holds its manifest; it appears under its name only
then. What is in it was written by us and is checked against the manifest each time, but it is
believed only while the outputs of what is built from it are right.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench.errors import Unsupported
from onnxbench.worker.clock import now_ns

if TYPE_CHECKING:
    from onnxbench.protocols import Converting
    from onnxbench.types import JsonObject
    from onnxbench.worker.job import Job

MANIFEST = "converted.json"
UNFINISHED = "new-"
"""How the name of a folder begins that a converter is writing to."""


def convert(job: Job, adapter: Converting) -> JsonObject:
    """Fill ``job.converted`` unless it is there; return what became of it.

    ``cached``: it was there already. ``duration_ns``: what the conversion took, now or then.
    ``bytes``: of the files. ``facts``: what the adapter says of it. Raises AdapterError.
    """
    assert job.converted is not None
    folder = Path(job.converted)
    kept = _read(folder)
    if kept is not None:
        return {**kept, "cached": True}
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder.parent))
    try:
        start = now_ns()
        facts = adapter.convert(job.convert_request(str(fresh)))
        duration_ns = now_ns() - start
        files = _hashes(fresh)
        if not files:
            raise Unsupported("the converter wrote no file", "see the message of the converter")
        told = {
            "duration_ns": duration_ns,
            "bytes": sum((fresh / name).stat().st_size for name in files),
            "files": files,
            "facts": facts,
        }
        (fresh / MANIFEST).write_text(json.dumps(told), encoding="utf-8")
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return {**told, "cached": False}


def _read(folder: Path) -> JsonObject | None:
    """Return the manifest of a complete, unchanged folder, else None."""
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return told if told["files"] == _hashes(folder) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _hashes(folder: Path) -> dict[str, str]:
    """Return relative path → SHA-256 of every file but the manifest."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if name != MANIFEST:
                found[path.relative_to(folder).as_posix()] = _sha256(path)
    return dict(sorted(found.items()))


def _sha256(path: Path) -> str:
    hasher = hashlib.sha256()  # hashlib.file_digest is of Python 3.11, boards may have 3.10
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()
