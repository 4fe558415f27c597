"""Compares a profile with what onnx-tool counts, and says why the two differ where it is known.

onnx-tool is an independent program with conventions of its own: bias, activations and
normalization are MACs to it. It runs in a child with limits on time and memory; its failure is a
finding like any other.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from onnxbench.errors import UsageError
from onnxbench.graph.precision import NAMES
from onnxbench.graph.totals import Total
from onnxbench.probes import memory
from onnxbench.targets.local import run_child
from onnxbench.types import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnxbench.graph.dims import Count
    from onnxbench.graph.profile import GraphProfile, NodeProfile
    from onnxbench.types import JsonObject

TOOL = "onnx-tool"
LIMIT_S = 300.0
"""It takes minutes for gigabytes of weights or ten thousands of nodes."""

MEMORY_SHARE = 0.8
"""Share of the free memory that it may take: it reads all weights."""

BIASED = frozenset({"Conv", "Gemm", "ConvTranspose", "FusedConv"})
"""Operators to whose outputs onnx-tool adds one MAC each for a bias."""

KNOWN = {
    "ConvTranspose": "takes its weight for that of a Conv and multiplies by the size of the output",
    "MatMul": "takes the batch dims of one operand and leaves out what broadcasting adds",
    "LSTM": "adds its gates' exp (32) and tanh (38), and needs a bias",
    "GRU": "adds its gates' exp (32) and tanh (38), and needs a bias",
    "Einsum": "multiplies all sizes of the operands, also where nothing is multiplied",
    "Attention": "adds exp and division of the softmax (36)",
}
"""Why its MACs of an operator differ, where more is behind it than a bias."""

_MOVES = 0.5
"""MACs per output element below which onnx-tool counts no work, but leftovers."""


class Operator(NamedTuple):
    """MACs of all nodes of one operator, theirs (None: it has none of it) and ours (None: open)."""

    op: str
    theirs: int | None
    ours: int | None
    outputs: int | None


def require_onnx_tool() -> None:
    """Raise UsageError, with what to type, unless onnx-tool is installed."""
    if importlib.util.find_spec("onnx_tool") is None:
        raise UsageError(
            f"--cross-check {TOOL} needs {TOOL}, which is not installed",
            f"pip install 'onnxbench[{TOOL}]'",
        )


def cross_check(profile: GraphProfile, *, limit_s: float = LIMIT_S) -> JsonObject:
    """Return what onnx-tool counts beside our own figures, operator by operator.

    ``status`` is ``ok`` or ``failed``, with a ``reason`` beside every null.
    """
    open_inputs = [
        each.name
        for each in profile.inputs
        if each.shape is None or not all(isinstance(dim, int) for dim in each.shape)
    ]
    if open_inputs:
        names = ", ".join(open_inputs[:5])
        return _failure(f"it needs the size of every dim; bind those of {names}")
    result = run_child(
        [sys.executable, "-m", "onnxbench.graph.onnx_tool"],
        {
            "model": profile.path,
            "inputs": {
                each.name: {"shape": each.shape, "type": _TYPES.get(each.dtype, 1)}
                for each in profile.inputs
            },
            "parent_pid": os.getpid(),
            "memory_bytes": int((memory.available_bytes() or 1 << 40) * MEMORY_SHARE),
            "limit_s": limit_s,
        },
        Limits(steady_s=limit_s),
    )
    if result.status != "ok":
        message = result.error["message"] if result.error is not None else result.status
        return _failure(message)
    found: Any = dict(result.measurement or {}).get("found")
    by_op = compare(profile.nodes, {op: macs for op, (_, macs) in found["by_op"].items()})
    return {
        "tool": TOOL,
        "version": found["version"],
        "status": "ok",
        "macs": found["macs"],
        "params": found["params"],
        "memory_bytes": found["memory_bytes"],
        "seconds": round(result.wall_ns / 1e9, 2),
        "by_op": [
            {
                "op": each.op,
                "onnx_tool_macs": each.theirs,
                "macs": each.ours,
                "difference": None if None in each[1:3] else each.theirs - each.ours,  # type: ignore[operator]
                "reason": why(each),
            }
            for each in by_op
        ],
        "params_note": _about_params(profile, found["params"]),
        "memory_note": "theirs is weights and all outputs together, nothing is ever freed",
    }


_TYPES = {name: number for number, name in NAMES.items()}


def compare(nodes: Iterable[NodeProfile], theirs: dict[str, int]) -> list[Operator]:
    """Return the operators that cost either of the two something, the greatest difference first."""
    macs: dict[str, Total] = {}
    outputs: dict[str, int | None] = {}
    for node in nodes:
        macs.setdefault(node.op, Total()).add(node.macs or 0)
        known = outputs.get(node.op, 0)
        found = _elements(node)
        outputs[node.op] = None if known is None or found is None else known + found
    operators = [
        Operator(op, theirs.get(op), _plain(macs[op].value()) if op in macs else 0, outputs.get(op))
        for op in {**macs, **theirs}
    ]
    return sorted(
        (each for each in operators if each.theirs or each.ours != 0),
        key=lambda each: (-abs((each.theirs or 0) - (each.ours or 0)), each.op),
    )


def why(of: Operator) -> str:
    """Return why the two figures of an operator differ, "" where they do not."""
    op, theirs, ours, outputs = of
    if theirs == ours:
        return ""
    if theirs is None:
        return "it has no node of this operator: it folded them, or looks into no function"
    if ours is None:
        return "our figure is open"
    per_output = (theirs - ours) / outputs if outputs else None
    if op in BIASED and per_output is not None and 0 < per_output <= 1:
        return "adds 1 for the bias to each output element"
    if op in KNOWN:
        return KNOWN[op]
    if ours == 0 and per_output is not None and per_output >= _MOVES:
        return f"counts {per_output:.3g} per output element; to us that is elementwise work (FLOPs)"
    return "not explained"


def _elements(node: NodeProfile) -> int | None:
    """Return the elements of the first output."""
    shape = node.shapes_out[0] if node.shapes_out else ()
    if shape is None:
        return None
    size = 1
    for dim in shape:
        if not isinstance(dim, int):
            return None
        size *= dim
    return size


def _plain(count: Count) -> int | None:
    return count if isinstance(count, int) else None


def _about_params(profile: GraphProfile, theirs: int) -> str:
    """Return what makes up the difference in parameters, as far as it is known."""
    if theirs == profile.parameters.params:
        return ""
    return (
        "theirs are all initializers that nodes read, buffers and shape constants included; "
        "without weights of Constant nodes, constant chains and subgraphs"
    )


def _failure(reason: str) -> JsonObject:
    return {
        "tool": TOOL,
        "version": None,
        "status": "failed",
        "reason": reason,
        "macs": None,
        "params": None,
        "memory_bytes": None,
        "by_op": [],
    }
