from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from onnxbench.graph.formulas import evaluate, parse
from onnxbench.graph.network import Unknown
from tests.graph.operators.counting import count, microsoft
from tests.graph.operators.probing import HALF, Shape, zeros


def moe(
    tokens: Shape = (5,), wide: int = 16, names: str = "x r f1 - f2", **more: Any
) -> ModelProto:
    """Four experts of 8 → 16 → 8."""
    weights = {
        "f1": zeros(4, wide, 8), "b1": zeros(4, wide), "f2": zeros(4, 8, 16), "b2": zeros(4, 8),
        "f3": zeros(4, 16, 8), "b3": zeros(4, 16),
    }  # fmt: skip
    used = {name: weights[name] for name in names.split() if name in weights}
    inputs = {"x": (*tokens, 8), "r": (tokens[0], 4)}
    return microsoft("MoE", names, inputs, used, **more)


def test_as_many_experts_work_as_the_router_picks() -> None:
    assert count(moe()).macs == 5 * 256
    assert count(moe(k=2)).macs == 10 * 256
    assert count(moe(k=9)).macs == 20 * 256  # there are four


def test_three_layers_and_their_biases() -> None:
    cost = count(moe(names="x r f1 b1 f2 b2 f3 b3", k=2, activation_type="silu"))
    assert cost.macs == 10 * 3 * 128
    assert cost.flops == 10 * (16 * 3 + 16 + 8 + 16 + 16) + 20 * 5
    assert cost.transcendentals == 10 * 16 + 20


def test_a_fused_gate_doubles_the_first_layer() -> None:
    cost = count(moe(wide=32, activation_type="swiglu", swiglu_fusion=1, swiglu_limit=7.0))
    assert cost.macs == 5 * (32 * 8 + 16 * 8)
    assert cost.flops == 5 * (16 * 8 + 16) + 20 * 5


def test_tokens_may_be_open() -> None:
    cost = count(moe(tokens=("T",), k=2))
    assert cost.macs == parse("512*T")
    assert cost.bytes_read is not None
    expert = 4 * (128 + 128)
    assert evaluate(cost.bytes_read, {"T": 1}) == 4 * 12 + 2 * expert
    assert evaluate(cost.bytes_read, {"T": 99}) == 99 * 4 * 12 + 4 * expert


def qmoe(bits: int = 4, first: tuple[int, ...] | None = None, **more: Any) -> ModelProto:
    per_byte = 8 // bits
    weights = {
        "f1": zeros(*(first or (4, 16, 8 // per_byte)), dtype=np.uint8),
        "s1": zeros(4, 16, dtype=np.float16),
        "f2": zeros(4, more.pop("hidden", 8), 16 // per_byte, dtype=np.uint8),
        "s2": zeros(4, 8, dtype=np.float16),
    }  # fmt: skip
    inputs = {"x": ((5, 8), HALF), "r": ((5, 4), HALF)}
    return microsoft("QMoE", "x r f1 s1 - f2 s2", inputs, weights, k=2, **more)


@pytest.mark.parametrize(
    ("attributes", "label"),
    [
        ({}, "int4×fp16"),
        ({"bits": 8, "expert_weight_bits": 8}, "int8×fp16"),
        ({"fc1_expert_weight_bits": 4, "fc2_expert_weight_bits": 2}, "int2×int4×fp16"),
        ({"quant_type": "nvfp4"}, "fp4e2m1×fp16"),
        ({"quant_type": "fp8", "bits": 8}, "fp8e4m3fn×fp16"),
        ({"quant_type": "wfp4afp8"}, "fp4e2m1×fp8e4m3fn"),
    ],
)
def test_packed_experts_cost_the_same_and_say_what_they_multiply(
    attributes: dict[str, Any], label: str
) -> None:
    cost = count(qmoe(**attributes))
    assert (cost.macs, cost.operands) == (10 * 256, label)


def test_experts_in_the_layout_of_some_provider_are_unknown() -> None:
    with pytest.raises(Unknown, match="layout"):
        count(qmoe(hidden=16))


def test_a_gate_of_odd_width_is_unknown() -> None:
    with pytest.raises(Unknown):
        count(moe(wide=33, activation_type="swiglu", swiglu_fusion=2))
