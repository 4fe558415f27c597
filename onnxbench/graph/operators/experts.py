"""Mixtures of experts (trap A5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import ceil_div, minimum, product
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.operands import activation, same, shape, times, type_name
from onnxbench.graph.operators.row import Operator

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count, Dim
    from onnxbench.graph.network import Node

_SWIGLU = 5
"""G · sigmoid(alpha · G) · (L + beta): three products, a sum, a sigmoid."""

_CLAMPS = 3
"""min of the gate; min and max of the linear half."""

_SOFTMAX = 5


class _Slots(NamedTuple):
    """Which inputs hold the weights and biases of the three layers of an expert."""

    weights: tuple[int, int, int]
    biases: tuple[int, int, int]
    scales: tuple[int, ...]


_MOE = _Slots(weights=(2, 4, 6), biases=(3, 5, 7), scales=())
_QMOE = _Slots(weights=(2, 5, 8), biases=(4, 7, 10), scales=(3, 6, 9, 11, 12, 13))


def moe(node: Node) -> Cost:
    """Count tokens · k experts, not all of them; who gets which token does not matter (A5).

    fc1 is [experts, inner, hidden] (inner twice as wide for a fused SwiGLU), fc2 [experts, hidden,
    inner], fc3 as fc1. The router's product stands before this node; its softmax is here.
    """
    return _experts(node, _MOE, type_name(node.input(2)))


def qmoe(node: Node) -> Cost:
    """Count a MoE whose weights are packed along the axis that is summed over."""
    return _experts(node, _QMOE, _weight_type(node))


def _experts(node: Node, slots: _Slots, weights: str) -> Cost:
    data, router = node.input(0), node.input(1)
    tokens, hidden = product(data.dims[:-1]), data.dims[-1]
    first = shape(node.input(slots.weights[0]), 3)
    if shape(node.input(slots.weights[1]), 3)[1] != hidden:
        raise Unknown("its weights are packed in a layout of some execution provider")
    third = node.optional(slots.weights[2]) is not None
    fused = node.attribute("activation_type", "relu") == "swiglu" and bool(
        node.attribute("swiglu_fusion", 0)
    )
    inner = _half(first[1]) if fused else first[1]
    runs = tokens * minimum(node.attribute("k", 1), first[0])
    per_run = first[1] * hidden + inner * hidden + (inner * hidden if third else 0)
    flops, transcendentals = _activation(node, third=third)
    biased = [node.optional(slot) is not None for slot in slots.biases]
    biases = first[1] * biased[0] + hidden * biased[1] + inner * (biased[2] and third)
    mixed = hidden * 2  # every run's output is weighted and added up
    routed = router.elements
    return Cost(
        macs=runs * per_run,
        flops=runs * (inner * flops + biases + mixed) + routed * _SOFTMAX,
        transcendentals=runs * inner * transcendentals + routed,
        note="bytes of as many experts as its tokens may reach",
        operands=_label(node, weights),
        bytes_read=_bytes_read(node, slots, first[0], runs),
    )


def _activation(node: Node, *, third: bool) -> tuple[int, int]:
    name = node.attribute("activation_type", "relu")
    if name == "swiglu":
        clamped = node.attribute("swiglu_limit") is not None
        return _SWIGLU + _CLAMPS * clamped, 1
    flops, transcendentals = activation(name)
    return flops + third, transcendentals


def _bytes_read(node: Node, slots: _Slots, experts: Dim, runs: Count) -> Count:
    """Return all inputs once, those per expert only for the experts that can be reached."""
    reached = minimum(experts, runs)
    per_expert = {*slots.weights, *slots.biases, *slots.scales}
    total: Count = 0
    for index, each in enumerate(node.inputs):
        if each is None:
            continue
        if index in per_expert:
            total = total + ceil_div(each.bytes, experts) * reached
        else:
            total = total + each.bytes
    return total


def _weight_type(node: Node) -> str:
    kind = node.attribute("quant_type", "int")
    if kind == "int":
        general = node.attribute("expert_weight_bits", 4)
        names = ("fc1_expert_weight_bits", "fc2_expert_weight_bits")
        return times(*(f"int{node.attribute(name, general)}" for name in names))
    return "fp8e4m3fn" if kind == "fp8" else "fp4e2m1"


def _label(node: Node, weights: str) -> str:
    data = "fp8e4m3fn" if node.attribute("quant_type") == "wfp4afp8" else type_name(node.input(0))
    return times(*weights.split("×"), data)


def _half(width: Dim) -> Dim:
    half = ceil_div(width, 2)
    same(half * 2, width)
    return half


ROWS = {
    ("com.microsoft", "MoE"): Operator("contraction", moe),
    ("com.microsoft", "QMoE"): Operator("contraction", qmoe),
}
