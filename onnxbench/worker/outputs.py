"""What is checked of outputs: their bytes before and after timing, NaN, and a known answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.worker.inputs import fingerprint, load_array

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from onnxbench.types import ExpectedOutput, JsonObject, ParityDoc
    from onnxbench.worker.job import Reference

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
            max_abs = max(max_abs, _largest(error))
            max_rel = max(max_rel, _largest(relative[ref != 0]))
        if wrong.any():
            passed = False
            reason = f"output {wanted.name!r}: {int(wrong.sum())} of {wrong.size} elements differ"
    return {**parity, "reference": "test-data", "max_abs": max_abs, "max_rel": max_rel,
            "top1_agree": None, "top1_reason": _ELEMENTWISE,
            "passed": passed, "reason": reason}  # fmt: skip


def save_reference(path: str, *runs: Mapping[str, Array]) -> None:
    """Write the outputs of ``runs`` (the inputs, then others) to the .npz file ``path``."""
    arrays: dict[str, Array] = {"names": np.array(list(runs[0]), dtype=str)}
    for run, outputs in enumerate(runs):
        for index, array in enumerate(outputs.values()):
            arrays[f"{run}.{index}"] = array.astype(str) if array.dtype == object else array
    with open(path, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy: no keyword is special here


def compare_reference(
    reference: Reference, *runs: Mapping[str, Array], types: Mapping[str, str] | None = None
) -> ParityDoc:
    """Return how far outputs are from the reference's; `judging.judge_parity` decides on it.

    ``runs``: the outputs for the inputs and for others, as `save_reference` has them. ``types``:
    the ONNX type of each output, for those that travel as raw bits. ``max_abs``: largest
    |out - ref|; ``max_rel``: the largest error of an output by the largest value that the reference
    has there; ``cosine``: least over the outputs, of both as vectors; ``top1_agree``: share of rows
    of (items, classes) with the same largest class, near ties taken for agreement. ``reason`` is
    set where shapes, types of values, or places of NaN differ.
    """
    with open(reference.path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        names = [str(name) for name in archive["names"]]
        truths = [
            {name: archive[f"{run}.{index}"] for index, name in enumerate(names)}
            for run in range(len(runs))
        ]
    total = _Difference()
    for got, truth in zip(runs, truths, strict=False):
        for name, ref in truth.items():
            kind = (types or {}).get(name, "")
            total.add(name, _numbers(got.get(name), kind), _numbers(ref, kind))
    sensitive = _is_sensitive(runs, truths, types or {}) if len(runs) > 1 else None
    agree = min(total.top1, default=None)
    return {
        "reference": reference.name,
        "max_abs": total.max_abs,
        "max_rel": total.max_rel,
        "scale": total.scale,
        "cosine": min(total.cosines, default=None),
        "top1_agree": agree,
        **({} if agree is not None else {"top1_reason": "no output is (items, classes)"}),
        "input_sensitive": sensitive,
        "reason": total.reason,
    }


NEAR_TIE = 1e-2
"""Two classes nearer than this share of the largest value are one winner: rounding may pick."""


SAME = 1e-6
"""Answers of the reference that are nearer than this share of their length are one answer."""


def _is_sensitive(
    runs: Sequence[Mapping[str, Array]],
    truths: Sequence[Mapping[str, Array]],
    types: Mapping[str, str],
) -> bool | None:
    """Return whether other inputs gave other outputs, None where the reference's are alike.

    Each answer has to be nearer to the reference's for the same input than to that for the other;
    a tolerance alone would let a runtime pass whose answer is the same whatever it is asked.
    """
    if outputs_sha256(truths[0]) == outputs_sha256(truths[1]):
        return None
    if outputs_sha256(runs[0]) == outputs_sha256(runs[1]):
        return False
    refs = [_vector(truth, truths[0], types) for truth in truths[:2]]
    outs = [_vector(run, truths[0], types) for run in runs[:2]]
    apart = float(np.linalg.norm(refs[0] - refs[1]))
    if apart <= SAME * float(np.linalg.norm(refs[0])) or any(
        o.shape != refs[0].shape for o in outs
    ):
        return True
    return all(
        float(np.linalg.norm(outs[i] - refs[i])) < float(np.linalg.norm(outs[i] - refs[1 - i]))
        for i in range(2)
    )


def _vector(outputs: Mapping[str, Array], names: Iterable[str], types: Mapping[str, str]) -> Array:
    """Return the finite floats of ``outputs`` in one row, infinities and NaN as 0."""
    parts = [
        np.nan_to_num(array.astype(np.float64).ravel(), posinf=0.0, neginf=0.0)
        for name in names
        if (array := _numbers(outputs.get(name), types.get(name, ""))) is not None
        and array.dtype.kind == "f"
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _numbers(array: Array | None, onnx_type: str) -> Any:
    """Return the values of ``array``: bfloat16 travels as the upper half of a float32."""
    if array is None or onnx_type != "bfloat16" or array.dtype != np.uint16:
        return array
    return (array.astype(np.uint32) << 16).view(np.float32)


class _Difference:
    """The difference of several outputs, added up."""

    def __init__(self) -> None:
        self.max_abs = self.max_rel = self.scale = 0.0
        self.cosines: list[float] = []
        self.top1: list[float] = []
        self.reason = ""

    def add(self, name: str, got: Array | None, ref: Array) -> None:
        """Compare one output."""
        if got is None or got.shape != ref.shape:
            found = "missing" if got is None else f"of shape {list(got.shape)}"
            self.reason = f"output {name!r} is {found}, the reference's is {list(ref.shape)}"
        elif got.dtype.kind in "fc" and ref.dtype.kind in "fc":
            self._add_numbers(name, got.astype(np.float64), ref.astype(np.float64))
        else:
            wrong = int((got.astype(str) != ref.astype(str)).sum())
            if wrong:
                self.reason = f"output {name!r}: {wrong} of {ref.size} elements differ"

    def _add_numbers(self, name: str, out: Array, ref: Array) -> None:
        finite = np.isfinite(ref)
        odd = ~finite & ~((out == ref) | (np.isnan(out) & np.isnan(ref)))
        bad = int((finite & ~np.isfinite(out)).sum() + odd.sum())
        if bad:
            self.reason = f"output {name!r}: {bad} of {ref.size} elements are not finite alike"
            return
        out, ref = np.where(finite, out, 0.0), np.where(finite, ref, 0.0)
        error, scale = float(np.abs(out - ref).max(initial=0.0)), _largest(np.abs(ref))
        self.max_abs, self.scale = max(self.max_abs, error), max(self.scale, scale)
        self.max_rel = max(self.max_rel, error / scale if scale else float(error > 0))
        norms = float(np.linalg.norm(out) * np.linalg.norm(ref))
        if norms:
            self.cosines.append(min(1.0, float(np.vdot(out, ref)) / norms))
        if ref.ndim == 2 and ref.shape[1] > 1 and len(ref):
            chosen = ref[np.arange(len(ref)), out.argmax(axis=1)]
            self.top1.append(float((ref.max(axis=1) - chosen <= NEAR_TIE * scale).mean()))


def _largest(errors: Array) -> float:
    return float(errors[np.isfinite(errors)].max(initial=0.0))


def _nonfinite(array: Array) -> int:
    if array.dtype.kind not in "fc":
        return 0
    return int(array.size - np.isfinite(array).sum())
