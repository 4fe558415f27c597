"""Attention that projects Q, K and V itself, and the gates of its position bias (trap A3)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import maximum, minimum
from onnxbench.graph.operators.attention import Heads, unidirectional_note
from onnxbench.graph.operators.operands import (
    integer,
    multiplied,
    number,
    shape,
    share,
    times,
    together,
    type_name,
)
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.scores import (
    ROTARY,
    Keys,
    attend,
    between,
    cached,
    present,
    project,
)

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node


class _Slots(NamedTuple):
    """Which inputs of an attention with its own projection hold what."""

    masks: tuple[int, ...]
    past: int
    length: int


_ATTENTION = _Slots(masks=(3, 5), past=4, length=6)
_QATTENTION = _Slots(masks=(5,), past=8, length=9)


def projected_attention(node: Node) -> Cost:
    """Count the projection of Q, K and V, then the core: com.microsoft's Attention (A3).

    Input [B, S, Din], weights [Din, Dq + Dk + Dv], past [2, B, heads, past, size].
    """
    return _projected(node, _ATTENTION, "")


def quantized_attention(node: Node) -> Cost:
    """Count QAttention: the projection multiplies integers, the core floats (A3)."""
    return _projected(node, _QATTENTION, "its scores are products of floats")


def ordered_attention(node: Node) -> Cost:
    """Count QOrderedAttention, whose three projections have weights of their own (A3)."""
    batch, length, inputs = shape(node.input(0), 3)
    widths = [shape(node.input(index), 2)[1] for index in (5, 6, 7)]
    number_of = integer(node, "num_heads")
    heads = Heads(
        batch, number_of, length, length, share(widths[1], number_of), share(widths[2], number_of)
    )
    projection = project(batch * length, inputs, widths[0] + widths[1] + widths[2], bias=True)
    cost = together(projection, heads.over(length, added=present(node, 17, 19)))
    note = unidirectional_note(node, heads, length)
    return replace(cost, note=note, operands=multiplied(node.input(0), node.input(5)))


def decoder_attention(node: Node) -> Cost:
    """Count DecoderAttention, whose boolean inputs tell self- from cross-attention (A3).

    The query is [S, B, D], the key [T, B, D]. Self-attention projects K and V of the query, cross-
    attention of the key, or takes them from the cache. What is not known is bounded.
    """
    length, batch, wide = shape(node.input(0), 3)
    cross_keys = shape(node.input(1), 3)[0]
    cache = node.optional(6)
    held = shape(cache, 4)[2] if cache is not None else 0
    ways = _decoder_ways(node, length, cross_keys, held)
    heads = integer(node, "num_heads")
    size = share(wide, heads)
    costs = []
    for projected, keys in ways:
        costs.append(
            together(
                project(batch * length, wide, wide, bias=True),
                project(batch * projected, wide, wide * 2, bias=True),
                attend(batch * heads * length * keys, size, size, added=present(node, 5)),
            )
        )
    operands = multiplied(node.input(0), node.input(2))
    if len(costs) == 1:
        return replace(costs[0], operands=operands)
    return Cost(
        macs=maximum(*(each.macs for each in costs)),
        flops=maximum(*(each.flops for each in costs)),
        transcendentals=maximum(*(each.transcendentals for each in costs)),
        least=(
            minimum(*(each.macs for each in costs)),
            minimum(*(each.flops for each in costs)),
        ),
        note="whether it attends to itself, and to its cache, is an input",
        operands=operands,
    )


def gated_relative_position_bias(node: Node) -> Cost:
    """Count the product of every head with the gate's weights [size, D], and the gates.

    The query is [B, S, heads · size] or, packed, [tokens, heads · size] with ``token_offset``
    [B, S]; the gates scale the position biases [B, heads, S, S].
    """
    query, (size, gate) = node.input(0), shape(node.input(3), 2)
    rows = query.elements
    for_heads = share(rows, size)
    out = node.output().elements
    return Cost(
        macs=rows * gate,
        # bias of the query; bias and sum of the gates; two sigmoids and what joins them; the scale
        flops=rows + for_heads * (gate * 2 + 6) + out,
        transcendentals=for_heads * 2,
        operands=multiplied(query, node.input(3)),
    )


def paddle_projection(node: Node) -> Count:
    """Count as ``paddle.flops`` does: the linear layers around attention, not attention itself.

    Source: ``register_hooks`` in python/paddle/hapi/dynamic_flops.py of Paddle.
    """
    batch, length, inputs = shape(node.input(0), 3)
    return batch * length * inputs * shape(node.input(1), 2)[1]


def _projected(node: Node, slots: _Slots, note: str) -> Cost:
    batch, length, inputs = shape(node.input(0), 3)
    weights = shape(node.input(1), 2)[1]
    number_of = integer(node, "num_heads")
    sizes = node.attribute("qkv_hidden_sizes")
    if sizes and len(sizes) == 3:
        depth, width = share(sizes[1], number_of), share(sizes[2], number_of)
    else:
        depth = width = share(weights, 3 * number_of)
    heads = Heads(batch, number_of, length, length, depth, width)
    projection = project(batch * length, inputs, weights, bias=node.optional(2) is not None)
    past = node.optional(slots.past)
    keys = Keys(length, length)
    if past is not None:
        shared = bool(node.attribute("past_present_share_buffer", 0))
        held = node.optional(slots.length)
        keys = cached(shape(past, 5)[3], length, shared=shared, length=held)
    if node.attribute("do_rotary", 0):
        rotated = batch * length * number_of * depth * 2
        projection = replace(projection, flops=projection.flops + rotated * ROTARY)
    added = present(node, *slots.masks)
    notes = [note, unidirectional_note(node, heads, keys.most)]
    cost = between(
        lambda count: together(projection, heads.over(count, added=added)),
        keys,
        "; ".join(each for each in notes if each),
    )
    operands = times(type_name(node.input(0)), type_name(node.input(1)))
    return replace(cost, operands=operands)


def _decoder_ways(
    node: Node, length: Count, cross_keys: Count, held: Count
) -> list[tuple[Count, Count]]:
    """Return (tokens that are projected to K and V, keys) of every way that is still possible."""
    static, past, state = (_truths(number(node.optional(index))) for index in (8, 9, 10))
    ways: list[tuple[Count, Count]] = []
    for is_static in static:
        for from_cache in {use and has for use in past for has in state}:
            if is_static:
                ways.append((0, held) if from_cache else (cross_keys, cross_keys))
            else:
                ways.append((length, held + length) if from_cache else (length, length))
    return ways


def _truths(known: Count | None) -> tuple[bool, ...]:
    return (False, True) if known is None else (bool(known),)


_PROJECTED = Operator("contraction", projected_attention, paddle=paddle_projection)

ROWS = {
    ("com.microsoft", "Attention"): _PROJECTED,
    ("com.microsoft", "DecoderMaskedSelfAttention"): _PROJECTED,
    ("com.microsoft", "QAttention"): Operator(
        "contraction", quantized_attention, paddle=paddle_projection
    ),
    ("com.microsoft", "QOrderedAttention"): Operator("contraction", ordered_attention),
    ("com.microsoft", "DecoderAttention"): Operator("contraction", decoder_attention),
    ("com.microsoft", "GatedRelativePositionBias"): Operator(
        "contraction", gated_relative_position_bias
    ),
}
