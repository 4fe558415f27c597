"""Quantization, and arithmetic on quantized values.

Into or out of a scale and zero point is two FLOPs per element, a product and a sum (Q1), whatever
the granularity of the scales. An operator on quantized values counts what it does to them as if
they were floats, and these two at each end, although a runtime may look the result up in a table.
Dequantizing a constant costs nothing at run time: the account leaves constants out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.operators.activations import GELU
from onnxbench.graph.operators.pooling import window
from onnxbench.graph.operators.reduction import SOFTMAX
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.rules import per_input, per_output

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node

STEP = 2
"""FLOPs per element that is quantized or dequantized (Q1)."""

_CONTRIB = "com.microsoft"


def binary(node: Node) -> Cost:
    """2 FLOPs per element of both inputs, 3 per output element."""
    ends = (node.input(0).elements + node.input(3).elements) * STEP
    return Cost(flops=ends + node.output().elements * (1 + STEP))


def average_pool(node: Node) -> Cost:
    """A pool of prod(out) · prod(kernel) FLOPs, 2 per element at each end."""
    return Cost(flops=_ends(node) + node.output().elements * window(node))


def global_average_pool(node: Node) -> Cost:
    """1 FLOP per input element, 2 per element at each end."""
    return Cost(flops=_ends(node) + node.input(0).elements)


def concat(node: Node) -> Cost:
    """4 FLOPs per output element: every input has a scale of its own."""
    return Cost(flops=node.output().elements * 2 * STEP)


def _ends(node: Node) -> Count:
    return (node.input(0).elements + node.output().elements) * STEP


_QUANTIZE = Operator("elementwise", per_input(STEP, formula="x / scale + zero point"))
_DEQUANTIZE = Operator("elementwise", per_output(STEP, formula="(x - zero point) · scale"))
_BINARY = Operator("elementwise", binary, in_place=True)
_GLOBAL = Operator("reduction", global_average_pool)


def _between(flops: int, evaluations: int, formula: str) -> Operator:
    rule = per_output(flops + 2 * STEP, evaluations, f"{formula} between two steps")
    return Operator("elementwise", rule, in_place=True)


ROWS = {
    ("", "QuantizeLinear"): _QUANTIZE,
    ("", "DequantizeLinear"): _DEQUANTIZE,
    ("", "DynamicQuantizeLinear"): Operator(
        "elementwise", per_input(2 + STEP, formula="minimum, maximum, x / scale + zero point")
    ),
    (_CONTRIB, "QuantizeLinear"): _QUANTIZE,
    (_CONTRIB, "DequantizeLinear"): _DEQUANTIZE,
    (_CONTRIB, "QuantizeWithOrder"): _QUANTIZE,
    (_CONTRIB, "DequantizeWithOrder"): _DEQUANTIZE,
    (_CONTRIB, "QLinearAdd"): _BINARY,
    (_CONTRIB, "QLinearMul"): _BINARY,
    (_CONTRIB, "QLinearSigmoid"): _between(1, 1, "sigmoid"),
    (_CONTRIB, "QLinearLeakyRelu"): _between(2, 0, "LeakyRelu"),
    (_CONTRIB, "QLinearSoftmax"): _between(SOFTMAX, 1, "softmax"),
    (_CONTRIB, "QOrderedGelu"): _between(GELU, 1, "Gelu"),
    (_CONTRIB, "QLinearWhere"): _between(0, 0, "a choice"),
    (_CONTRIB, "QLinearConcat"): Operator("movement", concat),
    (_CONTRIB, "QLinearAveragePool"): Operator("reduction", average_pool),
    (_CONTRIB, "QLinearGlobalAveragePool"): _GLOBAL,
    (_CONTRIB, "QLinearReduceMean"): _GLOBAL,
}
