"""Compares what was measured with what the same runtime attains on the same machine."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from onnxbench.adapting import main_precision
from onnxbench.calibration.files import ceilings
from onnxbench.measure.roofline import NoCeiling, Work, bytes_share, fused_bound, unfused_s
from onnxbench.measure.static import FRACTION, FRACTION_REASON

if TYPE_CHECKING:
    from onnxbench.calibration.files import Kept
    from onnxbench.measure.roofline import Ceilings
    from onnxbench.types import JsonObject, Record

SLACK = 0.05
"""Part of a bound by which noise may make a latency seem to beat it."""

DECLARED = {
    "fp64": "float64", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "int8": "int8",
    "uint8": "int8", "uint8×int8": "int8",
}  # fmt: skip
"""What runtimes call the types that the analyzer names."""


class Of(NamedTuple):
    """What a calibration is of. ``effective``: the precision, None where it is not known."""

    runtime: str
    build: str
    threads: int
    effective: str | None


def compare(record: Record, static: JsonObject | None, build: str, kept: Kept) -> None:
    """Add bounds to a measured ``record``, and hot spots where its operators were timed.

    ``fraction_of_roofline`` is ``fused_bound_ns`` over the median latency, and
    ``fraction_of_unfused`` is ``unfused_bound_ns`` over it. ``static``: what the analyzer found at
    the shapes of the cell, with its ``work``. ``build``: the distributions and versions of the
    runtime. ``kept``: the calibrations of this host.
    """
    cell, derived = record["cell"], record["derived"]
    of = Of(cell["runtime"], build, cell["threads"], record["precision_effective"])
    static = static or {"reason": "the file was not analyzed"}
    median_ns = record["latency"]["median_ns"]
    found: Ceilings | None = None
    try:
        if median_ns is None:
            raise NoCeiling("not timed")
        found = ceilings_of(of, static, kept)
        derived.update(model_bounds(found, static))
        derived[FRACTION] = derived["fused_bound_ns"] / median_ns
        derived["fraction_of_unfused"] = derived["unfused_bound_ns"] / median_ns
        del derived[FRACTION_REASON]
        if derived[FRACTION] > 1 + SLACK:
            derived["roofline_note"] = (
                f"faster than its bound: the calibration was disturbed, {_again(of)}"
            )
    except NoCeiling as error:
        derived[FRACTION_REASON] = str(error)
    if record["op_times"] and static.get("nodes"):
        from onnxbench.measure.hotspots import hot_spots  # noqa: PLC0415 - rarely asked for

        record["hot_spots"] = hot_spots(record["op_times"], static["nodes"], found)


def ceilings_of(of: Of, static: JsonObject, kept: Kept) -> Ceilings:
    """Return what holds for a cell. Raises NoCeiling, which says what to type."""
    if of.effective is None:
        raise NoCeiling("the effective precision is not known")
    type_it = _again(of)
    same = [
        document
        for document in kept.documents
        if (document["runtime"], document["threads"]) == (of.runtime, of.threads)
    ]
    of_build = [document for document in same if document["build"] == of.build]
    if not of_build:
        other = f"the calibration is of {same[0]['build']}" if same else "not calibrated"
        raise NoCeiling(f"{other}: {type_it}")
    effective = main_precision(of.effective)
    found = ceilings(of_build, effective)
    if not found.flops_per_s:
        raise NoCeiling(f"no calibration in {effective}: {type_it} --precision model,native")
    return replace(found, bytes_share=bytes_share(effective, _declared(static)))


def model_bounds(found: Ceilings, static: JsonObject) -> JsonObject:
    """Return the bounds of a network from its ``static`` figures. Raises NoCeiling.

    ``fused_bound_ns``: everything fused, weights, inputs and outputs moved once.
    ``unfused_bound_ns``: the sum of the nodes' own bounds, or the former where that is more, for
    each node may work in place and the network may not. ``bound``: what limits the former.
    """
    works, compulsory = static.get("work"), static.get("compulsory_bytes")
    if works is None or compulsory is None:
        raise NoCeiling(str(static.get("work_reason") or static.get("reason") or "not analyzed"))
    nodes = [Work(*work) for work in works]
    fused = fused_bound(found, nodes, compulsory)
    return {
        "bound": fused.limit,
        "fused_bound_ns": fused.seconds * 1e9,
        "unfused_bound_ns": max(fused.seconds, unfused_s(found, nodes)) * 1e9,
    }


def predictions(static: JsonObject, kept: Kept) -> list[tuple[JsonObject, Ceilings | None]]:
    """Return the bounds of a network on everything that is calibrated, the newest first.

    Each with its ceilings, None where they do not do. In the precision of most of the network's
    MACs, as if the runtime computed in the types of the graph.
    """
    effective = _mostly(static)
    told: list[tuple[JsonObject, Ceilings | None]] = []
    seen: set[tuple[str, int]] = set()
    for document in kept.documents:
        key = (document["runtime"], document["threads"])
        if key in seen:
            continue
        seen.add(key)
        entry: JsonObject = {
            "runtime": document["runtime"],
            "build": document["build"],
            "threads": document["threads"],
            "precision": effective,
            "calibrated": document["created"],
            **dict.fromkeys(("bound", "fused_bound_ns", "unfused_bound_ns")),
        }
        of = Of(document["runtime"], document["build"], document["threads"], effective)
        found: Ceilings | None = None
        try:
            found = ceilings_of(of, static, kept)
            entry.update(model_bounds(found, static))
        except NoCeiling as error:
            entry["reason"] = str(error)
        told.append((entry, found))
    return told


def _again(of: Of) -> str:
    return f"onnxbench calibrate -r {shlex.quote(of.runtime)} -t {of.threads}"


def _declared(static: JsonObject) -> list[str]:
    return [name for name, macs in static.get("macs_by_precision", {}).items() if macs != 0]


def _mostly(static: JsonObject) -> str | None:
    """Return the effective precision of a runtime that takes the types of the graph."""
    macs: dict[str, int] = {
        name: count or 0 for name, count in static.get("macs_by_precision", {}).items()
    }
    most = max(macs, key=lambda name: macs[name], default=None)
    return "float32" if most is None else DECLARED.get(most)
