"""Names of number types as the field writes them: fp32, bf16, int8, int4×fp16."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxbench.graph.cost import Cost
    from onnxbench.graph.network import Node

NAMES = {
    1: "fp32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
    10: "fp16", 11: "fp64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128",
    16: "bf16", 17: "fp8e4m3fn", 18: "fp8e4m3fnuz", 19: "fp8e5m2", 20: "fp8e5m2fnuz",
    21: "uint4", 22: "int4", 23: "fp4e2m1", 24: "fp8e8m0", 25: "uint2", 26: "int2",
    27: "fp6e2m3", 28: "fp6e3m2",
}  # fmt: skip
"""By TensorProto.DataType."""


def precision(node: Node, cost: Cost) -> str:
    """Return the types that ``node`` multiplies: what its rule says, else those of its inputs."""
    if cost.operands is not None:
        return cost.operands
    types = [NAMES.get(each.dtype, "unknown") for each in node.inputs[:2] if each is not None]
    return "×".join(dict.fromkeys(types)) or "unknown"
