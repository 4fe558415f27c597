"""Bad files for ``--inputs``: 43 of the list.

Each is meant for a model of one input ``x`` of two floats.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class BadInput:
    """A file for ``--inputs``. ``build`` writes it into a folder and returns its path.

    ``fits``: it holds the right values in an odd form, and may be taken or refused; all others
    must be refused, and none may run code.
    """

    name: str
    build: Callable[[Path], Path]
    fits: bool = False


class _Exploit:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self._mark), "w")


MARK = "unpickled"
"""Name of the file that appears beside the input if somebody unpickles it."""


def _npz(**arrays: np.ndarray) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        path = folder / "inputs.npz"
        np.savez(path, allow_pickle=False, **arrays)
        return path

    return build


def _bytes(data: bytes, name: str = "inputs.npz") -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return build


def _pickled(name: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        array = np.array([_Exploit(folder / MARK)] * 2, dtype=object)
        path = folder / name
        if name.endswith(".npz"):
            np.savez(path, x=array, allow_pickle=True)
        else:
            np.save(path, array, allow_pickle=True)
        return path

    return build


def _plain_pickle(folder: Path) -> Path:
    return _bytes(pickle.dumps(_Exploit(folder / MARK)))(folder)


BAD_INPUTS: tuple[BadInput, ...] = (
    BadInput("wrong shape", _npz(x=np.zeros((3, 5), np.float32))),
    BadInput("wrong rank", _npz(x=np.zeros((), np.float32))),
    BadInput("wrong dtype", _npz(x=np.zeros(2, np.int64))),
    BadInput("complex", _npz(x=np.zeros(2, np.complex64))),
    BadInput("big-endian", _npz(x=np.zeros(2, ">f4")), fits=True),
    BadInput("unknown name", _npz(x=np.zeros(2, np.float32), z=np.zeros(2, np.float32))),
    BadInput("missing name", _npz(z=np.zeros(2, np.float32))),
    BadInput("no arrays", _npz()),
    BadInput("pickled .npz", _pickled("inputs.npz")),
    BadInput("pickled .npy", _pickled("inputs.npy")),
    BadInput("pickle called .npz", _plain_pickle),
    BadInput("text", _bytes(b"1.0 2.0\n")),
    BadInput("empty", _bytes(b"")),
    BadInput("truncated zip", _bytes(b"PK\x03\x04" + bytes(50))),
    BadInput("missing", lambda folder: folder / "inputs.npz"),
)
