"""Reads the inputs that a user gives: an .npz keyed by input name, or an ONNX test data set.

Runs in the pre-flight child, which may import onnx. Nothing here unpickles.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from onnxbench.errors import RefusedInput
from onnxbench.types import GivenTensor
from onnxbench.worker.inputs import UNREADABLE

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from onnxbench.types import Artifact

    Array = np.ndarray[Any, np.dtype[Any]]

_ONNX_TYPES = {
    "float32": "float",
    "float64": "double",
    "str": "string",
    "object": "string",
}
"""numpy type → ONNX element type, where the names differ."""

_HINT = "give --inputs an .npz keyed by input name, or a test_data_set_N folder"


def read_given(
    path: Path, artifact: Artifact, folder: Path
) -> tuple[list[GivenTensor], list[GivenTensor]]:
    """Return the inputs and the expected outputs found at ``path``.

    Tensors of a test data set (``input_0.pb`` …, in the order of the graph's inputs) are written
    to ``folder`` as .npz, which is all that a worker can read. Raises RefusedInput.
    """
    if path.is_dir():
        return _read_data_set(_data_set_in(path), artifact, folder)
    return _read_npz(path), []


def _read_npz(path: Path) -> list[GivenTensor]:
    import numpy as np  # noqa: PLC0415 - keeps the parent's import of this module light

    try:
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise _refused(path, "is one array, not an .npz of named arrays")
            if not archive.files:
                raise _refused(path, "holds no arrays")
            return [_given(name, archive[name], path, name) for name in archive.files]
    except (*UNREADABLE, zipfile.BadZipFile, zlib.error) as error:
        raise _refused(path, f"cannot be read as .npz: {error}") from error


def _data_set_in(path: Path) -> Path:
    if any(path.glob("input_*.pb")):
        return path
    sets = sorted(path.glob("test_data_set_*"))
    if not sets:
        raise _refused(path, "holds neither input_*.pb nor test_data_set_* folders")
    return sets[0]


def _read_data_set(
    path: Path, artifact: Artifact, folder: Path
) -> tuple[list[GivenTensor], list[GivenTensor]]:
    names = [spec.name for spec in artifact.inputs]
    outputs = [spec.name for spec in artifact.outputs]
    return (
        _convert(path, "input", names, folder),
        _convert(path, "output", outputs, folder),
    )


def _convert(path: Path, role: str, names: list[str], folder: Path) -> list[GivenTensor]:
    import numpy as np  # noqa: PLC0415
    import onnx  # noqa: PLC0415 - this runs in the pre-flight child
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    found: list[GivenTensor] = []
    for index, name in enumerate(names):
        file = path / f"{role}_{index}.pb"
        if not file.is_file():
            continue
        tensor = onnx.TensorProto()
        try:
            tensor.ParseFromString(file.read_bytes())
            array = onnx.numpy_helper.to_array(tensor)
        except (DecodeError, *UNREADABLE) as error:
            raise _refused(file, f"is not a tensor: {error}") from error
        onnx_type = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
        if array.dtype.kind == "V":  # a type that numpy lacks, as raw bits
            array = array.view(f"u{array.dtype.itemsize}")
        if array.dtype == object:
            array = array.astype(str)
        target = folder / f"{role}_{index}.npz"
        np.savez(target, value=array)
        found.append(
            GivenTensor(name, onnx_type, array.shape, str(target), "value", _sha256(array))
        )
    return found


def _given(name: str, array: Array, path: Path, member: str) -> GivenTensor:
    kind = "str" if array.dtype.kind == "U" else array.dtype.newbyteorder("=").name
    onnx_type = _ONNX_TYPES.get(kind, kind)
    return GivenTensor(name, onnx_type, array.shape, str(path.resolve()), member, _sha256(array))


def _sha256(array: Array) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def _refused(path: Path, what: str) -> RefusedInput:
    return RefusedInput("bad-inputs-file", f"{path} {what}", _HINT)
