"""Makes input tensors from recipes: the same recipe gives the same bytes.

Random values come from numpy's PCG64 seeded with (seed, CRC-32 of the input's name). The record
keeps the generator's name, the seed and the hash of the bytes, so that a numpy whose streams
differ is noticed.
"""

from __future__ import annotations

import hashlib
import math
import sys
import zipfile
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.errors import InputRefused, OutOfMemory, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onnxbench.types import InputRecipe

    Array = np.ndarray[Any, np.dtype[Any]]

GENERATOR = f"numpy-{np.__version__}-PCG64"

NUMPY_TYPES: dict[str, str] = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "bfloat16": "uint16",
    "float8e4m3fn": "uint8",
    "float8e4m3fnuz": "uint8",
    "float8e5m2": "uint8",
    "float8e5m2fnuz": "uint8",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "uint64": "uint64",
    "bool": "bool",
    "string": "object",
}
"""ONNX element type → numpy type that carries it (raw bits where numpy has no such type)."""

_FLOAT8_ONE = {"float8e4m3fn": 0x38, "float8e4m3fnuz": 0x40, "float8e5m2": 0x3C}
_FLOAT8_ONE["float8e5m2fnuz"] = 0x40


UNREADABLE = (OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError)
"""What numpy and zipfile raise for files that are not, or no longer, .npz archives."""


@dataclass(frozen=True, slots=True)
class InputTensor:
    """One input, ready for a runtime; see `onnxbench.protocols.Tensor`."""

    name: str
    dtype: str
    array: Array


def make_inputs(recipes: Iterable[InputRecipe]) -> list[InputTensor]:
    """Return the tensors of ``recipes``.

    Raises Unsupported for a type that no array can carry, InputRefused for a file that does not
    hold what its recipe says, OutOfMemory.
    """
    # Not ascontiguousarray: that one gives a scalar a dimension.
    return [InputTensor(r.name, r.dtype, np.asarray(_make(r), order="C")) for r in recipes]


def other_inputs(recipes: Sequence[InputRecipe]) -> list[InputTensor]:
    """Return inputs of the same shapes and ranges as ``recipes`` make, with other values.

    Generated ones are drawn from the next seed; those of a file are the user's own values in
    another order, so that an index stays within its table.
    """
    return [InputTensor(r.name, r.dtype, np.asarray(_other(r), order="C")) for r in recipes]


def _other(recipe: InputRecipe) -> Array:
    if recipe.kind == "file":
        array = _make(recipe)
        return array.ravel()[::-1].reshape(array.shape)
    return _make(replace(recipe, seed=recipe.seed + 1))


def fingerprint(named: Iterable[tuple[str, Array]]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of arrays, in the order given."""
    hasher = hashlib.sha256()
    for name, array in named:
        hasher.update(f"{name}\0{array.dtype}\0{array.shape}\0".encode("utf-8", "surrogatepass"))
        if array.dtype == object:
            hasher.update("\0".join(map(str, array.ravel())).encode("utf-8", "surrogatepass"))
        else:
            hasher.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return hasher.hexdigest()


def load_array(path: str, member: str) -> Array:
    """Return array ``member`` of the .npz file ``path``; pickles are refused."""
    try:
        # numpy leaves a file of its own opening open where it is no archive.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            loaded: Array = archive[member]
            return loaded
    except (*UNREADABLE, zipfile.BadZipFile, zlib.error) as error:
        raise InputRefused(f"cannot read array {member!r}: {error}", "check --inputs") from error


def _make(recipe: InputRecipe) -> Array:
    if recipe.dtype not in NUMPY_TYPES:
        raise Unsupported(
            f"input {recipe.name!r} has type {recipe.dtype}, which no array can carry",
            "this input type cannot be benchmarked yet",
        )
    try:
        if recipe.kind == "file":
            return _from_file(recipe)
        return _generate(recipe, np.dtype(NUMPY_TYPES[recipe.dtype]))
    except (MemoryError, ValueError) as error:
        what = f"input {recipe.name!r} of shape {list(recipe.shape)}"
        # numpy says ValueError too for an array that no address space could hold.
        if isinstance(error, MemoryError) or math.prod(recipe.shape) > sys.maxsize // 8:
            hint = "choose a smaller --batch, --dim or --shape"
            raise OutOfMemory(f"{what} does not fit into memory", hint) from error
        raise InputRefused(f"{what} cannot be made: {error}", "give it with --inputs") from error


def _from_file(recipe: InputRecipe) -> Array:
    array = load_array(recipe.path or "", recipe.member or recipe.name)
    if array.shape != recipe.shape:
        raise InputRefused(
            f"input {recipe.name!r}: the file holds shape {list(array.shape)}, "
            f"planned was {list(recipe.shape)}",
            "the file was changed during the run; start again",
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _generate(recipe: InputRecipe, dtype: np.dtype[Any]) -> Array:
    seed = [recipe.seed, zlib.crc32(recipe.name.encode("utf-8", "surrogatepass"))]
    random = np.random.Generator(np.random.PCG64(seed))
    shape = recipe.shape
    if recipe.kind == "range":
        return np.indices(shape, dtype=dtype)[-1] if shape else np.zeros(shape, dtype)
    if recipe.kind == "bernoulli":
        return random.random(shape, dtype=np.float32) < 0.5
    if recipe.kind == "digits":
        return random.integers(0, 10, shape).astype(str).astype(object)
    if recipe.kind == "constant":
        return _encode(np.full(shape, recipe.low, dtype=np.float64), recipe.dtype, dtype)
    if dtype.kind in "iu" and recipe.dtype == str(dtype):
        return random.integers(int(recipe.low), int(recipe.high), shape, dtype=dtype)
    values = random.random(shape, dtype=np.float32) * np.float32(recipe.high - recipe.low)
    values += np.float32(recipe.low)
    return _encode(values, recipe.dtype, dtype)


def _encode(values: Array, onnx_type: str, dtype: np.dtype[Any]) -> Array:
    """Return ``values`` as ``onnx_type``: converted, or as raw bits where numpy lacks it."""
    if onnx_type == "bfloat16":  # the upper half of a float32
        return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    if onnx_type in _FLOAT8_ONE:  # every bit pattern up to that of 1.0 is a value in [0, 1]
        return (np.clip(values, 0, 1) * _FLOAT8_ONE[onnx_type]).astype(np.uint8)
    return values.astype(dtype)
