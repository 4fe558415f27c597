"""The gates between a runtime that answers and a number that may be believed.

A runtime has to compute what the reference computes, in no narrower type than it was asked for, on
the provider that was asked for, from the inputs that it was given.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from onnxbench.adapting import main_precision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.types import ErrorDoc, ParityDoc, PlacementDoc, Status
    from onnxbench.worker.job import Reference

    Fault = tuple[Status, ErrorDoc]

PRECISIONS = {
    "float64": 1e-9,
    "float32": 1e-4,
    "tf32": 1e-3,
    "float16": 2e-3,
    "bfloat16": 8e-3,
    "int16": 8e-3,
    "float8": 2e-2,
    "int8": 2e-2,
    "int4": 4e-2,
}
"""Types that a network can be computed in, the wider first, each with how far one layer may be off.

As a share of the largest value of the reference. Measured over 50 layers of ResNet-50 (2026-11,
x86): float32 by another runtime 8e-7, float16 storage 4e-4, bfloat16 3e-3 to 5e-3, INT8 1.6e-2; a
wrong graph (a missing bias, other padding, a swapped axis) differs by 1e-2 and more in one layer.
"""

LOOSEST = 0.1
"""However deep a network is: what is off by a tenth of its largest value is another answer."""

CHANNEL = 10.0
"""A channel may be this many times farther off, relative to its own values, than a whole output.

Detectors put boxes (hundreds) and scores (below 1) into one output; a score is lost in what a box
may be off. Judged for float32 and wider alone: the rounding of narrower types is as large in small
channels as in large ones. Over inner feature maps of six networks OpenVINO, ncnn, tract, LiteRT and
torch were within 0.05 times the tolerance, MNN, which chooses Winograd, within 1.4 (2026-11, x86).
"""

LISTED = 6
"""Operators that a message names; the record has them all."""


def tolerance(precision: str, depth: int) -> float:
    """Return the largest error allowed, as a share of the reference's largest value.

    Rounding errors of layers add up like a random walk: with the square root of the number of
    convolutions and matrix products. ``precision`` is one of `PRECISIONS`.
    """
    return min(LOOSEST, PRECISIONS[precision] * math.sqrt(max(1, depth)))


def narrowest(text: str | None) -> str | None:
    """Return the narrowest type that ``text`` names: float16 of ``float32 (float16 storage)``."""
    named = re.findall(r"[a-z]+\d+", (text or "").lower())
    known = [precision for precision in PRECISIONS if _any_starts(named, precision)]
    return known[-1] if known else None


def is_narrower(precision: str, than: str) -> bool:
    """Tell whether ``precision`` keeps less of a number; both are of `PRECISIONS`."""
    order = list(PRECISIONS)
    return order.index(precision) > order.index(than)


def judge_parity(
    parity: ParityDoc, reference: Reference, effective: str | None, asked: str
) -> ParityDoc:
    """Return ``parity`` with its tolerance and whether it passed.

    ``asked``: ``model`` allows what the graph's own types round, ``native`` what the effective
    precision does.
    """
    allowed_for = reference.dtype
    used = narrowest(effective)
    if asked == "native" and used is not None and is_narrower(used, allowed_for):
        allowed_for = used
    allowed = tolerance(allowed_for, reference.depth)
    judged: ParityDoc = {**parity, "tolerance": allowed}
    if not parity.get("reason") and not parity.get("compared"):
        return {**judged, "passed": None, "reason": "not compared: no output has a finite value"}
    reason = parity.get("reason") or _why_wrong(judged, allowed, allowed_for)
    return {**judged, "passed": not reason, "reason": reason}


def _why_wrong(parity: ParityDoc, allowed: float, allowed_for: str) -> str:
    relative = parity["max_rel"]
    if relative is None or not relative <= allowed:
        found = "nothing comparable" if relative is None else f"{relative:.2g}"
        return (
            f"off by {found} of the largest value; {allowed:.2g} is allowed for {allowed_for} and "
            "this depth"
        )
    in_channel = parity.get("max_rel_channel", 0.0)
    if not is_narrower(allowed_for, "float32") and not in_channel <= CHANNEL * allowed:
        return (
            f"off by {in_channel:.2g} of the largest value of one channel; {CHANNEL * allowed:.2g} "
            f"is allowed for {allowed_for} and this depth"
        )
    if parity.get("input_sensitive") is False:
        return "the outputs do not follow the inputs: other inputs gave the same, or the wrong ones"
    return ""


def placement_fault(placement: Sequence[PlacementDoc], provider: str) -> Fault | None:
    """Return what is wrong with where nodes ran: all of them have to be on ``provider``."""
    if not provider:
        return None
    if not placement:
        return "provider-missing", {
            "kind": "no-placement",
            "message": f"nothing says where a node ran; all have to run on {provider}",
            "hint": "the adapter's placement() has to tell: report it to its author",
            "phase": "placement",
        }
    total = sum(row["nodes"] for row in placement)
    on_it = sum(row["nodes"] for row in placement if row["provider"] == provider)
    time_elsewhere = any(row["time_share"] for row in placement if row["provider"] != provider)
    if on_it == total and not time_elsewhere:  # a graph that was folded away has no nodes
        return None
    left = "; ".join(
        f"{row['provider']} took {_operators(row)}"
        for row in placement
        if row["provider"] != provider
    )
    message = f"{provider} took {on_it} of {total} nodes"
    kind: Status = "fallback" if on_it else "provider-missing"
    return kind, {
        "kind": "fallback" if on_it else "no-node",
        "message": f"{message}; {left}" if left else message,
        "hint": "--allow-fallback measures it all the same, labelled",
        "phase": "placement",
    }


def precision_fault(
    effective: str | None, declared: str, asked: str, lowest: str | None = None
) -> Fault | None:
    """Return what is wrong with the precision: ``model`` may not be computed in less.

    ``declared``: the type of most of the graph's arithmetic, which most of what was computed is
    held against. ``lowest``: the narrowest type of the graph, for all of it; None: not known.
    """
    if asked != "model" or not effective:
        return None
    for used, least in (
        (narrowest(main_precision(effective)), declared),
        (narrowest(effective), lowest),
    ):
        if used is not None and least and is_narrower(used, least):
            break
    else:
        return None
    return "wrong-output", {
        "kind": "precision-lowered",
        "message": f"the graph declares {least}; the runtime computes in {effective}",
        "hint": "--precision native measures what the runtime does, labelled",
        "phase": "placement",
    }


def _operators(row: PlacementDoc) -> str:
    counts = sorted(row.get("operators", {}).items(), key=lambda item: -item[1])
    named = ", ".join(f"{op} ×{count}" for op, count in counts[:LISTED])
    more = f" and {len(counts) - LISTED} more" if len(counts) > LISTED else ""
    return f"{row['nodes']}: {named}{more}" if named else str(row["nodes"])


def _any_starts(names: Sequence[str], precision: str) -> bool:
    """Tell whether ``precision`` is among ``names``; float8e4m3fn is a float8, uint8 an int8."""
    short = {"fp": "float", "bf": "bfloat", "uint": "int"}
    spelled = [re.sub(r"^(fp|bf|uint)(?=\d)", lambda m: short[m[1]], name) for name in names]
    return any(re.match(precision + r"(?!\d)", name) for name in spelled)
