"""Who says what is right: ONNX Runtime on the processor, else the reference evaluator of onnx.

Its outputs for a model's inputs, and for others of the same shapes, are what every runtime has to
give. They are computed once per model and workload, in a process of its own, before any facts.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnxbench.text import safe_text
from onnxbench.worker.job import Reference
from onnxbench.worker.judging import is_narrower, narrowest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from onnxbench.types import Artifact, ChildResult, JsonObject, ParityDoc, PlannedCell
    from onnxbench.worker.job import Job

PLACEHOLDER = "light"
"""What a cell calls the weights of the networks in the onnx package."""

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


@dataclass(slots=True)
class References:
    """What the cells of one run are compared with, found once per model and workload.

    The first of ``oracles`` that can run a model is believed; without any, nothing is compared.
    ``folder`` takes their outputs. ``run`` runs the job of an oracle for a cell.
    """

    oracles: Sequence[Oracle]
    folder: Path
    run: Callable[[PlannedCell, Oracle, Job], ChildResult]
    _known: dict[tuple[str, str], tuple[Reference | None, str]] = field(default_factory=dict)

    def of(self, planned: PlannedCell, job: Job) -> tuple[Reference | None, str]:
        """Return the reference for a cell, or None and why there is none.

        ``job``: a job of the cell. The oracle's own cell has none, and no reason.
        """
        if self.oracles and _is_oracle(planned, self.oracles[0]):
            return None, ""
        why = _why_not_compared(planned)
        if why or not self.oracles:
            return None, why
        key = (planned.artifact.sha256, planned.workload.key)
        if key not in self._known:
            self._known[key] = self._ask(planned, job)
        return self._known[key]

    def _ask(self, planned: PlannedCell, job: Job) -> tuple[Reference | None, str]:
        reasons = []
        dtype = narrowest_precision(planned.artifact, planned.static)
        workload = f"{planned.workload.key}-{planned.artifact.sha256[:16]}"
        for number, oracle in enumerate(self.oracles):
            reference = Reference(
                path=str(self.folder / f"{workload}-{number}.npz"),
                name=oracle.name,
                dtype=dtype,
                depth=rounding_depth(planned.artifact, dtype),
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
                origin=None,
            )
            result = self.run(planned, oracle, asked)
            if result.status == "crashed":
                result = self.run(planned, oracle, asked)
            if result.status == "ok":
                return reference, ""
            message = result.error["message"] if result.error else result.status
            reasons.append(f"{oracle.name}: {message}")
        return None, "; ".join(reasons) or "no oracle is installed"


def for_native(reference: Reference, effective: str | None) -> Reference:
    """Return ``reference`` for a runtime that chose its own precision: its rounding is allowed.

    ``effective``: what it was found to compute in.
    """
    used = narrowest(effective)
    if used is None or not is_narrower(used, reference.dtype):
        return reference
    return dataclasses.replace(reference, dtype=used)


def say_why_unjudged(result: ChildResult, reason: str) -> None:
    """Put into a facts child's parity why its outputs were compared with nothing."""
    if result.measurement is None or not reason:
        return
    found = result.measurement.get("parity", {})
    if found.get("reference") == "self":
        said = safe_text(reason, 300)
        unknown: ParityDoc = {"reference": None, "passed": None, "max_abs": None, "max_rel": None}
        why: ParityDoc = {"top1_agree": None, "top1_reason": said, "reason": said}
        result.measurement["parity"] = {**found, **unknown, **why}


def _is_oracle(planned: PlannedCell, oracle: Oracle) -> bool:
    """Tell whether a cell is the oracle itself, so that nothing is left to compare."""
    cell = planned.cell
    is_its_runtime = (cell.runtime, planned.runtime_build) == (oracle.runtime, oracle.build)
    is_its_way = cell.boundary == "host" and cell.precision == "model" and not cell.options
    return is_its_runtime and is_its_way


def _why_not_compared(planned: PlannedCell) -> str:
    """Return why the outputs of a cell are not to be compared with the reference's, "" if they are.

    Placeholder weights are all alike, so are the classes, and which one wins is rounding.
    """
    if not planned.parity:
        return "not compared: --no-parity"
    if planned.cell.weights == PLACEHOLDER:
        return "not compared: placeholder weights, whose outputs prove nothing"
    return ""


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


def rounding_depth(artifact: Artifact, dtype: str) -> int:
    """Return how many layers round to ``dtype``, the narrowest type of the graph.

    All of them, unless it is INT8: a float network with one QuantizeLinear has one such rounding,
    and is no less exact elsewhere.
    """
    layers = depth(artifact)
    if dtype != "int8":
        return layers
    counts = artifact.operators.items()
    rounding = sum(count for operator, count in counts if any(w in operator for w in _QUANTIZED))
    return max(1, min(layers, rounding))


def _shares(static: JsonObject | None) -> dict[str, float]:
    """Return the share of the multiplications in each type, ``int4×fp16`` counting as its last."""
    macs = {
        name.rpartition("×")[2]: count
        for name, count in ((static or {}).get("macs_by_precision") or {}).items()
        if isinstance(count, int)
    }
    total = sum(macs.values())
    return {name: count / total for name, count in macs.items()} if total else {}
