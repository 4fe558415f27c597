"""Classical machine learning (ai.onnx.ml): linear models, support vectors, trees.

Linear models and kernels multiply and accumulate, so they count MACs; trees only compare. What
turns scores into probabilities counts as the activation it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import floor_div, product
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.reduction import SOFTMAX
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.rules import uncounted

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node

_ML = "ai.onnx.ml"
_POST_TRANSFORM = {
    "NONE": (0, 0), "LOGISTIC": (1, 1), "PROBIT": (1, 1),
    "SOFTMAX": (SOFTMAX, 1), "SOFTMAX_ZERO": (SOFTMAX, 1),
}  # fmt: skip
"""(FLOPs, transcendentals) per score."""

_KERNEL = {"LINEAR": (0, 0), "POLY": (3, 1), "RBF": (2, 1), "SIGMOID": (3, 1)}
"""(FLOPs, transcendentals) per support vector, behind the dot product or squared distance."""


def linear(node: Node) -> Cost:
    """Samples · coefficients MACs, 1 FLOP per score for the intercept, the transform behind it."""
    coefficients, intercepts = _floats(node, "coefficients"), _floats(node, "intercepts")
    samples = _samples(node)
    scores = samples * max(intercepts, 1)
    flops, evaluations = _post_transform(node)
    return Cost(
        macs=samples * coefficients,
        flops=samples * intercepts + scores * flops,
        transcendentals=scores * evaluations,
    )


def support_vectors(node: Node) -> Cost:
    """Per sample a kernel with each support vector, then coefficients MACs.

    A kernel is a dot product (MACs), or for RBF a squared distance (a difference and a MAC per
    feature). Without support vectors the model is linear. Votes and probabilities are not counted.
    """
    samples, coefficients = _samples(node), _floats(node, "coefficients")
    values = _floats(node, "support_vectors")
    if not values:
        return Cost(macs=samples * coefficients)
    kernel = node.attribute("kernel_type", "LINEAR")
    if kernel not in _KERNEL:
        raise Unknown(f"the kernel {str(kernel)[:40]!r}")
    vectors = floor_div(values, node.input(0).dims[-1])
    flops, evaluations = _KERNEL[kernel]
    differences = values if kernel == "RBF" else 0
    return Cost(
        macs=samples * (values + coefficients),
        flops=samples * (vectors * flops + differences),
        transcendentals=samples * vectors * evaluations,
        note="votes and probabilities are not counted",
    )


def _samples(node: Node) -> Count:
    dims = node.input(0).dims
    if not dims:
        raise Unknown(f"{node.op} of a scalar")
    return product(dims[:-1])


def _floats(node: Node, name: str) -> int:
    return len(node.attribute(name) or ())


def _post_transform(node: Node) -> tuple[int, int]:
    found = node.attribute("post_transform", "NONE")
    if found not in _POST_TRANSFORM:
        raise Unknown(f"the transform {str(found)[:40]!r}")
    return _POST_TRANSFORM[found]


_LINEAR = Operator("contraction", linear)
_SUPPORT_VECTORS = Operator("contraction", support_vectors)
_TREES = Operator("selection", uncounted("comparisons in trees are"))

ROWS = {
    (_ML, "LinearClassifier"): _LINEAR,
    (_ML, "LinearRegressor"): _LINEAR,
    (_ML, "SVMClassifier"): _SUPPORT_VECTORS,
    (_ML, "SVMRegressor"): _SUPPORT_VECTORS,
    (_ML, "TreeEnsemble"): _TREES,
    (_ML, "TreeEnsembleClassifier"): _TREES,
    (_ML, "TreeEnsembleRegressor"): _TREES,
}
