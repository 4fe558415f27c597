"""What the rules of the contraction operators share: operand types, small known values, sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import Expr, floor_div, maximum
from onnxbench.graph.network import Unknown
from onnxbench.graph.payloads import BITS
from onnxbench.graph.precision import NAMES

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count, Dim
    from onnxbench.graph.network import Node, Tensor

_PASSED_THROUGH = frozenset({
    "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze",
})  # fmt: skip
"""Operators between a DequantizeLinear and the product that leave its values alone."""

_MAX_PASSED = 8
"""How many of them in a row; a hostile file could hang thousands of products on a long chain."""

_ACTIVATIONS = {
    "": (0, 0), "none": (0, 0), "identity": (0, 0), "linear": (0, 0),
    "relu": (1, 0), "thresholdedrelu": (1, 0), "leakyrelu": (2, 0), "clip": (2, 0),
    "affine": (2, 0), "hardtanh": (2, 0), "softsign": (3, 0), "hardsigmoid": (4, 0),
    "hardswish": (5, 0), "tanh": (1, 1), "sigmoid": (1, 1), "silu": (2, 1), "swish": (2, 1),
    "scaledtanh": (3, 1), "quickgelu": (3, 1), "elu": (4, 1), "softplus": (3, 2),
    "softmax": (5, 1), "gelu": (8, 1), "fastgelu": (8, 1),
}  # fmt: skip


def activation(name: str) -> tuple[int, int]:
    """Return (FLOPs, transcendentals) per element of a fused activation (N3).

    The same as the operator of that name costs on its own (N3): a fused activation is one that the
    graph no longer shows. Raises Unknown.
    """
    found = _ACTIVATIONS.get(name.lower())
    if found is None:
        raise Unknown(f"the fused activation {name[:40]!r}")
    return found


def times(*types: str) -> str:
    """Return the label of a product: ``fp32``, ``int4×fp32``, ``uint8×int8``.

    Equal types once; the one with fewer bits first, else in the order given.
    """
    distinct = dict.fromkeys(types)
    return "×".join(sorted(distinct, key=_bits_of_name))


def type_name(tensor: Tensor) -> str:
    """Return the name of the type of the elements."""
    return NAMES.get(tensor.dtype, "unknown")


def multiplied(one: Tensor, other: Tensor) -> str:
    """Return the label of the product of two tensors.

    Where both come from a DequantizeLinear, a runtime may multiply the quantized values instead:
    ``fp32 (qdq int8)``, ``fp32 (qdq uint8×int8)``.
    """
    label = times(type_name(one), type_name(other))
    sources = [_quantized(one), _quantized(other)]
    if None in sources:
        return label
    return f"{label} (qdq {times(*(type_name(each) for each in sources if each is not None))})"


def number(tensor: Tensor | None) -> Count | None:
    """Return the one element of a tensor, None if it is not known."""
    found = numbers(tensor)
    return found[0] if found is not None and len(found) == 1 else None


def numbers(tensor: Tensor | None) -> list[Count] | None:
    """Return the elements of an integer tensor, flat, None if they are not known."""
    if tensor is None or tensor.value is None:
        return None
    found: list[Count] = tensor.value.reshape(-1).tolist()
    return found if all(isinstance(each, int | Expr) for each in found) else None


def integer(node: Node, name: str) -> int:
    """Return a positive attribute that the operator requires. Raises Unknown."""
    found = node.attribute(name)
    if not isinstance(found, int) or found <= 0:
        raise Unknown(f"{node.op} lacks its attribute {name}")
    return found


def shape(tensor: Tensor, rank: int) -> tuple[Dim, ...]:
    """Return the dims of a tensor that must have ``rank`` axes. Raises Unknown."""
    dims = tensor.dims
    if len(dims) != rank:
        raise Unknown(f"{tensor.name!r} has {len(dims)} axes, not {rank}")
    return dims


def share(whole: Count, part: Count) -> Count:
    """Return ``whole`` split into ``part`` equal parts. Raises Unknown: it cannot be."""
    if part == 0:
        raise Unknown("a width is split into no parts")
    if isinstance(whole, int) and isinstance(part, int) and whole % part:
        raise Unknown(f"a width of {whole} does not split into {part} equal parts")
    return floor_div(whole, part)


def same(one: Dim, other: Dim) -> Dim:
    """Return the size of two axes that must agree; a number tells more than a symbol.

    Raises Unknown: they do not agree.
    """
    if isinstance(one, int) and isinstance(other, int) and one != other:
        raise Unknown(f"axes of {one} and {other} elements do not fit")
    return other if isinstance(other, int) else one


def broadcast(one: Dim, other: Dim) -> Dim:
    """Return the size of two axes of which either may be 1. Raises Unknown: they do not fit."""
    if one in {1, other}:
        return other
    if other == 1:
        return one
    if isinstance(one, int) or isinstance(other, int):
        return same(one, other)
    return maximum(one, other)  # they are equal, or one of them is 1


def together(*costs: Cost) -> Cost:
    """Return the sum of exact costs."""
    macs: Count = 0
    flops: Count = 0
    transcendentals: Count = 0
    for each in costs:
        macs = macs + each.macs
        flops = flops + each.flops
        transcendentals = transcendentals + each.transcendentals
    return Cost(macs=macs, flops=flops, transcendentals=transcendentals)


def fvcore_nothing(node: Node) -> Count:
    """Count nothing, as fvcore does, which has no handle for the operator.

    Source: ``_DEFAULT_SUPPORTED_OPS`` in fvcore/nn/flop_count.py 0.1.5.
    """
    del node
    return 0


def paddle_nothing(node: Node) -> Count:
    """Count nothing, as ``paddle.flops`` does, which has no hook for it: it is no layer there.

    Source: ``register_hooks`` in python/paddle/hapi/dynamic_flops.py of Paddle.
    """
    del node
    return 0


def _quantized(tensor: Tensor) -> Tensor | None:
    """Return what a DequantizeLinear makes ``tensor`` of, None if none does."""
    producer = tensor.producer
    for _ in range(_MAX_PASSED):
        if producer is None or producer.op not in _PASSED_THROUGH or producer.domain:
            break
        before = producer.optional(0)
        producer = before.producer if before is not None else None
    if producer is None or producer.op != "DequantizeLinear":
        return None
    return producer.optional(0)


def _bits_of_name(name: str) -> int:
    return _BITS.get(name, 64)


_BITS = {NAMES[dtype]: bits for dtype, bits in BITS.items() if dtype in NAMES} | {
    "nf4": 4, "fp4": 4,
}  # fmt: skip
