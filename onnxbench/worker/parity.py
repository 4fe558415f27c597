"""Compares what a converted model gives with what its source gave for the same inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.types import JsonObject

    Array = np.ndarray[Any, np.dtype[Any]]

TOLERANCE = 1e-3
"""Largest error allowed, as a share of the reference's largest value.

float32 sums taken in another order differ by 1e-7 to 1e-4 of that scale over a hundred layers; a
wrong graph (a missing bias, another padding, a swapped axis) differs by 1e-2 and more.
"""

TIE = 1e-5
"""Two classes nearer than this share of the largest value are one winner: rounding may pick."""


def compare(got: Sequence[Array], reference: Sequence[Array]) -> JsonObject:
    """Return how far the outputs ``got`` are from ``reference``, both in the same order.

    ``max_abs``: largest |got - reference|. ``scale``: largest |reference|. ``relative``: the
    first by the second, per output, the worst of them. ``top1_agree``: share of items with the
    same largest class, `TIE` taken for agreement; None where no output is (items, classes).
    ``passed``: same shapes, all finite, ``relative`` at most `TOLERANCE`, ``top1_agree`` 1.
    """
    if len(got) != len(reference):
        return _failed(f"{len(got)} outputs, the source gives {len(reference)}")
    max_abs = scale = relative = 0.0
    agree: list[float] = []
    for number, (ours, theirs) in enumerate(zip(got, reference, strict=True)):
        if ours.shape != theirs.shape:
            wanted = list(theirs.shape)
            return _failed(f"output {number} is {list(ours.shape)}, the source's is {wanted}")
        wide, truth = ours.astype(np.float64), theirs.astype(np.float64)
        for whose, values in (("the source", truth), ("ONNX Runtime", wide)):
            if not np.isfinite(values).all():
                bad = int(values.size - np.isfinite(values).sum())
                return _failed(f"{whose} gives {bad} NaN or infinite of {values.size} values")
        error = float(np.abs(wide - truth).max(initial=0.0))
        largest = float(np.abs(truth).max(initial=0.0))
        max_abs, scale = max(max_abs, error), max(scale, largest)
        relative = max(relative, error / largest if largest else float(error > 0))
        if truth.ndim == 2 and truth.size:
            agree.append(_top1_agree(wide, truth, TIE * largest))
    top1 = min(agree) if agree else None
    passed = relative <= TOLERANCE and top1 in (None, 1.0)
    reason = "" if passed else _difference(relative, scale, top1)
    return {
        "max_abs": max_abs,
        "scale": scale,
        "relative": relative,
        "top1_agree": top1,
        "passed": passed,
        "reason": reason,
    }


def worst(cases: Sequence[JsonObject]) -> JsonObject:
    """Return one parity document for all ``cases``: the largest errors, passed if each one is."""
    failed = next((case for case in cases if not case["passed"]), None)

    def largest(field: str) -> float | None:
        values = [case[field] for case in cases]
        return None if None in values else max(values)

    top1 = [case["top1_agree"] for case in cases if case["top1_agree"] is not None]
    return {
        "reference": "source",
        "passed": failed is None,
        "max_abs": largest("max_abs"),
        "max_rel": largest("relative"),
        "scale": largest("scale"),
        "top1_agree": min(top1) if top1 else None,
        "tolerance": TOLERANCE,
        "reason": failed["reason"] if failed else "",
        "cases": list(cases),
    }


def _top1_agree(ours: Array, theirs: Array, tie: float) -> float:
    """Return the share of rows where ours has its largest element at one of theirs."""
    chosen = theirs[np.arange(len(theirs)), ours.argmax(axis=1)]
    return float((theirs.max(axis=1) - chosen <= tie).mean())


def _difference(relative: float, scale: float, top1: float | None) -> str:
    difference = f"differs by {relative:.2g} of the largest value {scale:.3g}"
    return difference if relative > TOLERANCE else f"top-1 agrees for {top1:.0%}; {difference}"


def _failed(reason: str) -> JsonObject:
    return {
        "max_abs": None,
        "scale": None,
        "relative": None,
        "top1_agree": None,
        "passed": False,
        "reason": reason,
    }
