"""Bytes that a node reads and writes: what a roofline needs.

Every distinct input once and every output once, as if caches held nothing between nodes and
everything within one. Weights count at the type in which they are stored, for that is what a
runtime that computes on quantized weights reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxbench.graph.cost import Cost
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node, Tensor

_PREPARATION = frozenset({"DequantizeLinear", "Cast", "Transpose", "Reshape", "Identity"})
"""Operators on constants behind which the stored tensor is what is read."""


def bytes_read(node: Node, cost: Cost, kind: str) -> Count:
    """Return the bytes that one run of ``node`` reads. Raises Unknown."""
    if cost.bytes_read is not None:
        return cost.bytes_read
    return 0 if kind == "view" else whole_inputs(node)[0]


def whole_inputs(node: Node) -> tuple[Count, list[tuple[Tensor, Count]]]:
    """Return the bytes of all inputs, and those of what is stored of the constants among them.

    Raises Unknown.
    """
    total: Count = 0
    constants = []
    inputs = node.inputs
    distinct = len(inputs) < 2 or (len(inputs) == 2 and inputs[0] is not inputs[1])
    for each in inputs if distinct else dict.fromkeys(inputs):
        if each is None:
            continue
        if each.constant:
            kept = stored(each)
            size = kept.bytes
            constants.append((kept, size))
        else:
            size = each.bytes
        total = total + size
    return total, constants


def bytes_written(node: Node, cost: Cost, kind: str) -> Count:
    """Return the bytes that one run of ``node`` writes. Raises Unknown."""
    if cost.bytes_written is not None:
        return cost.bytes_written
    if kind == "view":
        return 0
    total: Count = 0
    for each in node.outputs:
        if each is not None:
            total = total + each.bytes
    return total


def stored(tensor: Tensor) -> Tensor:
    """Return what is stored of a constant ``tensor``: the quantized weight behind its scale."""
    while tensor.constant and tensor.producer is not None:
        source = tensor.producer.optional(0)
        if tensor.producer.op not in _PREPARATION or source is None:
            break
        tensor = source
    return tensor
