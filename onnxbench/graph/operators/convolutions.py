"""Convolutions, plain, transposed, deformable, quantized and fused (traps C1 to C3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import floor_div, product
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.operands import (
    activation,
    fvcore_nothing,
    multiplied,
    paddle_nothing,
    shape,
)
from onnxbench.graph.operators.row import Operator

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node, Tensor

_REQUANTIZATION = 2
"""FLOPs per output element: the scale and the zero point (Q1)."""


def conv(node: Node) -> Cost:
    """Count a convolution: prod(out) · Cin/group · prod(kernel) MACs, padding counted (C1).

    The kernel comes from the dims of W, for the attribute is optional. W is [M, C/group, k1, …] or,
    for channels-last kernels, [M, k1, …, C/group]: the product is the same.
    """
    return _convolved(node, weight=1, bias=2)


def fused_conv(node: Node) -> Cost:
    """Count a convolution with a sum (input Z) and an activation behind it."""
    flops, transcendentals = activation(node.attribute("activation", ""))
    added = int(node.optional(3) is not None)
    return _convolved(node, weight=1, bias=2, flops=flops + added, curved=transcendentals)


def conv_integer(node: Node) -> Cost:
    """Count a convolution of integers; zero points belong to the operands."""
    return _convolved(node, weight=1, bias=None)


def qlinear_conv(node: Node) -> Cost:
    """Count a convolution of integers that scales its sums back to integers."""
    return _convolved(node, weight=3, bias=8, flops=_REQUANTIZATION)


def conv_transpose(node: Node) -> Cost:
    """Count a transposed convolution: every input element meets every tap once (C2).

    B · Cin · prod(input spatial) · Cout/group · prod(kernel), with W [Cin, Cout/group, k1, …].
    """
    return _transposed(node, bias=2)


def conv_transpose_dynamic(node: Node) -> Cost:
    """Count a transposed convolution whose pads are an input (com.microsoft)."""
    return _transposed(node, bias=3)


def deform_conv(node: Node) -> Cost:
    """Count a deformable convolution: C1, and linear interpolation of every value it reads (C3).

    N · C · prod(kernel) · prod(output spatial) values are sampled, from 2^d neighbours at two
    FLOPs each (8 on images); a mask multiplies each of them.
    """
    cost = _convolved(node, weight=1, bias=3)
    data, kernel, out = node.input(0).dims, _kernel(node.input(1)), node.output().dims
    sampled = product((*data[:2], *kernel[1:], *out[2:]))
    each = 2 * 2 ** (len(kernel) - 1) + int(node.optional(4) is not None)
    return Cost(macs=cost.macs, flops=cost.flops + sampled * each, operands=cost.operands)


def causal_conv(node: Node) -> Cost:
    """Count a depthwise causal convolution that carries its last inputs along (A6).

    W is [channels, 1, k1, …]; the output has the shape of the input.
    """
    flops, transcendentals = activation(node.attribute("activation", "none"))
    bias = 3 if node.op.startswith("Varlen") else 2
    out, kernel = node.input(0).elements, _kernel(node.input(1))
    flops += int(node.optional(bias) is not None)
    return Cost(
        macs=out * product(kernel),
        flops=out * flops,
        transcendentals=out * transcendentals,
        operands=multiplied(node.input(0), node.input(1)),
    )


def word_conv_embedding(node: Node) -> Cost:
    """Count a convolution along the characters of every word, its tanh and maximum.

    Sequence is […, words, characters], W [filters, 1, window, size of a character's embedding].
    """
    words, (filters, _, window, size) = node.input(0).dims, shape(node.input(1), 4)
    if not words:
        raise Unknown("its sequence has no axis of characters")
    places = product(words[:-1]) * (words[-1] - window + 1)
    made = places * filters  # each gets a bias, a tanh and a comparison
    return Cost(
        macs=made * window * size,
        flops=made * 3,
        transcendentals=made,
        operands=multiplied(node.input(1), node.input(3)),
    )


def paddle_conv(node: Node) -> Count:
    """Count as ``paddle.flops`` does: the bias is a MAC of its own.

    Source: ``count_convNd`` in python/paddle/hapi/dynamic_flops.py of Paddle.
    """
    out = node.output().elements
    return out * product(_kernel(node.input(1))) + _bias(node, 2, out)


def paddle_conv_transpose(node: Node) -> Count:
    """Count as ``paddle.flops`` does, which takes a transposed convolution for a plain one.

    Every output element gets Cin/group · prod(kernel) MACs there, whatever the stride. Source:
    ``register_hooks`` in python/paddle/hapi/dynamic_flops.py of Paddle.
    """
    weight, out = node.input(1).dims, node.output().elements
    taps = product((weight[0], *weight[2:]))
    return floor_div(out * taps, node.attribute("group", 1)) + _bias(node, 2, out)


def _convolved(
    node: Node, *, weight: int, bias: int | None, flops: int = 0, curved: int = 0
) -> Cost:
    out, kernel = node.output().elements, node.input(weight)
    return Cost(
        macs=out * product(_kernel(kernel)),
        flops=out * flops + _bias(node, bias, out),
        transcendentals=out * curved,
        operands=multiplied(node.input(0), kernel),
    )


def _transposed(node: Node, *, bias: int) -> Cost:
    data, kernel = node.input(0), node.input(1)
    out = node.output().elements if node.optional(bias) is not None else 0
    return Cost(
        macs=data.elements * product(_kernel(kernel)),
        flops=out,
        operands=multiplied(data, kernel),
    )


def _kernel(weight: Tensor) -> tuple[Count, ...]:
    """Return the dims of the weights of one output channel. Raises Unknown."""
    dims = weight.dims
    if len(dims) < 2:
        raise Unknown(f"{weight.name!r} is no kernel of a convolution")
    return dims[1:]


def _bias(node: Node, index: int | None, out: Count) -> Count:
    return out if index is not None and node.optional(index) is not None else 0


_CONV = Operator("contraction", conv, paddle=paddle_conv)
_FUSED = Operator("contraction", fused_conv, paddle=paddle_conv)
_CAUSAL = Operator("contraction", causal_conv)
_QLINEAR = Operator("contraction", qlinear_conv)

ROWS = {
    ("", "Conv"): _CONV,
    ("", "ConvInteger"): Operator("contraction", conv_integer),
    ("", "QLinearConv"): _QLINEAR,
    ("", "ConvTranspose"): Operator("contraction", conv_transpose, paddle=paddle_conv_transpose),
    ("", "DeformConv"): Operator(
        "contraction", deform_conv, fvcore=fvcore_nothing, paddle=paddle_nothing
    ),
    ("", "CausalConvWithState"): _CAUSAL,
    ("com.microsoft", "FusedConv"): _FUSED,
    ("com.microsoft", "NhwcConv"): _CONV,
    ("com.microsoft", "NhwcFusedConv"): _FUSED,
    ("com.microsoft", "QLinearConv"): _QLINEAR,
    ("com.microsoft", "ConvTransposeWithDynamicPads"): Operator(
        "contraction", conv_transpose_dynamic
    ),
    ("com.microsoft", "CausalConvWithState"): _CAUSAL,
    ("com.microsoft", "VarlenCausalConvWithState"): _CAUSAL,
    ("com.microsoft", "WordConvEmbedding"): Operator("contraction", word_conv_embedding),
    ("com.microsoft.nchwc", "Conv"): _FUSED,  # what ONNX Runtime saves after its layout pass
}
