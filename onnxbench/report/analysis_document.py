"""A profile as documents: the JSON of ``analyze --json``, and rows of numbers as CSV."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from onnxbench import SCHEMA
from onnxbench.graph.static import depends_on, plain, static_document
from onnxbench.report.analysis import CLOSED, batch, intensity, shape_text, sheet
from onnxbench.report.axes import at
from onnxbench.report.csv_text import csv_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.graph.profile import GraphProfile, KvCache, Memory, Parameters, Signature
    from onnxbench.report.analysis import Bounds, Shape, Sheet, Value, View
    from onnxbench.report.flat import Cell
    from onnxbench.types import JsonObject

_PER_SAMPLE = ("macs", "flops", "transcendentals")

_SUMMARY = (
    ("path", "path"),
    ("sha256", "artifact.sha256"),
    ("convention", "convention"),
    ("exact", "exact"),
    ("coverage", "coverage"),
    ("nodes", "node_count"),
    ("batch", "batch"),
    ("macs", "macs"),
    ("flops", "flops"),
    ("transcendentals", "transcendentals"),
    ("macs_per_sample", "per_sample.macs"),
    ("flops_per_sample", "per_sample.flops"),
    ("macs_least", "macs_least"),
    ("flops_least", "flops_least"),
    ("macs_formula", "formulas.macs"),
    ("flops_formula", "formulas.flops"),
    ("transcendentals_formula", "formulas.transcendentals"),
    ("reason", "reason"),
    ("params", "params"),
    ("buffers", "buffers"),
    ("other_constants", "parameters.other"),
    ("dead_constants", "parameters.dead"),
    ("tied_weights", "parameters.tied"),
    ("weight_bytes", "weight_bytes"),
    ("buffer_bytes", "parameters.buffer_bytes"),
    ("dead_bytes", "parameters.dead_bytes"),
    ("macts", "macts"),
    ("peak_activation_bytes", "memory.liveness_bytes"),
    ("peak_activation_in_place_bytes", "memory.in_place_bytes"),
    ("peak_activation_fused_bytes", "memory.fused_bytes"),
    ("activation_no_reuse_bytes", "memory.no_reuse_bytes"),
    ("peak_activation_node", "memory.node"),
    ("peak_activation_reason", "memory.reason"),
    ("kv_cache_bytes_per_token", "kv_cache.bytes_per_token"),
    ("bytes_read", "bytes_read"),
    ("bytes_written", "bytes_written"),
    ("intensity_flops_per_byte", "intensity_flops_per_byte"),
    ("onnx_tool_macs", "cross_check.macs"),
    ("onnx_tool_params", "cross_check.params"),
    ("onnx_tool_memory_bytes", "cross_check.memory_bytes"),
    ("onnx_tool_reason", "cross_check.reason"),
)
"""Header and dotted path of the columns that the summary has as CSV."""


def analysis_document(
    profile: GraphProfile,
    view: View | None = None,
    *,
    artifact: Mapping[str, object] | None = None,
    cross_check: Mapping[str, object] | None = None,
    bounds: Bounds | None = None,
) -> JsonObject:
    """Return the document of ``profile``; ``view`` adds ``nodes``, or ``modules``.

    ``artifact``: sha256 and bytes of all files, where they were hashed. ``cross_check``: what
    another tool found. ``bounds``: the least time on what is calibrated here.
    """
    document: JsonObject = {
        "schema": SCHEMA,
        "path": profile.path,
        "artifact": None if artifact is None else dict(artifact),
        **({} if artifact else {"artifact_reason": "not hashed; --hash does it"}),
        "producer": profile.producer,
        "ir_version": profile.ir_version,
        "opset": dict(profile.opset),
        "binding": {
            "batch": profile.binding.batch,
            "dims": dict(profile.binding.dims),
            "shapes": {name: list(shape) for name, shape in profile.binding.shapes.items()},
        },
        "inputs": [_signature(each) for each in profile.inputs],
        "outputs": [_signature(each) for each in profile.outputs],
        "symbols": list(profile.symbols),
        "dim_names": dict(profile.dim_names),
        **static_document(profile),
        **_per_sample(profile),
        **_intensity(profile),
        "parameters": _parameters(profile),
        "memory": _memory(profile),
        **_kv_cache(profile),
        "node_count": profile.node_count,
        "by_op": rows(sheet(profile, "op")),
        "notes": list(profile.notes),
    }
    if view == "nodes":
        document["nodes"] = rows(sheet(profile, "nodes", bounds.ceilings if bounds else None))
    elif view == "module":
        document["modules"] = rows(sheet(profile, "module"))
    if cross_check is not None:
        document["cross_check"] = dict(cross_check)
    if bounds is not None:
        document["bounds"] = list(bounds.entries) or None
        if not bounds.entries:
            document["bounds_reason"] = bounds.reason
    return document


def rows(of: Sheet) -> list[JsonObject]:
    """Return each row as an object; ``formulas`` holds what depends on an open dim."""
    names = [field.key for field in of.fields]
    found: list[JsonObject] = []
    for row in of.rows:
        document: JsonObject = {}
        open_: dict[str, str] = {}
        for name, value in zip(names, row, strict=True):
            if value is None or isinstance(value, str | int | float):
                document[name] = value
            elif isinstance(value, tuple):
                document[name] = [_shape(shape) for shape in value]
            else:
                document[name] = None
                open_[name] = str(value)
        if open_:
            document["formulas"] = open_
        found.append(document)
    return found


def sheet_csv(of: Sheet) -> str:
    """Return a sheet as CSV; each count that may be open has a column for its formula too."""
    counts = [
        i
        for i, field in enumerate(of.fields)
        if field.kind in {"count", "bytes"} and field.key not in CLOSED
    ]
    header = [field.key for field in of.fields]
    header += [f"{of.fields[i].key}_formula" for i in counts]
    return csv_text(
        header, ([*map(_flat, row), *(_formula(row[i]) for i in counts)] for row in of.rows)
    )


def summary_csv(document: JsonObject) -> str:
    """Return a document of `analysis_document` as CSV: the summary on one row."""
    header = [name for name, _ in _SUMMARY]
    row: list[Cell] = [at(document, path) for _, path in _SUMMARY]
    header += ["inputs", "unknown"]
    row.append(" ".join(_typed(each) for each in document["inputs"]))
    row.append(
        " | ".join(
            f"{each['domain'] or 'ai.onnx'}::{each['op']} x{each['nodes']}: {each['reason']}"
            for each in document["unknown"]
        )
    )
    return csv_text(header, [row])


def _typed(signature: Mapping[str, Any]) -> str:
    shape = signature["shape"]
    return f"{signature['name']}:{shape_text(None if shape is None else tuple(shape))}"


def _flat(value: Value) -> Cell:
    if isinstance(value, tuple):
        return " ".join(map(shape_text, value))
    return value if value is None or isinstance(value, str | int | float) else None


def _formula(value: Value) -> str:
    known = value is None or isinstance(value, str | int | float | tuple)
    return "" if known else str(value)


def _shape(shape: Shape | None) -> list[int | str | None] | None:
    if shape is None:
        return None
    return [dim if dim is None or isinstance(dim, int) else str(dim) for dim in shape]


def _signature(of: Signature) -> JsonObject:
    return {"name": of.name, "dtype": of.dtype, "shape": _shape(of.shape)}


def _per_sample(profile: GraphProfile) -> JsonObject:
    """Return the totals divided by the batch, where it is known."""
    size = batch(profile.inputs)
    if size is None:
        return {"batch": None, "per_sample": None, "per_sample_reason": "the batch is not known"}
    totals = {name: plain(getattr(profile, name)) for name in _PER_SAMPLE}
    return {
        "batch": size,
        "per_sample": {
            name: None if count is None else count / size for name, count in totals.items()
        },
    }


def _intensity(profile: GraphProfile) -> JsonObject:
    found = intensity(profile.flops, profile.bytes_read, profile.bytes_written)
    counts = (profile.flops, profile.bytes_read, profile.bytes_written)
    is_open = any(plain(count) is None for count in counts)
    why = depends_on(counts) if is_open else "no byte is moved"
    return {
        "intensity_flops_per_byte": found,
        **({"intensity_reason": why} if found is None else {}),
    }


def _parameters(profile: GraphProfile) -> JsonObject:
    return {**_fields(profile.parameters), "by_dtype": dict(profile.parameters.by_dtype)}


def _memory(profile: GraphProfile) -> JsonObject:
    document = _fields(profile.memory)
    return document if profile.memory.liveness_bytes is None else _without(document, "reason")


def _kv_cache(profile: GraphProfile) -> JsonObject:
    cache = profile.kv_cache
    if cache is None:
        return {"kv_cache": None, "kv_cache_reason": "no key-value cache among the inputs"}
    document = _fields(cache)
    known = cache.bytes_per_token is not None
    return {"kv_cache": _without(document, "reason") if known else document}


def _fields(of: Parameters | Memory | KvCache) -> JsonObject:
    return {field.name: getattr(of, field.name) for field in dataclasses.fields(of)}


def _without(document: JsonObject, key: str) -> JsonObject:
    return {name: value for name, value in document.items() if name != key}
