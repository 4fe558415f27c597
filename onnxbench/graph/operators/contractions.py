"""Convolutions and matrix products: what MACs are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import product
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.row import Operator

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count, Dim
    from onnxbench.graph.network import Node


def conv(node: Node) -> Cost:
    """Count a convolution: prod(out) · Cin/group · prod(kernel) MACs, padding counted (C1).

    The kernel comes from the dims of W [M, C/group, k1, …], for the attribute is optional.
    """
    weight, out = node.input(1).dims, node.output().elements
    bias = out if node.optional(2) is not None else 0
    return Cost(macs=out * product(weight[1:]), flops=bias)


def matmul(node: Node) -> Cost:
    """Count a matrix product: prod(broadcast batch) · M · N · K MACs (M1)."""
    depth = _rows_and_depth(node.input(0).dims)
    return Cost(macs=node.output().elements * depth)


def _rows_and_depth(dims: tuple[Dim, ...]) -> Count:
    if not dims:
        raise Unknown("a matrix product of a scalar")
    return dims[-1]


ROWS = {
    ("", "Conv"): Operator("contraction", conv),
    ("", "MatMul"): Operator("contraction", matmul),
}
