"""The content-addressed folder of exported ONNX files.

::

    HOME/artifacts/
      <sha256>/model.onnx [model.onnx.data] artifact.json   bytes, and where they came from
      requests/<key>.json                                   what was asked → those bytes
      partial/…                                             exports that have not ended

A request whose key is known is not exported again. Everything appears under its final name by one
rename, so that nobody sees half an export; what an interrupted one left is removed by the next.
"""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench.sources import DATA_FILE, MODEL_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxbench.types import JsonObject, ModelSpec

SIDECAR = "artifact.json"
SCHEMA = 1
_LOCK = ".lock"
_BORN_S = 60.0
"""An export has locked its folder by then, or was ended before it could."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An artifact that is there: the path of its model, and the sidecar that tells of it."""

    path: Path
    sidecar: JsonObject

    @property
    def sha256(self) -> str:
        """SHA-256 over the model and its external data, as pre-flight computes it."""
        return str(self.sidecar["sha256"])


class ArtifactFolder:
    """One such folder; made when the first artifact is kept."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, key: str) -> Kept | None:
        """Return what the request ``key`` led to, None if it is not there unchanged."""
        try:
            sidecar: Any = json.loads(self._request(key).read_bytes())
            if sidecar["schema"] != SCHEMA:
                return None
            files = [(Path(each["path"]), each) for each in sidecar["files"]]
            paths = [path if path.is_absolute() else self.root / path for path, _ in files]
            unchanged = all(
                _state(path, file) for path, (_, file) in zip(paths, files, strict=True)
            )
            return Kept(paths[0], sidecar) if paths and unchanged else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Yield an empty folder on the same file system, removed at the end whatever happens."""
        partial = self.root / "partial"
        partial.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(self.root):
            _sweep(partial)
            folder = Path(tempfile.mkdtemp(dir=partial))
            # Held until the process ends, so that another one's sweep leaves the folder alone.
            lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
            _claim(lock)
        try:
            yield folder
        finally:
            os.close(lock)
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, staged: Path, key: str, sha256: str, sidecar: JsonObject) -> Kept:
        """Take the model in ``staged`` over under its hash; return it. Raises OSError.

        ``sidecar``: what is to be known of it; hash, files and key are added here.
        """
        home = self.root / sha256
        names = [name for name in (MODEL_FILE, DATA_FILE) if (staged / name).exists()]
        for name in names:
            _flush(staged / name)
        with _alone(self.root):
            if not all(_equal(home / name, staged / name) for name in names):
                ready = Path(tempfile.mkdtemp(dir=staged))
                for name in names:
                    (staged / name).rename(ready / name)
                if home.exists():  # damaged: somebody removed or changed a file of it
                    shutil.rmtree(home)
                ready.rename(home)
            files = [_described(home / name, f"{sha256}/{name}") for name in names]
            sidecar = {"schema": SCHEMA, "key": key, "sha256": sha256, "files": files, **sidecar}
            return Kept(home / MODEL_FILE, self._remember(key, sidecar, home / SIDECAR))

    def note(self, model: Path, files: list[Path], key: str, sidecar: JsonObject) -> Kept:
        """Remember a file that stays where it is; ``files``: the model and its external data."""
        described = [_described(path, str(path)) for path in files]
        sidecar = {"schema": SCHEMA, "key": key, "files": described, **sidecar}
        with _alone(self.root):
            return Kept(model, self._remember(key, sidecar))

    def _remember(self, key: str, sidecar: JsonObject, *also: Path) -> JsonObject:
        """Write the sidecar; return it as it will be read."""
        request = self._request(key)
        request.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (*also, request):
            _replace(path, sidecar)
        read: JsonObject = json.loads(json.dumps(sidecar))
        return read

    def _request(self, key: str) -> Path:
        return self.root / "requests" / f"{key}.json"


def spec_for_file(path: str) -> ModelSpec:
    """Return the ModelSpec of a file dropped on the command line; its id is the file's name."""
    from onnxbench.types import ModelSpec  # noqa: PLC0415 - `is_file_argument` has to be quick

    return ModelSpec(id=Path(path).name or path, source=f"file:{path}", weights="file")


def is_file_argument(text: str) -> bool:
    """Tell a path from a catalogue id: a path has a separator or ends in ``.onnx``."""
    return "/" in text or "\\" in text or text.lower().endswith(".onnx")


def _state(path: Path, file: JsonObject) -> bool:
    status = path.stat()
    return (status.st_size, status.st_mtime_ns) == (file["bytes"], file["mtime_ns"])


def _described(path: Path, name: str) -> JsonObject:
    status = path.stat()
    return {"path": name, "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def _equal(kept: Path, staged: Path) -> bool:
    """Tell whether the bytes of ``staged`` are in ``kept`` already."""
    try:
        return filecmp.cmp(kept, staged, shallow=False)
    except FileNotFoundError:
        return False


def _flush(path: Path) -> None:
    """Make the file's bytes durable before its name says that they are whole."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _replace(path: Path, document: JsonObject) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _sweep(partial: Path) -> None:
    """Remove the folders of exports whose process is gone."""
    for folder in partial.iterdir():
        with contextlib.suppress(OSError):
            if not (folder / _LOCK).exists() and time.time() - folder.stat().st_mtime > _BORN_S:
                shutil.rmtree(folder, ignore_errors=True)
            lock = os.open(folder / _LOCK, os.O_RDWR)
            try:
                if _claim(lock):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep other threads and processes out of the folder, where there are such locks."""
    try:
        import fcntl  # noqa: PLC0415 - absent on Windows
    except ImportError:
        yield
        return
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = os.open(root, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a network file system may know none
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _claim(lock: int) -> bool:
    """Take the lock if nobody holds it; False also where there are no such locks."""
    try:
        import fcntl  # noqa: PLC0415 - absent on Windows

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True
