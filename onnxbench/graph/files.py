"""Opens files that a stranger chose, and hashes them through the same descriptor.

Nothing here blocks on a FIFO, opens a device, or follows a link that a model names. Whatever is
checked is checked on an open descriptor, and the bytes are hashed through it, so that no swap of
names in between can matter.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING

from onnxbench.errors import RefusedInput
from onnxbench.graph.foreign import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK_BYTES = 1024 * 1024
_COPY = "put a copy of the data beside the model: cp -L"
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# macOS has no O_PATH: there a folder has to be readable to be passed through.
_SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_KIND_NAMES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a symbolic link",
}


@contextlib.contextmanager
def open_model(path: Path) -> Iterator[int]:
    """Open the regular file ``path`` for reading; links are followed, the user named them.

    Raises RefusedInput: ``missing``, ``not-regular``, ``unreadable``, ``empty``.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
        # A device is not even opened: that alone can have effects.
        fd = os.open(path, _READ) if kind == stat.S_IFREG else -1
    except FileNotFoundError:
        msg = f"no such file: {shown(str(path))}"
        raise RefusedInput("missing", msg, "check the path") from None
    except (OSError, ValueError) as error:
        msg = f"cannot read {shown(str(path))}: {_strerror(error)}"
        raise RefusedInput("unreadable", msg, "check its permissions: ls -l") from None
    if fd < 0:
        raise _not_regular(kind)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _not_regular(stat.S_IFMT(status.st_mode))
        if status.st_size == 0:
            raise RefusedInput("empty", "the file is empty", "download or export the model anew")
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def open_beneath(folder: Path, name: str) -> Iterator[int]:
    """Open the regular file ``name``, relative to ``folder``, as a model may name it.

    ``name`` has no ``..`` and is not absolute. Each component is opened relative to the one before
    and none may be a link: openat2's RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS. A file with a second
    hard link is refused too, for it may be any file of this user.

    Raises RefusedInput: ``external-data-link``, ``external-data-not-regular``,
    ``external-data-missing``, ``external-data-unreadable``.
    """
    fd = -1
    with contextlib.ExitStack() as stack:
        try:
            at = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, at)
            *parents, last = name.split("/")
            for parent in parents:
                _refuse_link(os.stat(parent, dir_fd=at, follow_symlinks=False), name)
                at = os.open(parent, _SEARCH, dir_fd=at)
                stack.callback(os.close, at)
            _refuse_irregular(os.stat(last, dir_fd=at, follow_symlinks=False), name)
            fd = os.open(last, _READ | os.O_NOFOLLOW, dir_fd=at)
            stack.callback(os.close, fd)
        except OSError as error:
            raise _external_refusal(error, name) from None
        _refuse_irregular(os.fstat(fd), name)
        yield fd


def sha256_of(fd: int, before: os.stat_result) -> str:
    """Return the SHA-256 of the open file; ``before`` is its status when it was first looked at.

    Raises RefusedInput ``changed-while-read`` if size, time or content end differ from that.
    """
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    sha256 = hashlib.sha256()
    at = 0
    while at < before.st_size:
        chunk = os.pread(fd, min(_CHUNK_BYTES, before.st_size - at), at)
        if not chunk:
            break
        sha256.update(chunk)
        at += len(chunk)
    refuse_changed(before, os.fstat(fd))
    return sha256.hexdigest()


def refuse_changed(before: os.stat_result, after: os.stat_result) -> None:
    """Raise RefusedInput ``changed-while-read`` unless both are the same state of one file."""

    def state(status: os.stat_result) -> tuple[int, int, int, int]:
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    if state(before) != state(after):
        raise RefusedInput(
            "changed-while-read",
            "the file changed while it was read",
            "wait until whatever writes it is done",
        )


def _refuse_link(status: os.stat_result, name: str) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise RefusedInput(
            "external-data-link",
            f"external data {shown(name)} goes through a symbolic link",
            _COPY,
        )


def _refuse_irregular(status: os.stat_result, name: str) -> None:
    _refuse_link(status, name)
    if not stat.S_ISREG(status.st_mode):
        what = _KIND_NAMES.get(stat.S_IFMT(status.st_mode), "no regular file")
        raise RefusedInput(
            "external-data-not-regular",
            f"external data {shown(name)} is {what}",
            "external data must be a regular file beside the model",
        )
    if status.st_nlink > 1:
        raise RefusedInput(
            "external-data-link",
            f"external data {shown(name)} has {status.st_nlink} hard links",
            _COPY,
        )


def _external_refusal(error: OSError, name: str) -> RefusedInput:
    if error.errno == errno.ENOENT:
        return RefusedInput(
            "external-data-missing",
            f"external data {shown(name)} is not beside the model",
            "download all files of the model into one folder",
        )
    if error.errno == errno.ELOOP:
        return RefusedInput(
            "external-data-link", f"external data {shown(name)} is a symbolic link", _COPY
        )
    return RefusedInput(
        "external-data-unreadable",
        f"cannot read external data {shown(name)}: {_strerror(error)}",
        "check its permissions: ls -l",
    )


def _not_regular(kind: int) -> RefusedInput:
    hint = "give the .onnx file in it" if kind == stat.S_IFDIR else "give a regular file"
    what = _KIND_NAMES.get(kind, "something unknown")
    return RefusedInput("not-regular", f"it is {what}, not a file", hint)


def _strerror(error: OSError | ValueError) -> str:
    return (error.strerror or "unknown error") if isinstance(error, OSError) else str(error)
