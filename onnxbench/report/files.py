"""Files that a command writes: replaced at once and whole.

The new one is written beside the old, flushed to disk and renamed over it, so that a full disk or
a power cut leaves the old one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def check_writable(path: Path, suffixes: Iterable[str]) -> None:
    """Raise UsageError unless `replace` can write ``path``: to be asked before any work is done.

    ``suffixes``: those that have a format, in lower case.
    """
    if path.suffix.lower() not in suffixes:
        message = f"{path}: no format has the suffix {path.suffix or '(none)'}"
        raise UsageError(message, f"use one of {', '.join(suffixes)}")
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise UsageError(f"{path} is no regular file", "name a file to be written")
    if not target.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {target.parent}", f"mkdir -p {target.parent}")
    try:
        with _temporary(target):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}", "choose another folder"
        ) from error


def replace(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, in UTF-8, instead of what is there. Raises StoreError."""
    target = Path(os.path.realpath(path))
    try:
        with _temporary(target) as (temporary, descriptor):
            with os.fdopen(os.dup(descriptor), "w", encoding="utf-8", newline="") as file:
                file.write(text)
            os.fsync(descriptor)
            temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror}",
            "free disk space or choose another folder with -o",
        ) from error


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[tuple[Path, int]]:
    """Give a new file beside ``target``, with its descriptor; gone afterwards unless renamed."""
    # Not tempfile: its mode 0600 would stay with the file. The name is short and ours, for
    # the target's may already be as long as names can be.
    path = target.parent / f".onnxbench-{secrets.token_hex(8)}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        yield path, descriptor
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
