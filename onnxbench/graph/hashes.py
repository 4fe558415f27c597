"""SHA-256 of an artifact, remembered until one of its files changes.

Hashing several gigabytes takes seconds. A remembered hash is used again only while size, time of
change and inode of the model and of all its external data are what they were.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from onnxbench.types import Artifact

FILE = "hashes.json"
VERSION = 1
MAX_ENTRIES = 1000

SETTLED_S = 2.0
"""A file that was written less than so long ago may be written again within one clock tick."""


class Hashed(NamedTuple):
    """``sha256`` and ``bytes`` of a model with all its external data."""

    sha256: str
    bytes: int


def artifact_hash(path: Path, folder: Path) -> Hashed:
    """Return the hash of the model at ``path`` as `preflight` computes it.

    ``folder``: the cache; it need not exist, and a damaged or unwritable one is passed over.
    Raises RefusedInput.
    """
    key = str(path.absolute())
    entries = _read(folder)
    known = _still_valid(entries.get(key))
    if known is not None:
        return known
    from onnxbench.graph.preflight import preflight  # noqa: PLC0415 - only to hash

    artifact = preflight(path)
    entries.pop(key, None)
    if _is_settled(artifact):
        entries[key] = {
            "sha256": artifact.sha256,
            "files": [[f.path, f.bytes, f.mtime_ns, f.inode] for f in artifact.files],
        }
        _write(folder, dict(list(entries.items())[-MAX_ENTRIES:]))
    return Hashed(artifact.sha256, artifact.bytes)


def _still_valid(entry: Any) -> Hashed | None:
    """Return the hash of ``entry`` if its files are unchanged; anything odd is no entry."""
    try:
        files = [tuple(file) for file in entry["files"]]
        unchanged = bool(files) and all(
            _state(path, i == 0) == (size, mtime_ns, inode)
            for i, (path, size, mtime_ns, inode) in enumerate(files)
        )
        return Hashed(str(entry["sha256"]), sum(file[1] for file in files)) if unchanged else None
    except (TypeError, ValueError, KeyError, OSError):
        return None


def _state(path: str, is_model: bool) -> tuple[int, int, int] | None:
    # The user may name the model by a link; external data behind one is refused.
    status = Path(path).stat(follow_symlinks=is_model)
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _is_settled(artifact: Artifact) -> bool:
    newest_ns = max(file.mtime_ns for file in artifact.files)
    return time.time_ns() - newest_ns > SETTLED_S * 1e9


def _read(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / FILE).read_bytes())
        entries = found["entries"] if found["version"] == VERSION else {}
        return dict(entries)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}


def _write(folder: Path, entries: dict[str, Any]) -> None:
    """Replace the cache. It is no error when that fails: the next hash takes its time again."""
    temporary = folder / f"new-{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.write_text(json.dumps({"version": VERSION, "entries": entries}), "utf-8")
        temporary.replace(folder / FILE)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
