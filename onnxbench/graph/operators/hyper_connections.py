"""Hyper-connections: residual streams that are mixed before and after a block (com.microsoft).

Streams are [..., C, H], or [..., C · H] with ``num_branches``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.row import Operator

if TYPE_CHECKING:
    from onnxbench.graph.dims import Dim
    from onnxbench.graph.network import Node

_CONTRIB = "com.microsoft"


def pre_mix(node: Node) -> Cost:
    """2 FLOPs per stream element: gated and summed; 1 per result if the sum is scaled."""
    scaled = int(node.attribute("reduction_scale", 1.0) != 1.0)
    return Cost(flops=node.input(0).elements * 2 + node.output().elements * scaled)


def post_mix(node: Node) -> Cost:
    """C MACs per output element mix the streams; 2 FLOPs add the gated output of the block."""
    results = node.output().elements
    mixed = results * _streams(node) if node.optional(3) is not None else 0
    return Cost(macs=mixed, flops=results * 2)


def _streams(node: Node) -> Dim:
    branches: int = node.attribute("num_branches", 0)
    if branches:
        return branches
    dims = node.input(0).dims
    if len(dims) < 2:
        raise Unknown(f"{node.op} of what are no streams")
    return dims[-2]


ROWS = {
    (_CONTRIB, "HyperConnectionPreMix"): Operator("reduction", pre_mix),
    (_CONTRIB, "HyperConnectionPostMix"): Operator("contraction", post_mix),
}
