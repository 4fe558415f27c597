"""How far a runtime's outputs are from the reference's, for the inputs and for others.

What is found here is a fact; `onnxbench.worker.judging` decides what may be believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.worker.outputs import largest, outputs_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from onnxbench.types import ParityDoc
    from onnxbench.worker.job import Reference

    Array = np.ndarray[Any, np.dtype[Any]]

NEAR_TIE = 1e-2
"""Two classes nearer than this share of the largest value are one winner: rounding may pick."""

SAME = 1e-6
"""Answers of the reference that are nearer than this share of their length are one answer."""

DEAF = 0.1
"""A runtime that moves by less than this share of what the reference moves ignores its inputs."""

QUIET = 0.01
"""Channels whose values stay below this share of the output's largest are measured by this share:
what cancels out to nearly nothing keeps the rounding errors of what it was made of."""


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
    """Return how far outputs are from the reference's.

    ``runs``: the outputs for the inputs and for others, as `save_reference` has them. ``types``:
    the ONNX type of each output, for those that travel as raw bits. ``max_abs``: largest
    |out - ref|; ``max_rel``: the largest error of an output by the largest value that the reference
    has there; ``max_rel_channel``: the same within one channel (axis 1 or the last, whichever is
    worse) of an output of three and more axes; ``cosine``: least over the outputs, of both as
    vectors; ``top1_agree``: share of rows of (items, classes) with the same largest class, near
    ties taken for agreement; ``compared``: values that could be. ``reason`` is set where shapes,
    types of values, or places of NaN differ.
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
    nothing = not total.compared and not total.reason
    return {
        "reference": reference.name,
        "max_abs": None if nothing else total.max_abs,
        "max_rel": None if nothing else total.max_rel,
        "max_rel_channel": total.max_rel_channel,
        "scale": total.scale,
        "cosine": min(total.cosines, default=None),
        "top1_agree": agree,
        **({} if agree is not None else {"top1_reason": "no output is (items, classes)"}),
        "input_sensitive": sensitive,
        "compared": total.compared,
        "reason": total.reason,
    }


def _is_sensitive(
    runs: Sequence[Mapping[str, Array]],
    truths: Sequence[Mapping[str, Array]],
    types: Mapping[str, str],
) -> bool | None:
    """Return whether other inputs gave other outputs, None where that cannot be told.

    A tolerance alone would let a runtime pass whose answer is the same whatever it is asked. It
    has to move as the reference does: True where each answer is nearer to the reference's for its
    own input than to that for the other, with room to spare; False where it hardly moves.
    Where the reference itself moves by no more than the runtime's rounding, neither can be said.
    """
    if outputs_sha256(truths[0]) == outputs_sha256(truths[1]):
        return None
    if outputs_sha256(runs[0]) == outputs_sha256(runs[1]):
        return False
    refs = [_vector(truth, truths[0], types) for truth in truths[:2]]
    outs = [_vector(run, truths[0], types) for run in runs[:2]]
    if any(out.shape != refs[0].shape for out in outs):
        return None
    apart = _distance(*refs)
    if apart <= SAME * float(np.linalg.norm(refs[0])):
        return None
    if _distance(*outs) <= DEAF * apart:
        return False
    off = max(_distance(out, ref) for out, ref in zip(outs, refs, strict=True))
    return True if off < apart / 2 else None


def _distance(one: Array, other: Array) -> float:
    return float(np.linalg.norm(one - other))


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
    """Return the values of ``array`` as real numbers, where they travel as something else.

    bfloat16 travels as the upper half of a float32; a complex number is two.
    """
    if array is None:
        return None
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], axis=-1)
    if onnx_type == "bfloat16" and array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array


class _Difference:
    """The difference of several outputs, added up."""

    def __init__(self) -> None:
        self.max_abs = self.max_rel = self.max_rel_channel = self.scale = 0.0
        self.compared = 0
        self.cosines: list[float] = []
        self.top1: list[float] = []
        self.reason = ""

    def add(self, name: str, got: Array | None, ref: Array) -> None:
        """Compare one output."""
        if got is None or got.shape != ref.shape:
            found = "missing" if got is None else f"of shape {list(got.shape)}"
            self.reason = f"output {name!r} is {found}, the reference's is {list(ref.shape)}"
        elif got.dtype.kind == "f" and ref.dtype.kind == "f":
            self._add_numbers(name, got.astype(np.float64), ref.astype(np.float64))
        else:
            self.compared += ref.size
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
        self.compared += int(finite.sum())
        out, ref = np.where(finite, out, 0.0), np.where(finite, ref, 0.0)
        error, scale = np.abs(out - ref), largest(np.abs(ref))
        worst = float(error.max(initial=0.0))
        self.max_abs, self.scale = max(self.max_abs, worst), max(self.scale, scale)
        self.max_rel = max(self.max_rel, worst / scale if scale else float(worst > 0))
        norms = float(np.linalg.norm(out) * np.linalg.norm(ref))
        if norms:
            self.cosines.append(min(1.0, float(np.vdot(out, ref)) / norms))
        if ref.ndim > 2 and ref.size and scale:
            of_channels = max(_by_channel(error, np.abs(ref), scale, axis) for axis in (1, -1))
            self.max_rel_channel = max(self.max_rel_channel, of_channels)
        if ref.ndim == 2 and ref.shape[1] > 1 and len(ref) and finite.any():
            chosen = ref[np.arange(len(ref)), out.argmax(axis=1)]
            self.top1.append(float((ref.max(axis=1) - chosen <= NEAR_TIE * scale).mean()))


def _by_channel(error: Array, ref: Array, scale: float, axis: int) -> float:
    """Return the largest error of a channel by the channel's own largest value."""
    others = tuple(i for i in range(ref.ndim) if i != axis % ref.ndim)
    return float((error.max(axis=others) / np.maximum(ref.max(axis=others), QUIET * scale)).max())
