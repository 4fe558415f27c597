"""What an artifact's sidecar says: where the bytes came from, and whether nothing was lost.

Pure: documents in, documents out.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onnxbench import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.plan import Candidate
    from onnxbench.sources import ExportRequest
    from onnxbench.types import JsonObject

MATMULS = ("ai.onnx::Gemm", "ai.onnx::MatMul", "ai.onnx::Einsum")
CONVOLUTIONS = ("ai.onnx::Conv", "ai.onnx::ConvTranspose")

MACS_TOLERANCE = 1e-3
"""Share by which the MACs of source and graph may differ: exporters fold what they can compute
ahead (position tables), and counts of attention masks vary."""

SCALARS = 1e-4
"""Share by which the graph may hold more parameters: constants of an activation function, say."""


def converted(
    said: JsonObject, request: ExportRequest, *, exporter: str, environment: str | None
) -> JsonObject:
    """Return the part that the converting child knows; ``said`` is its measurement."""
    facts, written = said["facts"], said["written"]
    counted = said["counts"] or {"macs": None, "reason": "the framework cannot tell"}
    return {
        "exporter": exporter,
        "environment": environment,
        "route": written["route"],
        "dynamic_batch": written["dynamic_batch"],
        "weights": facts["weights"],
        "seed": request.seed,
        "keep_bn": request.keep_bn,
        "fuse": request.fuse,
        "versions": facts["versions"],
        "preprocess": facts["preprocess"],
        "notes": [*facts["notes"], *written["notes"]],
        "counts": {
            "source": {
                **{name: facts[name] for name in ("params", "norm_params", "buffers")},
                **counted,
            }
        },
    }


def artifact(candidate: Candidate) -> JsonObject:
    """Return the part that pre-flight and the analyzer know of a file."""
    found = candidate.artifact
    assert found is not None
    static = candidate.static[0][1] if candidate.static else {}
    graph = {
        "nodes": found.node_count,
        **{
            name: static.get(name)
            for name in ("params", "buffers", "macs", "preparation_macs", "flops", "exact")
        },
        "convolutions": _nodes(found.operators, CONVOLUTIONS),
        "matmuls": _nodes(found.operators, MATMULS),
    }
    return {
        "id": candidate.spec.id,
        "source": candidate.spec.source,
        "bytes": found.bytes,
        "opset": found.opset,
        "ir_version": found.ir_version,
        "inputs": [asdict(each) for each in found.inputs],
        "outputs": [asdict(each) for each in found.outputs],
        "counts": {"graph": graph},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "tool": {"name": "onnxbench", "version": __version__},
    }


def agreement(source: JsonObject, graph: JsonObject, *, keep_bn: bool) -> JsonObject:
    """Return how the counts of the graph agree with those of the source, and why if they do not.

    Parameters: equal, or, where a normalisation was folded into its convolution, less by no more
    than what the normalisations held; more by `SCALARS` at most. MACs: equal within
    `MACS_TOLERANCE`, with or without what the graph computes from constants alone. Convolutions
    and matrix products: equal numbers.
    """
    reasons = []
    params = source["params"]
    least = None if params is None else params - (0 if keep_bn else source["norm_params"])
    most = (params or 0) * (1 + SCALARS)
    if least is not None and (graph["params"] is None or not least <= graph["params"] <= most):
        wanted = f"{params:,}" if least == params else f"{least:,} to {params:,}"
        reasons.append(f"{_number(graph['params'])} parameters in the graph, {wanted} expected")
    macs = source.get("macs")
    if macs is not None and not _close(graph, macs):
        reasons.append(f"{_number(graph['macs'])} MACs in the graph, {macs:,} in the source")
    for name, title in (("convolutions", "convolutions"), ("matmuls", "matrix products")):
        calls = source.get(name)
        if calls is not None and calls != graph[name]:
            reasons.append(f"{graph[name]} {title} in the graph, {calls} in the source")
    return {"agree": not reasons, "reason": "; ".join(reasons)}


def _close(graph: JsonObject, macs: int) -> bool:
    if graph["macs"] is None:
        return False
    counts = (graph["macs"], graph["macs"] + (graph["preparation_macs"] or 0))
    return any(abs(each - macs) <= MACS_TOLERANCE * macs for each in counts)


def _nodes(operators: dict[str, int], names: Sequence[str]) -> int:
    return sum(operators.get(name, 0) for name in names)


def _number(count: int | None) -> str:
    return "an unknown number of" if count is None else f"{count:,}"
