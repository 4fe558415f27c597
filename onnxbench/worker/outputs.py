"""What is checked of outputs: their bytes before and after timing, NaN, and a known answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.worker.inputs import fingerprint, load_array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxbench.types import ExpectedOutput, JsonObject, ParityDoc

    Array = np.ndarray[Any, np.dtype[Any]]

RELATIVE_TOLERANCE = 1e-3
ABSOLUTE_TOLERANCE = 1e-7
"""Tolerances of the ONNX backend test runner, whose test data sets these are for
(onnx/backend/test/loader and runner: rtol 1e-3, atol 1e-7)."""


def outputs_sha256(outputs: Mapping[str, Array]) -> str:
    """Return the SHA-256 over all outputs, in name order."""
    return fingerprint(sorted(outputs.items()))


def describe(outputs: Mapping[str, Array]) -> list[JsonObject]:
    """Return name, type, shape and count of NaN or infinite elements of each output."""
    return [
        {
            "name": name,
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "nonfinite": _nonfinite(array),
        }
        for name, array in outputs.items()
    ]


def self_parity(outputs: Mapping[str, Array], *, deterministic: bool) -> ParityDoc:
    """Return the parity of the reference itself: passed, with what was seen of its outputs."""
    described = describe(outputs)
    return {
        "reference": "self",
        "max_abs": 0.0,
        "max_rel": 0.0,
        "top1_agree": 1.0,
        "passed": True,
        "nonfinite": sum(output["nonfinite"] for output in described),
        "deterministic": deterministic,
        "outputs": described,
    }


def compare_expected(
    outputs: Mapping[str, Array], expected: Sequence[ExpectedOutput], parity: ParityDoc
) -> ParityDoc:
    """Return ``parity`` against reference outputs from files instead of the runtime itself.

    Error per element: abs = |out - ref|, rel = abs / |ref| where ref is not 0; passed when
    abs ≤ 1e-7 + 1e-3·|ref| everywhere and NaN stand in the same places.
    """
    passed, max_abs, max_rel, reason = True, 0.0, 0.0, ""
    for wanted in expected:
        reference = load_array(wanted.path, wanted.member or wanted.name)
        got = outputs.get(wanted.name)
        if got is None or got.shape != reference.shape:
            found = "missing" if got is None else f"of shape {list(got.shape)}"
            reason = f"output {wanted.name!r} is {found}, expected {list(reference.shape)}"
            return {**parity, "reference": "test-data", "passed": False, "reason": reason,
                    "max_abs": None, "max_rel": None, "top1_agree": None}  # fmt: skip
        if reference.dtype.kind not in "fiub" or got.dtype.kind not in "fiub":
            passed &= bool(np.array_equal(got.astype(str), reference.astype(str)))
            continue
        out, ref = got.astype(np.float64), reference.astype(np.float64)
        with np.errstate(invalid="ignore"):
            error = np.where((out == ref) | (np.isnan(out) & np.isnan(ref)), 0.0, np.abs(out - ref))
        wrong = ~(error <= ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * np.abs(ref))
        passed &= not bool(wrong.any())
        finite = error[np.isfinite(error)]
        max_abs = max(max_abs, float(finite.max(initial=0.0)))
        scaled = error[(ref != 0) & np.isfinite(error)] / np.abs(
            ref[(ref != 0) & np.isfinite(error)]
        )
        max_rel = max(max_rel, float(scaled.max(initial=0.0)))
        if wrong.any():
            reason = f"output {wanted.name!r}: {int(wrong.sum())} of {wrong.size} elements differ"
    return {**parity, "reference": "test-data", "max_abs": max_abs, "max_rel": max_rel,
            "top1_agree": None, "passed": passed, "reason": reason}  # fmt: skip


def _nonfinite(array: Array) -> int:
    if array.dtype.kind not in "fc":
        return 0
    return int(array.size - np.isfinite(array).sum())
