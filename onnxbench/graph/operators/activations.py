"""Activation functions, each with the weight that one element has.

Gelu is 8 and softmax 5 by convention (N3), however they are approximated, and Sigmoid and Tanh are
1 as functions of a library. Every other function is the sum of the operators by which the standard
defines it, at the weights of these; a product with an ``alpha`` of 1 is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.rules import per_output, tally_per_input

if TYPE_CHECKING:
    from onnxbench.graph.network import Node

GELU = 8
"""FLOPs of a Gelu, one of them an erf or tanh (N3)."""

_CONTRIB = "com.microsoft"
_PADDLE = "count_leaky_relu in paddle/hapi/dynamic_flops.py"


def swish(node: Node) -> Cost:
    """2 FLOPs per output element, 1 transcendental: x · sigmoid(alpha · x); 1 more if alpha ≠ 1."""
    return _gated(node, default=1.0, gates=1)


def quick_gelu(node: Node) -> Cost:
    """3 FLOPs per output element, 1 transcendental: x · sigmoid(alpha · x)."""
    return _gated(node, default=1.702, gates=1)


def swiglu(node: Node) -> Cost:
    """3 FLOPs per output element, 1 transcendental: a · sigmoid(alpha · a) · b."""
    return _gated(node, default=1.0, gates=2)


def biased_gelu(node: Node) -> Cost:
    """8 FLOPs per output element, 1 transcendental, and 1 for a bias."""
    elements = node.output().elements
    bias = int(node.optional(1) is not None)
    return Cost(flops=elements * (GELU + bias), transcendentals=elements)


def linear_attention_gate(node: Node) -> Cost:
    """5 FLOPs per decay, 2 transcendental: scale · softplus(a + bias); 1 per beta."""
    decays = node.input(0).elements
    rates = node.optional(3)
    betas = rates.elements if rates is not None else 0
    return Cost(flops=decays * 5 + betas, transcendentals=decays * 2 + betas)


def _gated(node: Node, default: float, gates: int) -> Cost:
    elements = node.output().elements
    scaled = int(node.attribute("alpha", default) != 1.0)
    return Cost(flops=elements * (1 + scaled + gates), transcendentals=elements)


def _activation(flops: int, evaluations: int, formula: str) -> Operator:
    return Operator("elementwise", per_output(flops, evaluations, formula), in_place=True)


_GELU = _activation(GELU, 1, "by convention, exact or approximated")
_FAST_GELU = Operator("elementwise", biased_gelu, in_place=True)

ROWS = {
    ("", "Relu"): _activation(1, 0, "max(0, x)"),
    ("", "Sigmoid"): _activation(1, 1, "one function"),
    ("", "Tanh"): _activation(1, 1, "one function"),
    ("", "LeakyRelu"): Operator(
        "elementwise",
        per_output(2, formula="a test and alpha · x"),
        paddle=tally_per_input(1, _PADDLE),
        in_place=True,
    ),
    ("", "PRelu"): _activation(2, 0, "a test and slope · x"),
    ("", "ThresholdedRelu"): _activation(1, 0, "a test"),
    ("", "Shrink"): _activation(4, 0, "two tests, x + bias, x - bias"),
    ("", "HardSigmoid"): _activation(4, 0, "max(0, min(1, alpha · x + beta))"),
    ("", "HardSwish"): _activation(5, 0, "x · HardSigmoid(x)"),
    ("", "Elu"): _activation(4, 1, "a test and alpha · (exp(x) - 1)"),
    ("", "Selu"): _activation(6, 1, "a test, gamma · (alpha · exp(x) - alpha), gamma · x"),
    ("", "Celu"): _activation(6, 1, "alpha · Elu(x / alpha)"),
    ("", "Softplus"): _activation(3, 2, "log(1 + exp(x))"),
    ("", "Softsign"): _activation(3, 0, "x / (1 + |x|)"),
    ("", "Mish"): _activation(5, 3, "x · tanh(log(1 + exp(x)))"),
    ("", "Gelu"): _GELU,
    ("", "Swish"): Operator("elementwise", swish, in_place=True),
    ("", "SwiGLU"): Operator("elementwise", swiglu, in_place=True),
    (_CONTRIB, "Gelu"): _GELU,
    (_CONTRIB, "FastGelu"): _FAST_GELU,
    (_CONTRIB, "BiasGelu"): _FAST_GELU,
    (_CONTRIB, "QuickGelu"): Operator("elementwise", quick_gelu, in_place=True),
    (_CONTRIB, "BiasSplitGelu"): Operator(
        "elementwise", per_output(3 + GELU, 1, "two biased halves, left · Gelu(right)")
    ),
    (_CONTRIB, "ScaledSiLU"): _activation(3, 1, "z · sigmoid(z) of z = scale · x"),
    (_CONTRIB, "LinearAttentionGate"): Operator("elementwise", linear_attention_gate),
}
