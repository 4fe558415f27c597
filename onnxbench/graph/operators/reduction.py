"""Reductions, softmax and losses: many elements into few.

A reduction is one FLOP per *input* element (P1), and what it does to each of them before (square,
magnitude, exponential) or to each result after (root, logarithm) is one more there. A mean's
division per result is left out, as P1 has it. Softmax is 5 per element by convention (N3): maximum,
difference, exponential, sum, quotient.

None of this counts in fvcore: ``x.mean((2, 3))`` is 0 there, adaptive pooling is not. Exporters
write both as ReduceMean; `fvcore_mean` tells them apart where the exporter noted which it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import product
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.origin import is_adaptive_pool
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.rules import per_input

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node
    from onnxbench.graph.operators.row import Rule

SOFTMAX = 5
"""FLOPs per element, one of them an exp (N3)."""

_CONTRIB = "com.microsoft"
_FIRST_OPSET_WITH_SOFTMAX_ALONG_AN_AXIS = 13


class _Weights(NamedTuple):
    """FLOPs of a reduction: per input element to prepare and to reduce it, and per result."""

    before: int = 0
    evaluations: int = 0
    after: int = 0
    roots: int = 0


def _reduction(weights: _Weights, formula: str) -> Rule:
    def rule(node: Node) -> Cost:
        inputs = node.input(0).elements
        results = node.output().elements if weights.after else 0
        reduced = 0 if _reduces_nothing(node) else 1
        return Cost(
            flops=inputs * (weights.before + reduced) + results * weights.after,
            transcendentals=inputs * weights.evaluations + results * weights.roots,
        )

    flops = "1 FLOP" if weights.before == 0 else f"{weights.before + 1} FLOPs"
    after = f", {weights.after} per result" if weights.after else ""
    rule.__doc__ = f"{flops} per input element{after}: {formula}."
    return rule


def fvcore_mean(node: Node) -> Count:
    """1 per input element if the exporter notes adaptive_avg_pool2d, else 0 (flop_count.py)."""
    return node.input(0).elements if is_adaptive_pool(node) else 0


def softmax(node: Node) -> Cost:
    """5 FLOPs per element, 1 transcendental: max, -, exp, sum, / (N3)."""
    elements = node.output().elements
    return Cost(flops=elements * SOFTMAX, transcendentals=elements)


def log_softmax(node: Node) -> Cost:
    """5 FLOPs per element and a logarithm per row; exp and log are transcendental."""
    return _log_softmax(node, _rows(node))


def bias_softmax(node: Node) -> Cost:
    """6 FLOPs per element, 1 transcendental: a sum, then softmax."""
    elements = node.output().elements
    return Cost(flops=elements * (SOFTMAX + 1), transcendentals=elements)


def negative_log_likelihood(node: Node) -> Cost:
    """1 FLOP per target, 1 for its weight, 1 or 2 to reduce it: the scores are looked up."""
    return Cost(flops=node.input(1).elements * _per_target(node))


def softmax_cross_entropy(node: Node) -> Cost:
    """5 FLOPs per score and a logarithm per target, then the negative log likelihood."""
    targets = node.input(1).elements
    scores = node.input(0).elements
    return Cost(
        flops=scores * SOFTMAX + targets * (1 + _per_target(node)), transcendentals=scores + targets
    )


def _log_softmax(node: Node, rows: Count) -> Cost:
    elements = node.output().elements
    return Cost(flops=elements * SOFTMAX + rows, transcendentals=elements + rows)


def _rows(node: Node) -> Count:
    """Return over how many rows softmax goes: until opset 13 the axes from ``axis`` on are one."""
    dims = node.output().dims
    flattens = node.opset < _FIRST_OPSET_WITH_SOFTMAX_ALONG_AN_AXIS
    axis = node.attribute("axis", 1 if flattens else -1)
    if not -len(dims) <= axis < max(len(dims), 1 + int(flattens)):
        raise Unknown(f"the axis of {node.op} lies outside its input")
    if not dims:
        return 1
    axis = axis + len(dims) if axis < 0 else axis
    return product(dims[:axis] if flattens else (*dims[:axis], *dims[axis + 1 :]))


def _per_target(node: Node) -> int:
    weighted = int(node.optional(2) is not None)
    reduction = node.attribute("reduction", "mean")
    summed = 0 if reduction == "none" else 1
    return 1 + weighted + summed + (weighted if reduction == "mean" else 0)


def _reduces_nothing(node: Node) -> bool:
    """Tell whether the node was told to do nothing without axes, and has none."""
    if not node.attribute("noop_with_empty_axes", 0):
        return False
    if node.attribute("axes"):
        return False
    axes = node.optional(1)
    return axes is None or axes.shape == (0,)


def _row(weights: _Weights, formula: str) -> Operator:
    return Operator("reduction", _reduction(weights, formula))


_PLAIN = _row(_Weights(), "one operation each")
_RUNNING = Operator("reduction", per_input(1, formula="a running result"), in_place=True)

ROWS = {
    ("", "ReduceSum"): _PLAIN,
    ("", "ReduceMax"): _PLAIN,
    ("", "ReduceMin"): _PLAIN,
    ("", "ReduceProd"): _PLAIN,
    ("", "ReduceMean"): Operator("reduction", _reduction(_Weights(), "a sum"), fvcore=fvcore_mean),
    ("", "ReduceL1"): _row(_Weights(before=1), "a sum of |x|"),
    ("", "ReduceL2"): _row(_Weights(before=1, after=1, roots=1), "a root of a sum of x²"),
    ("", "ReduceSumSquare"): _row(_Weights(before=1), "a sum of x²"),
    ("", "ReduceLogSum"): _row(_Weights(after=1, roots=1), "log of a sum"),
    ("", "ReduceLogSumExp"): _row(
        _Weights(before=1, evaluations=1, after=1, roots=1), "log of a sum of exp(x)"
    ),
    ("", "ArgMax"): _PLAIN,
    ("", "ArgMin"): _PLAIN,
    ("", "CumSum"): _RUNNING,
    ("", "CumProd"): _RUNNING,
    ("", "Softmax"): Operator("reduction", softmax, in_place=True),
    ("", "LogSoftmax"): Operator("reduction", log_softmax, in_place=True),
    ("", "Hardmax"): _PLAIN,
    ("", "NegativeLogLikelihoodLoss"): Operator("reduction", negative_log_likelihood),
    ("", "SoftmaxCrossEntropyLoss"): Operator("reduction", softmax_cross_entropy),
    (_CONTRIB, "BiasSoftmax"): Operator("reduction", bias_softmax, in_place=True),
    (_CONTRIB, "ReduceSumInteger"): _PLAIN,
}
