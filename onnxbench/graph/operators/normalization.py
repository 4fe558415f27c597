"""Normalization: batch, layer, group and instance, and what ONNX Runtime fuses with them.

Weights per element (N1, N2): batch normalization 2, for its statistics are constants: a scale and
a shift. Those that compute statistics 8: mean, difference, square, mean of squares, division,
scale and shift, and one for what is done once per group. Root mean square ones 5: square, mean,
division, scale, and again one. A residual or bias in front adds 1. The square root of each group is
the transcendental part.

Exporters from before opset 17 write a layer normalization as ReduceMean, Sub, Pow, Sqrt and Div;
that is counted as what it says, and no convention recognizes it.

fvcore (0.1.5, jit_handles.py) counts aten::batch_norm 2 per element and 5 while training, layer,
group and instance norm 5, RMS norm not at all; it counts 4 for a norm without scale and shift,
which is not told apart here: ONNX's operators always have a scale. Paddle
(hapi/dynamic_flops.py) counts 2 per element of BatchNorm2D, and no other norm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import floor_div, product
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.operands import integer
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.rules import tally_per_input

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count, Dim
    from onnxbench.graph.network import Node, Tensor

NORM = 8
"""FLOPs per element of a normalization by mean and variance (N2)."""

RMS = 5
"""FLOPs per element of a normalization by the root mean square (N2)."""

_CONTRIB = "com.microsoft"
_REQUANTIZED = 4
"""Out of one scale and zero point, and into another (Q1)."""


def batch_normalization(node: Node) -> Cost:
    """2 FLOPs per element: a scale and a shift (N1); 8 while training."""
    data = node.input(0)
    if _trains(node):
        return Cost(flops=data.elements * NORM, transcendentals=_dim(data, 1))
    return Cost(flops=data.elements * 2)


def fvcore_batch_norm(node: Node) -> Count:
    """2 per element, 5 while training (batchnorm_flop_jit in fvcore/nn/jit_handles.py)."""
    return node.input(0).elements * (5 if _trains(node) else 2)


def paddle_batch_norm(node: Node) -> Count:
    """2 per element of a 4-D input, others are not counted (count_bn in dynamic_flops.py)."""
    data = node.input(0)
    return data.elements * 2 if len(data.dims) == 4 else 0


def layer_normalization(node: Node) -> Cost:
    """8 FLOPs per element (N2), a square root per row: what lies before ``axis``."""
    return _by_row(node, NORM)


def rms_normalization(node: Node) -> Cost:
    """5 FLOPs per element (N2), a square root per row."""
    return _by_row(node, RMS)


def skip_layer_normalization(node: Node) -> Cost:
    """8 FLOPs per element, 1 for the residual, 1 for a bias, a square root per row."""
    return _skipped(node, NORM, bias=4)


def skip_rms_normalization(node: Node) -> Cost:
    """5 FLOPs per element, 1 for the residual, 1 for a bias, a square root per row."""
    return _skipped(node, RMS, bias=3)


def group_normalization(node: Node) -> Cost:
    """8 FLOPs per element (N2), a square root per group."""
    data = node.input(0)
    roots = _dim(data, 0) * integer(node, "num_groups")
    return Cost(flops=data.elements * NORM, transcendentals=roots)


def instance_normalization(node: Node) -> Cost:
    """8 FLOPs per element (N2), a square root per sample and channel."""
    data = node.input(0)
    roots = _dim(data, 0) * _dim(data, 1)
    return Cost(flops=data.elements * NORM, transcendentals=roots)


def group_norm(node: Node) -> Cost:
    """8 FLOPs per element, 2 for a SiLU behind it."""
    return _group_norm(node, 0)


def skip_group_norm(node: Node) -> Cost:
    """8 FLOPs per element, 1 for the residual, 1 for a bias, 2 for a SiLU."""
    return _group_norm(node, 1 + int(node.optional(4) is not None))


def branchwise_rms_norm(node: Node) -> Cost:
    """5 FLOPs per element, 4 without a scale, a square root per branch."""
    data = node.input(0)
    flops = RMS if node.optional(1) is not None else RMS - 1
    branches = node.attribute("num_branches", 0)
    groups = product(data.dims[:-1]) * (branches or 1)
    return Cost(flops=data.elements * flops, transcendentals=groups)


def gated_rms_norm(node: Node) -> Cost:
    """5 FLOPs per element, 2 for a sigmoid gate or 3 for a SiLU gate."""
    elements = node.input(0).elements
    gate = 2 if node.attribute("activation", "silu") == "sigmoid" else 3
    roots = floor_div(elements, node.input(1).elements)
    return Cost(flops=elements * (RMS + gate), transcendentals=elements + roots)


def engram_gate(node: Node) -> Cost:
    """13 FLOPs per element: two RMS norms, their dot product, the gate; 5 more for the last norm.

    A gate is 6 FLOPs, two of them transcendental: sqrt and sigmoid.
    """
    key = node.input(0)
    normed = RMS if len(node.outputs) > 1 and node.outputs[1] is not None else 0
    gates = product(key.dims[:-1])
    flops = key.elements * (2 * RMS + 3 + normed) + gates * 6
    return Cost(flops=flops, transcendentals=gates * (4 + int(normed > 0)))


def qordered_layer_normalization(node: Node) -> Cost:
    """12 FLOPs per element: out of int8, 8, and into int8 again."""
    return _by_row(node, NORM + _REQUANTIZED)


def local_response(node: Node) -> Cost:
    """Size + 4 FLOPs per element: squares summed over ``size`` channels, scale, bias, power, /."""
    elements = node.input(0).elements
    return Cost(flops=elements * (integer(node, "size") + 4), transcendentals=elements)


def lp_normalization(node: Node) -> Cost:
    """3 FLOPs per element: magnitude or square, sum, division; a square root per row for p = 2."""
    data = node.input(0)
    roots = _rows_along(data, node.attribute("axis", -1)) if node.attribute("p", 2) == 2 else 0
    return Cost(flops=data.elements * 3 + roots, transcendentals=roots)


def ml_normalizer(node: Node) -> Cost:
    """3 FLOPs per element: magnitude or square, sum or maximum, division (ai.onnx.ml)."""
    return Cost(flops=node.input(0).elements * 3)


def _by_row(node: Node, flops: int) -> Cost:
    data = node.input(0)
    axis = node.attribute("axis", -1)
    dims = data.dims
    if not -len(dims) <= axis < len(dims):
        raise Unknown(f"the axis of {node.op} lies outside its input")
    return Cost(flops=product(dims) * flops, transcendentals=product(dims[:axis]))


def _skipped(node: Node, flops: int, bias: int) -> Cost:
    data = node.input(0)
    added = 1 + int(node.optional(bias) is not None)
    return Cost(flops=data.elements * (flops + added), transcendentals=product(data.dims[:-1]))


def _group_norm(node: Node, added: int) -> Cost:
    data = node.input(0)
    silu = 2 if node.attribute("activation", 0) == 1 else 0
    roots = _dim(data, 0) * integer(node, "groups")
    return Cost(
        flops=data.elements * (NORM + added + silu),
        transcendentals=roots + (data.elements if silu else 0),
    )


def _trains(node: Node) -> bool:
    return bool(node.attribute("training_mode", 0))


def _dim(tensor: Tensor, axis: int) -> Dim:
    dims = tensor.dims
    if len(dims) <= axis:
        raise Unknown(f"{tensor.name!r} has no axis {axis}")
    return dims[axis]


def _rows_along(tensor: Tensor, axis: int) -> Count:
    """Return how many rows lie along ``axis``: the product of all other dims."""
    dims = tensor.dims
    if not -len(dims) <= axis < len(dims):
        raise Unknown(f"the axis {axis} lies outside {tensor.name!r}")
    axis %= len(dims)
    return product((*dims[:axis], *dims[axis + 1 :]))


_FVCORE_NORM = tally_per_input(5, "norm_flop_counter in fvcore/nn/jit_handles.py")
_RMS = Operator("normalization", rms_normalization)

ROWS = {
    ("", "BatchNormalization"): Operator(
        "normalization",
        batch_normalization,
        fvcore=fvcore_batch_norm,
        paddle=paddle_batch_norm,
        in_place=True,
    ),
    ("", "LayerNormalization"): Operator("normalization", layer_normalization, fvcore=_FVCORE_NORM),
    ("", "GroupNormalization"): Operator("normalization", group_normalization, fvcore=_FVCORE_NORM),
    ("", "InstanceNormalization"): Operator(
        "normalization", instance_normalization, fvcore=_FVCORE_NORM
    ),
    ("", "RMSNormalization"): _RMS,
    ("", "SimplifiedLayerNormalization"): _RMS,  # ONNX Runtime puts it there
    ("", "LRN"): Operator("normalization", local_response),
    ("", "LpNormalization"): Operator("normalization", lp_normalization),
    ("ai.onnx.ml", "Normalizer"): Operator("normalization", ml_normalizer, in_place=True),
    (_CONTRIB, "SkipLayerNormalization"): Operator(
        "normalization", skip_layer_normalization, fvcore=_FVCORE_NORM
    ),
    (_CONTRIB, "SkipSimplifiedLayerNormalization"): Operator(
        "normalization", skip_rms_normalization
    ),
    (_CONTRIB, "GroupNorm"): Operator("normalization", group_norm, fvcore=_FVCORE_NORM),
    (_CONTRIB, "SkipGroupNorm"): Operator("normalization", skip_group_norm, fvcore=_FVCORE_NORM),
    (_CONTRIB, "BranchwiseRMSNorm"): Operator("normalization", branchwise_rms_norm),
    (_CONTRIB, "GatedRMSNorm"): Operator("normalization", gated_rms_norm),
    (_CONTRIB, "EngramGate"): Operator("normalization", engram_gate),
    (_CONTRIB, "QOrderedLayerNormalization"): Operator(
        "normalization", qordered_layer_normalization
    ),
}
