"""Outputs against a known answer: what passes, what does not, and what is said of it."""

from __future__ import annotations

import itertools
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from onnxbench.types import ExpectedOutput
from onnxbench.worker.outputs import compare_expected, describe, outputs_sha256, self_parity

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.types import ParityDoc

INF, NAN = math.inf, math.nan


@pytest.fixture
def compare(tmp_path: Path) -> Any:
    """Compare one output with a reference that lies in a file."""

    def compare(got: Any, wanted: Any, name: str = "y") -> ParityDoc:
        path = tmp_path / "reference.npz"
        np.savez(path, value=wanted)
        outputs = {"y": np.asarray(got)}
        parity = self_parity(outputs, deterministic=True)
        expected = [ExpectedOutput(name, str(path), "value")]
        found = compare_expected(outputs, expected, parity)
        json.dumps(found, allow_nan=False)  # what cannot be written would lose the whole result
        assert found["reference"] == "test-data"
        assert bool(found["reason"]) is (found["passed"] is False)
        return found

    return compare


SPECIAL = [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN]


@pytest.mark.parametrize(("got", "wanted"), list(itertools.product(SPECIAL, SPECIAL)))
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_special_values_are_met_by_themselves_alone(
    compare: Any, got: float, wanted: float, dtype: type
) -> None:
    same = got == wanted or (math.isnan(got) and math.isnan(wanted))
    found = compare(np.array([got, 5.0], dtype), np.array([wanted, 5.0], dtype))
    assert found["passed"] is same


@pytest.mark.parametrize(
    ("got", "wanted", "passed"),
    [
        (1.0009, 1.0, True),
        (1.0011, 1.0, False),
        (-1.0009, -1.0, True),
        (0.9e-7, 0.0, True),
        (1.1e-7, 0.0, False),
        (1000.9, 1000.0, True),
        (1001.1, 1000.0, False),
        (1e308, -1e308, False),
        (5e-324, 1e-320, True),
    ],
)
def test_tolerances_are_those_of_the_onnx_test_runner(
    compare: Any, got: float, wanted: float, passed: bool
) -> None:
    assert compare([got], [wanted])["passed"] is passed


def test_the_largest_errors_are_told(compare: Any) -> None:
    found = compare([1.0, 2.5, 0.25], [1.0, 2.0, 0.0])
    assert found["max_abs"] == pytest.approx(0.5)
    assert found["max_rel"] == pytest.approx(0.25), "where the reference is 0 there is no share"
    assert found["reason"] == "output 'y': 2 of 3 elements differ"
    infinite = compare([INF, 2.5], [1.0, 2.0])
    assert infinite["max_abs"] == pytest.approx(0.5), "an infinite error is no number to show"
    tiny = compare([1.0], [5e-324])
    assert tiny["max_rel"] == 0.0


@pytest.mark.parametrize(
    ("got", "wanted", "passed"),
    [
        (np.array([1, 2]), np.array([1, 2]), True),
        (np.array([1, 2]), np.array([1, 3]), False),
        (np.array([100_000]), np.array([100_001]), True),  # within a thousandth, as in numpy
        (np.array([True, False]), np.array([True, False]), True),
        (np.array([True, False]), np.array([True, True]), False),
        (np.array([1], np.uint8), np.array([1.0], np.float32), True),
        (np.array([255], np.uint8), np.array([-1], np.int8), False),
        (np.zeros((0, 3)), np.zeros((0, 3)), True),
        (np.float32(1.5), np.float32(1.5), True),
        (np.array(["a", "b"], object), np.array(["a", "b"]), True),
        (np.array(["a", "b"], object), np.array(["a", "c"]), False),
        (np.array(["1"], object), np.array([1]), True),
    ],
)
def test_other_types(compare: Any, got: Any, wanted: Any, passed: bool) -> None:
    found = compare(got, wanted)
    assert found["passed"] is passed
    assert found["reason"] == "" or "1 of" in found["reason"]


@pytest.mark.parametrize(
    ("got", "wanted"),
    [([1.0], [[1.0]]), (1.0, [1.0]), ([1.0, 2.0], [1.0]), ([[1.0, 2.0]], [[1.0], [2.0]])],
)
def test_a_shape_must_be_equal_not_broadcast(compare: Any, got: Any, wanted: Any) -> None:
    found = compare(got, wanted)
    assert found["passed"] is False
    assert f"of shape {list(np.shape(got))}, expected {list(np.shape(wanted))}" in found["reason"]
    assert found["max_abs"] is None


def test_a_missing_output_is_wrong(compare: Any) -> None:
    found = compare([1.0], [1.0], name="z")
    assert (found["passed"], found["reason"]) == (False, "output 'z' is missing, expected [1]")


def test_one_wrong_output_among_right_ones(tmp_path: Path) -> None:
    outputs = {name: np.array([float(i)]) for i, name in enumerate("abc")}
    path = tmp_path / "reference.npz"
    np.savez(path, a=[0.0], b=[9.0], c=[2.0])
    expected = [ExpectedOutput(name, str(path)) for name in "abc"]
    found = compare_expected(outputs, expected, self_parity(outputs, deterministic=True))
    assert (found["passed"], found["reason"]) == (False, "output 'b': 1 of 1 elements differ")
    found = compare_expected(outputs, expected[::2], self_parity(outputs, deterministic=True))
    assert (found["passed"], found["reason"]) == (True, "")


def test_outputs_are_described_and_their_oddities_counted() -> None:
    outputs = {
        "f": np.array([1.0, NAN, INF, -INF], np.float32),
        "i": np.array([[1, 2]]),
        "s": np.array(["x"], object),
        "e": np.zeros((0, 2), np.float16),
    }
    parity = self_parity(outputs, deterministic=False)
    assert (parity["passed"], parity["nonfinite"], parity["deterministic"]) == (True, 3, False)
    assert describe(outputs)[0] == {"name": "f", "dtype": "float32", "shape": [4], "nonfinite": 3}
    json.dumps(parity, allow_nan=False)


def test_the_hash_of_outputs_does_not_depend_on_their_order() -> None:
    a, b = np.zeros(2), np.ones(2)
    assert outputs_sha256({"a": a, "b": b}) == outputs_sha256({"b": b, "a": a})
    assert outputs_sha256({"a": a, "b": b}) != outputs_sha256({"a": b, "b": a})
    changed = a.copy()
    changed[1] = np.nextafter(0, 1)
    assert outputs_sha256({"a": a}) != outputs_sha256({"a": changed})
