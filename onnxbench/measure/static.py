"""What a record says of its network: counted figures, and those that latency turns into rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxbench.types import JsonObject

STATIC = (
    "macs", "flops", "transcendentals", "params", "weight_bytes", "peak_activation_bytes",
    "coverage", "convention", "exact",
)  # fmt: skip
"""Keys that every record has, counted or null beside a reason."""

FOR_BOUNDS = ("work", "work_reason", "nodes")
"""What the analyzer tells only so that bounds can be computed; no record keeps it."""

FRACTION, FRACTION_REASON = "fraction_of_roofline", "fraction_of_roofline_reason"
"""Null, and why, until `onnxbench.calibration.bounds` derives it."""

_LATER = {"accuracy_density": "needs a measured accuracy, which comes later"}


def static_figures(found: JsonObject | None) -> JsonObject:
    """Return the static part of a record from what the analyzer ``found``."""
    if found is None:
        found = {"reason": "the file was not analyzed"}
    kept = {key: value for key, value in found.items() if key not in FOR_BOUNDS}
    return {**dict.fromkeys(STATIC), **kept}


def derived_figures(static: JsonObject, median_ns: float | None) -> JsonObject:
    """Return what follows from ``static`` figures and the latency of one inference.

    ``flops_per_s``: FLOPs of the graph over the median. A runtime that folds or fuses computes
    fewer, so this is the rate of useful work.
    """
    derived: JsonObject = {}
    for name in ("flops", "macs"):
        count = static[name]
        rate, why = f"{name}_per_s", f"{name}_reason"
        if median_ns is None or count is None:
            derived[rate] = None
            derived[why] = "not timed" if median_ns is None else static.get("reason", "not known")
            continue
        derived[rate] = count / (median_ns * 1e-9)
        if not static["exact"]:
            derived[why] = "a bound: some nodes were not counted exactly"
    derived[FRACTION] = None
    derived[FRACTION_REASON] = "not timed" if median_ns is None else "not compared"
    derived.update(dict.fromkeys(_LATER))
    derived.update({f"{key}_reason": reason for key, reason in _LATER.items()})
    return derived
