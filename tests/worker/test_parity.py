"""Comparing a converted model with its source: what passes, what does not, and the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from onnxbench.worker.parity import TOLERANCE, compare, worst


def rows(*values: list[float]) -> list[np.ndarray]:
    return [np.array(values, np.float32)]


def test_equal_outputs_pass_with_no_error() -> None:
    found = compare(rows([1, 2, 3]), rows([1, 2, 3]))
    assert found["passed"]
    assert (found["max_abs"], found["relative"], found["top1_agree"]) == (0.0, 0.0, 1.0)


def test_the_error_is_taken_relative_to_the_largest_value() -> None:
    found = compare(rows([0.001, 10.0]), rows([0.0, 10.0]))
    assert found["max_abs"] == pytest.approx(0.001)
    assert found["relative"] == pytest.approx(1e-4)
    assert found["passed"]


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_the_tolerance_is_the_edge(factor: float) -> None:
    error = TOLERANCE * factor
    assert compare(rows([1.0 + error, 0.0]), rows([1.0, 0.0]))["passed"] is (factor < 1)


def test_tiny_outputs_are_judged_by_their_own_scale() -> None:
    assert not compare(rows([1.1e-5, 0.0]), rows([1e-5, 0.0]))["passed"]
    assert compare(rows([1.0001e-5, 0.0]), rows([1e-5, 0.0]))["passed"]


def test_another_winner_fails_even_within_the_tolerance() -> None:
    found = compare(rows([1.0, 1.0004], [0, 1]), rows([1.0003, 1.0], [0, 1]))
    assert found["relative"] < TOLERANCE
    assert found["top1_agree"] == 0.5
    assert not found["passed"]
    assert found["reason"].startswith("top-1 agrees for 50%")


def test_a_tie_may_go_either_way() -> None:
    assert compare(rows([1.0, 1.000001]), rows([1.000001, 1.0]))["passed"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_never_passes(bad: float) -> None:
    assert (
        "ONNX Runtime gives 1 NaN or infinite of 2"
        in compare(rows([bad, 1]), rows([1, 1]))["reason"]
    )
    assert (
        "the source gives 1 NaN or infinite of 2"
        in compare(rows([bad, 1]), rows([bad, 1]))["reason"]
    )


def test_other_shapes_and_numbers_of_outputs_never_pass() -> None:
    assert "[1, 3], the source's is [1, 2]" in compare(rows([1, 2, 3]), rows([1, 2]))["reason"]
    assert compare([], rows([1.0]))["reason"] == "0 outputs, the source gives 1"


def test_all_zeros_are_their_own_scale() -> None:
    assert compare(rows([0, 0]), rows([0, 0]))["passed"]
    assert not compare(rows([1e-9, 0]), rows([0, 0]))["passed"]


def test_the_worst_case_speaks_for_all() -> None:
    good, bad = compare(rows([1, 0]), rows([1, 0])), compare(rows([2, 0]), rows([1, 0]))
    found = worst([good, bad])
    assert not found["passed"]
    assert found["max_abs"] == 1.0
    assert found["reason"] == bad["reason"]
    broken = worst([good, compare([], rows([1.0]))])
    assert broken["max_abs"] is None
    assert not broken["passed"]
