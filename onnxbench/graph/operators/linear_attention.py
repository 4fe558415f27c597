"""Attention as a recurrence over a state of [key size, value size] per head (trap A6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import maximum, product
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.operands import integer, multiplied, shape, share
from onnxbench.graph.operators.row import Operator

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node

_RULES = {
    "linear": (False, False), "gated": (True, False),
    "delta": (False, True), "gated_delta": (True, True),
}  # fmt: skip
"""Whether a rule decays its state, and whether it retrieves from it what it corrects (delta)."""


class _Heads(NamedTuple):
    """``readers``: heads that read the state; ``states``: heads that have one."""

    tokens: Count
    readers: Count
    states: Count
    depth: Count
    width: Count


def linear_attention(node: Node) -> Cost:
    """Count the recurrence, token by token: Q is [B, T, heads · depth], V [B, T, heads · width]."""
    heads_q, heads_kv = integer(node, "q_num_heads"), integer(node, "kv_num_heads")
    batch, length, wide = shape(node.input(0), 3)
    heads = _Heads(
        tokens=batch * length,
        readers=max(heads_q, heads_kv),
        states=heads_kv,
        depth=share(wide, heads_q),
        width=share(shape(node.input(2), 3)[2], heads_kv),
    )
    decay = node.optional(4)
    return _recurrence(node, heads, decay.elements if decay is not None else 0)


def gated_delta_net(node: Node) -> Cost:
    """Count the recurrence over packed tokens; Q and K may have fewer heads than V has.

    V is […, heads, width]; without V and K the query holds all three, and the state
    [B, heads, width, depth] tells their sizes.
    """
    query, value = node.input(0), node.optional(2)
    if value is not None:
        *tokens, states, width = value.dims
        readers, depth = states, query.dims[-1]
        heads = _Heads(product(tokens), maximum(readers, query.dims[-2]), states, depth, width)
    else:
        _, states, width, depth = shape(node.input(6), 4)
        heads = _Heads(product(query.dims[:-1]), states, states, depth, width)
    decay, rate = node.optional(4), node.optional(5)
    decays = decay.elements if decay is not None else 0
    rates = rate.elements if rate is not None else 0
    extra: Count = 0
    curved: Count = 0
    if node.attribute("gate_activation", "none") == "qwen":  # -exp(a) · softplus(decay + bias)
        extra, curved = decays * 3, decays
    if node.attribute("beta_activation", "none") == "sigmoid":
        extra, curved = extra + rates, curved + rates
    if node.attribute("qk_l2_norm", 0):  # square, add, scale
        extra = extra + heads.tokens * heads.readers * heads.depth * 6
    cost = _recurrence(node, heads, decays)
    return Cost(
        macs=cost.macs,
        flops=cost.flops + extra,
        transcendentals=cost.transcendentals + curved,
        operands=cost.operands,
    )


def _recurrence(node: Node, heads: _Heads, decays: Count) -> Cost:
    """Count one product of depth · width per token for each thing done with the state.

    The update S + k vᵀ and, for the delta rules, the retrieval Sᵀ k, once per head with a state;
    the read-out Sᵀ q once per reading head. Decay, correction and scale are elementwise.
    """
    found = _RULES.get(node.attribute("update_rule", "gated_delta"))
    if found is None:
        raise Unknown("its update rule is not known")
    gated, delta = found
    state = heads.depth * heads.width
    products = heads.readers + heads.states * (1 + delta)
    flops = heads.readers * heads.width  # the scale
    if gated:
        flops = flops + heads.states * state
    if delta:
        flops = flops + heads.states * heads.width * 2
    exponentials = decays if gated else 0
    return Cost(
        macs=heads.tokens * products * state,
        flops=heads.tokens * flops + exponentials,
        transcendentals=exponentials,
        operands=multiplied(node.input(0), node.optional(2) or node.input(0)),
    )


ROWS = {
    ("", "LinearAttention"): Operator("contraction", linear_attention),
    ("com.microsoft", "LinearAttention"): Operator("contraction", linear_attention),
    ("com.microsoft", "GatedDeltaNet"): Operator("contraction", gated_delta_net),
}
