"""Who says what is right: ONNX Runtime on the processor, else the reference evaluator of onnx.

Its outputs for a model's inputs, and for others of the same shapes, are what every runtime has to
give. They are computed once per model and workload, in a process of its own, before any facts.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxbench.worker.job import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from onnxbench.types import Artifact, ChildResult, JsonObject, PlannedCell
    from onnxbench.worker.job import Job

ENOUGH_SHARE = 0.01
"""Types with a smaller share of the multiplications do not decide how a network is computed."""

_DECLARED = {"fp64": "float64", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "QLinear", "Integer", "MatMulNBits")
_LAYERS = ("Conv", "MatMul", "Gemm", "Attention", "LSTM", "GRU", "RNN", "Einsum")


@dataclass(frozen=True, slots=True)
class Oracle:
    """A runtime that can be asked: ``name`` as records have it, with what makes it run."""

    name: str
    runtime: str
    adapter: str
    build: str
    interpreter: str


def is_oracle(planned: PlannedCell, oracle: Oracle) -> bool:
    """Tell whether a cell is the oracle itself, so that nothing is left to compare."""
    cell = planned.cell
    is_its_runtime = (cell.runtime, planned.runtime_build) == (oracle.runtime, oracle.build)
    return is_its_runtime and not cell.options and cell.boundary == "host"


def ask(
    oracles: Sequence[Oracle],
    planned: PlannedCell,
    job: Job,
    folder: Path,
    run: Callable[[Oracle, Job], ChildResult],
) -> tuple[Reference | None, str]:
    """Return the reference for a cell's model and workload, or None and why there is none.

    The first of ``oracles`` that can run the model is believed. ``job``: the cell's own facts job;
    ``folder``: where the outputs go; ``run`` runs a job where an oracle lives.
    """
    reasons = []
    for number, oracle in enumerate(oracles):
        reference = Reference(
            path=str(
                folder / f"{planned.workload.key}-{planned.artifact.sha256[:16]}-{number}.npz"
            ),
            name=oracle.name,
            dtype=narrowest_precision(planned.artifact, planned.static),
            depth=depth(planned.artifact),
        )
        asked = dataclasses.replace(
            job,
            mode="reference",
            adapter=oracle.adapter,
            boundary="host",
            precision="model",
            options={},
            expected=(),
            converted=None,
            cache=None,
            provider="",
            reference=reference,
        )
        result = run(oracle, asked)
        if result.status == "ok":
            return reference, ""
        message = result.error["message"] if result.error else result.status
        reasons.append(f"{oracle.name}: {message}")
    return None, "; ".join(reasons) or "no oracle is installed"


def declared_precision(artifact: Artifact, static: JsonObject | None) -> str:
    """Return the type that the graph says to do most of its arithmetic in.

    ``static``: what the analyzer found; without it the types of the inputs decide. A graph with a
    DequantizeLinear for every layer is INT8.
    """
    if _is_quantized(artifact):
        return "int8"
    shares = {
        _DECLARED[name]: share for name, share in _shares(static).items() if name in _DECLARED
    }
    if shares:
        return max(shares, key=lambda name: shares[name])
    return _of_inputs(artifact)


def narrowest_precision(artifact: Artifact, static: JsonObject | None) -> str:
    """Return the narrowest type that the graph computes in, which decides how far off is right."""
    if any(word in operator for operator in artifact.operators for word in _QUANTIZED):
        return "int8"
    found = [
        _DECLARED[name]
        for name, share in _shares(static).items()
        if share >= ENOUGH_SHARE and name in _DECLARED
    ]
    return max(found or [_of_inputs(artifact)], key=list(_DECLARED.values()).index)


def _of_inputs(artifact: Artifact) -> str:
    types = {spec.dtype for spec in (*artifact.inputs, *artifact.outputs)}
    named = {"double": "float64", "float16": "float16", "bfloat16": "bfloat16"}
    found = [named[each] for each in types if each in named]
    return max(found, key=list(_DECLARED.values()).index, default="float32")


def _is_quantized(artifact: Artifact) -> bool:
    counts = artifact.operators.items()
    if any("QLinear" in operator or "Integer" in operator for operator, _ in counts):
        return True
    restored = sum(count for operator, count in counts if "DequantizeLinear" in operator)
    return restored >= max(1, depth(artifact))


def depth(artifact: Artifact) -> int:
    """Return how many convolutions, matrix products and the like the graph has."""
    return sum(
        count
        for operator, count in artifact.operators.items()
        if any(word in operator for word in _LAYERS)
    )


def _shares(static: JsonObject | None) -> dict[str, float]:
    """Return the share of the multiplications in each type, ``int4×fp16`` counting as its last."""
    macs = {
        name.rpartition("×")[2]: count
        for name, count in ((static or {}).get("macs_by_precision") or {}).items()
        if isinstance(count, int)
    }
    total = sum(macs.values())
    return {name: count / total for name, count in macs.items()} if total else {}
