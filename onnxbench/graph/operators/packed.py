"""Products of activations with weights of a few bits, which the file stores packed (trap M4).

The weights are unpacked on the way into the product. That is no work of the network: it depends on
the kernel, and DequantizeLinear of a constant counts nothing either (Q1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import product
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.operands import (
    activation,
    integer,
    numbers,
    same,
    shape,
    times,
    type_name,
)
from onnxbench.graph.operators.row import Operator

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node

_RMS_NORM = 5
"""FLOPs per element (N2)."""


def matmul_nbits(node: Node) -> Cost:
    """Count prod(lead) · N · K MACs with weights of ``bits``; K and N are attributes."""
    return _packed(node, _rows(node, integer(node, "K")), _bits(node), bias=5)


def matmul_bnb4(node: Node) -> Cost:
    """Count prod(lead) · N · K MACs with bitsandbytes' 4-bit weights, transposed or not."""
    depth = integer(node, "K" if node.attribute("transB", 1) else "N")
    kind = "nf4" if node.attribute("quant_type") == 1 else "fp4"
    return _packed(node, _rows(node, depth), kind)


def matmul_fpq4(node: Node) -> Cost:
    """Count prod(lead) · N · K MACs; the dims [K, N] of the packed weights are an input."""
    dims = numbers(node.optional(2))
    if dims is None or len(dims) != 2:
        raise Unknown("the dims of its packed weights are not known")
    a = node.input(0)
    lead = product(a.dims[:-1])
    depth = same(a.dims[-1], dims[0])
    return Cost(macs=lead * depth * dims[1], operands=times("int4", type_name(a)))


def matmul_fp4_blocks(node: Node) -> Cost:
    """Count prod(lead) · N · K MACs with NVFP4 weights stored as [N, K/2]."""
    a, (columns, half) = node.input(0), shape(node.input(1), 2)
    rows = product(a.dims[:-1])
    out = rows * columns
    bias = out if node.optional(5) is not None else 0
    operands = times("fp4e2m1", type_name(a))
    return Cost(out * same(a.dims[-1], half * 2), bias, operands=operands)


def matmul_fp8_blocks(node: Node) -> Cost:
    """Count prod(lead) · N · K MACs with FP8 weights; ``a_scale`` makes the left side FP8 too."""
    a, (columns, depth) = node.input(0), shape(node.input(1), 2)
    out = product(a.dims[:-1]) * columns
    bias = out if node.optional(4) is not None else 0
    both = node.optional(3) is not None
    quantization = a.elements * 2 if both else 0
    operands = times("fp8e4m3fn", "fp8e4m3fn" if both else type_name(a))
    return Cost(out * same(a.dims[-1], depth), bias + quantization, operands=operands)


def matmul_nbits_mlp(node: Node) -> Cost:
    """Count two products of one input, activation(gate) · up, and the norm before them."""
    a, depth, columns = node.input(0), integer(node, "K"), integer(node, "N")
    out = _rows(node, depth) * columns
    flops, transcendentals = activation(node.attribute("activation", ""))
    biases = sum(node.optional(index) is not None for index in (5, 8))
    return Cost(
        macs=out * (2 * depth),
        flops=out * (flops + 1 + biases) + _norm(node),
        transcendentals=out * transcendentals + _rooted(node),
        operands=times(_bits(node), type_name(a)),
    )


def matmul_nbits_qkv(node: Node) -> Cost:
    """Count the products that make Q, K and V of one normalized input."""
    a, depth = node.input(0), integer(node, "K")
    rows, queries, keys = _rows(node, depth), integer(node, "Nq"), integer(node, "Nkv")
    biases: Count = 0
    for index, width in ((5, queries), (8, keys), (11, keys)):
        if node.optional(index) is not None:
            biases = biases + rows * width
    return Cost(
        macs=rows * ((queries + 2 * keys) * depth),
        flops=_norm(node) + biases,
        transcendentals=_rooted(node),
        operands=times(_bits(node), type_name(a)),
    )


def _packed(node: Node, rows: Count, kind: str, bias: int | None = None) -> Cost:
    columns, depth = integer(node, "N"), integer(node, "K")
    added = bias is not None and node.optional(bias) is not None
    return Cost(
        macs=rows * (columns * depth),
        flops=rows * columns if added else 0,
        operands=times(kind, type_name(node.input(0))),
    )


def _rows(node: Node, depth: int) -> Count:
    """Return the rows of the left side, whose last axis has ``depth`` elements. Raises Unknown."""
    dims = node.input(0).dims
    if not dims:
        raise Unknown("a matrix product of a scalar")
    same(dims[-1], depth)
    return product(dims[:-1])


def _bits(node: Node) -> str:
    return f"int{node.attribute('bits', 4)}"


def _norm(node: Node) -> Count:
    """Return the FLOPs of the RMS norm in front, and of the sum before it."""
    normed, summed = node.optional(2) is not None, node.optional(1) is not None
    return node.input(0).elements * (_RMS_NORM * normed + summed)


def _rooted(node: Node) -> Count:
    return product(node.input(0).dims[:-1]) if node.optional(2) is not None else 0


ROWS = {
    ("com.microsoft", "MatMulNBits"): Operator("contraction", matmul_nbits),
    ("com.microsoft", "MatMulBnb4"): Operator("contraction", matmul_bnb4),
    ("com.microsoft", "MatMulFpQ4"): Operator("contraction", matmul_fpq4),
    ("com.microsoft", "MatMulBlockQuantizedFp4Weight"): Operator("contraction", matmul_fp4_blocks),
    ("com.microsoft", "MatMulBlockQuantizedFp8Weight"): Operator("contraction", matmul_fp8_blocks),
    ("com.microsoft", "MatMulNBitsMlp"): Operator("contraction", matmul_nbits_mlp),
    ("com.microsoft", "MatMulNBitsQkv"): Operator("contraction", matmul_nbits_qkv),
}
