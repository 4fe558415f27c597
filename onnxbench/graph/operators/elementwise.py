"""Arithmetic, comparisons and logic, element by element.

One FLOP per operation and output element, on integers and booleans too (shape arithmetic is tiny,
and the account leaves out what is computed from constants alone).

``in_place`` is what a runtime *may* do, so it bounds the memory from below: the result has the
first input's place and reads no other place of it. ONNX Runtime 1.31.1's own CPU kernels, measured
without optimizations, do it for activations, Clip, Softmax, Trilu and Cast, but not for arithmetic,
which they rather fuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.control import constant_scalar
from onnxbench.graph.cost import Cost
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.rules import alias, copy, per_input, per_output

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node

_FIRST_OPSET_WITH_BOUNDS_AS_INPUTS = 11
_CONTRIB = "com.microsoft"


def folded(node: Node) -> Cost:
    """Inputs - 1 FLOPs per output element: n inputs are folded into one."""
    return Cost(flops=node.output().elements * (len(node.inputs) - 1))


def mean(node: Node) -> Cost:
    """1 FLOP per input and output element: a sum of n inputs, and a quotient."""
    return Cost(flops=node.output().elements * len(node.inputs))


def power(node: Node) -> Cost:
    """1 FLOP per output element, transcendental; a constant exponent of 2 is 1 product, 3 is 2."""
    elements = node.output().elements
    exponent = constant_scalar(node.optional(1))
    if exponent in {2, 3}:
        return Cost(flops=elements * (int(exponent) - 1))
    return Cost(flops=elements, transcendentals=elements)


def clip(node: Node) -> Cost:
    """1 FLOP per output element and bound: a minimum and a maximum."""
    if node.opset < _FIRST_OPSET_WITH_BOUNDS_AS_INPUTS:
        bounds = sum(node.attribute(name) is not None for name in ("min", "max"))
    else:
        bounds = sum(node.optional(index) is not None for index in (1, 2))
    return Cost(flops=node.output().elements * bounds)


def dropout(node: Node) -> Cost:
    """No work in inference; 3 FLOPs per element while training: a random number, mask, scale."""
    training = node.optional(2)
    if training is None or constant_scalar(training) == 0:
        return alias(node)
    return _while_training(node, training.value is not None, always=0, training=3)


def bias_dropout(node: Node) -> Cost:
    """1 FLOP per element for the bias, 1 for a residual; 3 more while training."""
    always = 1 + int(node.optional(2) is not None)
    training = node.optional(4)
    if training is None or constant_scalar(training) == 0:
        return Cost(flops=node.output().elements * always)
    return _while_training(node, training.value is not None, always=always, training=3)


def bias_add(node: Node) -> Cost:
    """1 FLOP per output element for the bias, 1 for the residual."""
    return Cost(flops=node.output().elements * (len(node.inputs) - 1))


def all_finite(node: Node) -> Cost:
    """1 FLOP per element of every input."""
    flops: Count = 0
    for tensor in node.inputs:
        if tensor is not None:
            flops = flops + tensor.elements
    return Cost(flops=flops)


def _while_training(node: Node, sure: bool, always: int, training: int) -> Cost:
    elements = node.output().elements
    flops = elements * (always + training)
    if sure:
        return Cost(flops=flops)
    note = "depends on the input training_mode"
    return Cost(flops=flops, least=(0, elements * always), note=note)


_ONE = Operator("elementwise", per_output(1), in_place=True)
_EVALUATION = Operator("elementwise", per_output(1, 1), in_place=True)
_TEST = Operator("elementwise", per_output(1))
_FOLDED = Operator("elementwise", folded, in_place=True)
_DROPOUT = Operator("view", dropout)
_COMPLEX = Operator("elementwise", per_output(3, formula="6 per complex product"))

ROWS = {
    **dict.fromkeys((("", op) for op in (
        "Add", "Sub", "Mul", "Div", "Mod",
        "Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Reciprocal",
        "And", "Or", "Xor", "Not",
        "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", "BitShift",
    )), _ONE),
    **dict.fromkeys((("", op) for op in (
        "Sqrt", "Exp", "Log", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan",
        "Sinh", "Cosh", "Asinh", "Acosh", "Atanh",
    )), _EVALUATION),
    **dict.fromkeys((("", op) for op in (
        "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "IsNaN", "IsInf",
    )), _TEST),
    ("", "Sum"): _FOLDED,
    ("", "Max"): _FOLDED,
    ("", "Min"): _FOLDED,
    ("", "Mean"): Operator("elementwise", mean, in_place=True),
    ("", "Pow"): Operator("elementwise", power, in_place=True),
    ("", "Clip"): Operator("elementwise", clip, in_place=True),
    ("", "Where"): Operator("elementwise", copy),
    ("", "Dropout"): _DROPOUT,
    (_CONTRIB, "BitmaskDropout"): _DROPOUT,
    (_CONTRIB, "BiasDropout"): Operator("elementwise", bias_dropout, in_place=True),
    (_CONTRIB, "BitmaskBiasDropout"): Operator("elementwise", bias_dropout, in_place=True),
    (_CONTRIB, "BiasAdd"): Operator("elementwise", bias_add, in_place=True),
    (_CONTRIB, "GatedAdd"): Operator("elementwise", per_output(2), in_place=True),
    (_CONTRIB, "IsAllFinite"): Operator("reduction", all_finite),
    (_CONTRIB, "ComplexMul"): _COMPLEX,
    (_CONTRIB, "ComplexMulConj"): _COMPLEX,
    (_CONTRIB, "MulInteger"): Operator(
        "elementwise", per_output(3, formula="(a - zero) · (b - zero)")
    ),
    ("ai.onnx.ml", "Binarizer"): _TEST,
    ("ai.onnx.ml", "Imputer"): Operator("elementwise", per_input(1, formula="a test of each")),
    ("ai.onnx.ml", "Scaler"): Operator("elementwise", per_output(2, formula="x to a scale")),
}  # fmt: skip
