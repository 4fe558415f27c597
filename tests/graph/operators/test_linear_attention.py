from __future__ import annotations

from typing import Any

import pytest
from onnx import ModelProto

from onnxbench.graph.formulas import parse
from onnxbench.graph.network import Unknown
from tests.graph.operators.counting import count, microsoft
from tests.graph.operators.probing import model, node


def linear(rule: str | None, heads: int = 2, domain: str = "", kv_heads: int = 2) -> ModelProto:
    """B=2, T tokens, keys of 4, values of 3, a decay per key element."""
    inputs: dict[str, Any] = {
        "q": (2, "T", heads * 4), "k": (2, "T", kv_heads * 4), "v": (2, "T", kv_heads * 3),
        "d": (2, "T", kv_heads * 4), "b": (2, "T", kv_heads),
    }  # fmt: skip
    attributes: dict[str, Any] = {} if rule is None else {"update_rule": rule}
    made = node("LinearAttention", "q k v - d b", "y s", domain, q_num_heads=heads,
                kv_num_heads=kv_heads, **attributes)  # fmt: skip
    return model(made, inputs, None, {"y": (), "s": ()}, opset=27)


@pytest.mark.parametrize(
    ("rule", "products", "elementwise", "exponentials"),
    [
        ("linear", 4, 2 * 3, 0),
        ("gated", 4, 2 * 3 + 2 * 12, 8),
        ("delta", 6, 2 * 3 + 2 * 6, 0),
        ("gated_delta", 6, 2 * 3 + 2 * 12 + 2 * 6, 8),
        (None, 6, 2 * 3 + 2 * 12 + 2 * 6, 8),
    ],
)
def test_a_token_updates_reads_and_corrects_the_state_of_every_head(
    rule: str | None, products: int, elementwise: int, exponentials: int
) -> None:
    cost = count(linear(rule))
    assert cost.macs == parse(f"{2 * products * 12}*T")
    assert cost.flops == parse(f"{2 * (elementwise + exponentials)}*T")
    assert cost.transcendentals == (parse(f"{2 * exponentials}*T") if exponentials else 0)


def test_query_heads_share_a_state() -> None:
    assert count(linear("linear", heads=4)).macs == parse(f"{2 * (2 + 4) * 12}*T")


def test_microsoft_lets_states_share_a_query_head() -> None:
    made = linear("linear", heads=1, domain="com.microsoft")
    assert count(made).macs == parse(f"{2 * (2 + 2) * 12}*T")


def test_a_rule_that_nobody_knows_is_unknown() -> None:
    with pytest.raises(Unknown, match="update rule"):
        count(linear("wobble"))


def delta_net(names: str, **more: Any) -> ModelProto:
    """Ten tokens, two key heads and four value heads, keys of 4, values of 3."""
    inputs: dict[str, Any] = {
        "q": (10, 2, 4), "k": (10, 2, 4), "v": (10, 4, 3), "packed": (10, 2 * 8 + 12),
        "d": (10, 4), "b": (10, 4), "s": (2, 4, 3, 4),
    }  # fmt: skip
    used = {name: inputs[name] for name in names.split() if name in inputs}
    return microsoft("GatedDeltaNet", names, used, {}, **more)


def test_a_delta_net_has_as_many_states_as_value_heads() -> None:
    cost = count(delta_net("q k v - d b s"))
    assert cost.macs == 10 * 4 * 3 * 12
    assert cost.transcendentals == 40
    assert count(delta_net("packed - - - d b s")).macs == cost.macs


def test_fused_gates_of_a_delta_net_are_elementwise() -> None:
    plain = count(delta_net("q k v - d b s"))
    fused = count(delta_net("q k v - d b s", gate_activation="qwen", beta_activation="sigmoid"))
    assert fused.macs == plain.macs
    assert isinstance(fused.transcendentals, int)
    assert fused.transcendentals > 40
