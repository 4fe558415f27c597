"""Inputs: every type, the same bytes from the same recipe, and files that are not trusted."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbench.errors import InputRefused, OutOfMemory, Unsupported
from onnxbench.types import InputRecipe
from onnxbench.worker.inputs import (
    NUMPY_TYPES,
    fingerprint,
    load_array,
    make_inputs,
)

RAW = {
    "bfloat16": ml_dtypes.bfloat16,
    "float8e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "float8e5m2": ml_dtypes.float8_e5m2,
    "float8e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
}
FLOATS = ("float", "double", "float16", *RAW)
INTEGERS = [name for name in NUMPY_TYPES if name.startswith(("int", "uint"))]


def recipe(dtype: str = "float", shape: tuple[int, ...] = (64, 3), **changes: Any) -> InputRecipe:
    kinds = {"bool": "bernoulli", "string": "digits"}
    fields: dict[str, Any] = {"name": "x", "dtype": dtype, "shape": shape}
    return InputRecipe(**fields | {"kind": kinds.get(dtype, "uniform")} | changes)


def made(what: InputRecipe) -> Any:
    (tensor,) = make_inputs([what])
    assert (tensor.name, tensor.dtype) == (what.name, what.dtype)
    return tensor.array


def values(what: InputRecipe) -> Any:
    """Return what the runtime will take the bytes for."""
    array = made(what)
    return array.view(RAW[what.dtype]).astype(np.float64) if what.dtype in RAW else array


@pytest.mark.parametrize("dtype", NUMPY_TYPES)
@pytest.mark.parametrize("shape", [(), (1,), (64, 3), (0, 3), (2, 1, 5)])
def test_every_type_in_every_shape(dtype: str, shape: tuple[int, ...]) -> None:
    array = made(recipe(dtype, shape))
    assert array.shape == shape, "a scalar stays one"
    assert array.dtype == np.dtype(NUMPY_TYPES[dtype])
    assert array.flags.c_contiguous
    assert array.dtype.isnative


@pytest.mark.parametrize("dtype", FLOATS)
def test_floats_are_spread_over_their_range(dtype: str) -> None:
    low, high = (0.0, 1.0) if dtype.startswith("float8") else (-3.0, 5.0)
    found = values(recipe(dtype, (4000,), low=low, high=high)).astype(np.float64)
    assert low <= found.min() < low + 0.05 * (high - low)
    # Rounding to fewer bits may reach the upper end; float8 has four steps from 1/2 to 1.
    assert high - 0.15 * (high - low) < found.max() <= high
    assert len(np.unique(found)) > 30


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_keep_their_half_open_range_and_use_all_of_it(dtype: str) -> None:
    found = made(recipe(dtype, (2000,), low=3, high=11))
    assert set(found.tolist()) == set(range(3, 11))
    limits = np.iinfo(NUMPY_TYPES[dtype])
    if limits.bits <= 32:  # 2**63 - 1 is no float
        whole = made(recipe(dtype, (2000,), low=limits.min, high=limits.max + 1))
        assert whole.min() < 0.9 * limits.min + 0.1 * limits.max
        assert whole.max() > 0.1 * limits.min + 0.9 * limits.max


def test_bools_strings_and_positions() -> None:
    assert 0.4 < made(recipe("bool", (2000,))).mean() < 0.6
    text = made(recipe("string", (200,)))
    assert {type(v) for v in text.ravel()} == {str}
    assert set(text.tolist()) == set("0123456789")
    positions = made(recipe("int64", (2, 5), kind="range"))
    assert positions.tolist() == [[0, 1, 2, 3, 4]] * 2
    assert made(recipe("int64", (), kind="range")).tolist() == 0


@pytest.mark.parametrize("dtype", [name for name in NUMPY_TYPES if name != "string"])
def test_a_constant_is_that_value(dtype: str) -> None:
    found = values(recipe(dtype, (3,), kind="constant", low=1.0, high=1.0))
    assert found.astype(np.float64).tolist() == [1.0, 1.0, 1.0]


@given(seed=st.integers(0, 2**32), name=st.text(max_size=8), dtype=st.sampled_from(FLOATS))
def test_the_same_recipe_gives_the_same_bytes(seed: int, name: str, dtype: str) -> None:
    first, second = (made(recipe(dtype, name=name, seed=seed)) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    other_seed = made(recipe(dtype, name=name, seed=seed + 1))
    other_name = made(recipe(dtype, name=f"{name}2", seed=seed))
    assert first.tobytes() != other_seed.tobytes()
    assert first.tobytes() != other_name.tobytes()


def test_the_same_bytes_as_on_the_day_this_was_written() -> None:
    # PCG64 streams are numpy's promise (NEP 19); ranges of floats go through float32 arithmetic.
    tensors = [
        made(recipe("float", (8,), low=-1.0, seed=7)),
        made(recipe("int64", (8,), low=0, high=1000, seed=7)),
        made(recipe("bfloat16", (8,), seed=7)),
    ]
    digest = hashlib.sha256(b"".join(t.tobytes() for t in tensors)).hexdigest()
    assert digest[:16] == "e65e6ac773656cd5"


def test_the_fingerprint_tells_name_type_shape_and_bytes_apart() -> None:
    x = np.arange(6, dtype=np.int32)
    text = np.array(["a", "b"], dtype=object)
    prints = [
        fingerprint(named)
        for named in (
            [("x", x)],
            [("y", x)],
            [("x", x.reshape(2, 3))],
            [("x", x.astype(np.uint32))],
            [("x", x + 1)],
            [("x", x), ("y", x)],
            [("y", x), ("x", x)],
            [("x", text)],
            [("x", text[::-1])],
            [("x", np.zeros((), np.float32))],
            [("x", np.zeros((0, 2), np.float32))],
            [("x\ud800", x)],
        )
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint([("x", x[::-1][::-1])]) == prints[0], "the same values in another layout"


def saved(folder: Path, **arrays: Any) -> str:
    path = folder / "inputs.npz"
    np.savez(path, **arrays)
    return str(path)


def from_file(path: str, shape: tuple[int, ...], dtype: str = "float") -> InputRecipe:
    return recipe(dtype, shape, kind="file", path=path, member="x")


@pytest.mark.parametrize("order", ["<", ">"])
def test_arrays_from_files_are_converted_to_this_machine_s_order(
    tmp_path: Path, order: str
) -> None:
    wanted = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    path = saved(tmp_path, x=wanted.astype(f"{order}f4"), y=np.zeros(1))
    array = made(from_file(path, (2, 3)))
    assert array.dtype == np.dtype("=f4")
    assert array.tobytes() == wanted.tobytes()


def test_fortran_order_is_made_contiguous(tmp_path: Path) -> None:
    wanted = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    array = made(from_file(saved(tmp_path, x=wanted), (2, 3)))
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, wanted)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was run",)


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    path = saved(tmp_path, x=np.array([Evil()], dtype=object))
    with pytest.raises(InputRefused, match="pickle"):
        made(from_file(path, (1,)))
    raw = tmp_path / "raw.npz"
    raw.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputRefused, match="'x'"):
        load_array(str(raw), "x")


def broken_files(folder: Path) -> dict[str, bytes]:
    data = Path(saved(folder, x=np.zeros((100, 100)))).read_bytes()
    np.save(folder / "plain.npy", np.zeros(3))
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 255
    return {
        "empty": b"",
        "text": b"hello\n" * 100,
        "cut": data[: len(data) // 2],
        "zip magic only": b"PK\x03\x04",
        "one byte differs": bytes(flipped),
        "plain npy": (folder / "plain.npy").read_bytes(),
    }


def test_files_that_are_no_archive_are_refused(tmp_path: Path) -> None:
    for what, data in broken_files(tmp_path).items():
        path = tmp_path / "broken.npz"
        path.write_bytes(data)
        with pytest.raises(InputRefused) as caught:
            load_array(str(path), "x")
        assert "cannot read array 'x'" in caught.value.message, what
    for path in (tmp_path / "missing.npz", tmp_path):
        with pytest.raises(InputRefused, match="cannot read array 'x'"):
            load_array(str(path), "x")


def test_a_file_of_another_shape_or_without_the_member_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, x=np.zeros((2, 2)), y=np.zeros(1))
    with pytest.raises(InputRefused, match=r"holds shape \[2, 2\], planned was \[3\]"):
        made(from_file(path, (3,)))
    with pytest.raises(InputRefused, match="'z'"):
        load_array(path, "z")


@pytest.mark.parametrize("kind", ["uniform", "constant", "range", "bernoulli", "digits"])
def test_what_no_memory_holds_is_out_of_memory(kind: str) -> None:
    dtype = {"bernoulli": "bool", "digits": "string"}.get(kind, "int64")
    huge = recipe(dtype, (1 << 40, 1 << 40), kind=kind, low=0, high=5)
    with pytest.raises(OutOfMemory, match="'x' of shape") as caught:
        made(huge)
    assert "--batch" in caught.value.hint


def test_a_range_that_the_type_cannot_hold_is_no_want_of_memory() -> None:
    with pytest.raises(InputRefused, match="cannot be made"):
        made(recipe("uint8", low=0, high=1000))


def test_types_that_no_array_carries_are_unsupported() -> None:
    for dtype in ("sequence(float)", "optional(int64)", "complex64", "int4"):
        with pytest.raises(Unsupported, match="which no array can carry"):
            made(recipe(dtype, kind="uniform"))
