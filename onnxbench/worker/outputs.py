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


_ELEMENTWISE = "outputs were compared element by element"


def compare_expected(
    outputs: Mapping[str, Array], expected: Sequence[ExpectedOutput], parity: ParityDoc
) -> ParityDoc:
    """Return ``parity`` against reference outputs from files instead of the runtime itself.

    Error per element: abs = |out - ref|, rel = abs / |ref| where ref is not 0; passed when
    abs ≤ 1e-7 + 1e-3·|ref| everywhere and NaN and infinities stand in the same places. Text and
    other types must be equal.
    """
    passed, max_abs, max_rel, reason = True, 0.0, 0.0, ""
    for wanted in expected:
        reference = load_array(wanted.path, wanted.member or wanted.name)
        got = outputs.get(wanted.name)
        if got is None or got.shape != reference.shape:
            found = "missing" if got is None else f"of shape {list(got.shape)}"
            reason = f"output {wanted.name!r} is {found}, expected {list(reference.shape)}"
            return {**parity, "reference": "test-data", "passed": False, "reason": reason,
                    "max_abs": None, "max_rel": None, "top1_agree": None,
                    "top1_reason": reason}  # fmt: skip
        if reference.dtype.kind not in "fiub" or got.dtype.kind not in "fiub":
            wrong = got.astype(str) != reference.astype(str)
        else:
            out, ref = got.astype(np.float64), reference.astype(np.float64)
            same = (out == ref) | (np.isnan(out) & np.isnan(ref))
            with np.errstate(all="ignore"):
                error = np.where(same, 0.0, np.abs(out - ref))
                relative = error / np.abs(ref)
            allowed = ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * np.abs(ref)
            # NaN and infinity are met by themselves alone: their tolerance is no number.
            wrong = ~(error <= np.where(np.isfinite(ref), allowed, 0.0))
            max_abs = max(max_abs, largest(error))
            max_rel = max(max_rel, largest(relative[ref != 0]))
        if wrong.any():
            passed = False
            reason = f"output {wanted.name!r}: {int(wrong.sum())} of {wrong.size} elements differ"
    return {**parity, "reference": "test-data", "max_abs": max_abs, "max_rel": max_rel,
            "top1_agree": None, "top1_reason": _ELEMENTWISE,
            "passed": passed, "reason": reason}  # fmt: skip


def largest(errors: Array) -> float:
    """Return the largest finite value, 0 without any."""
    return float(errors[np.isfinite(errors)].max(initial=0.0))


def _nonfinite(array: Array) -> int:
    if array.dtype.kind not in "fc":
        return 0
    return int(array.size - np.isfinite(array).sum())
