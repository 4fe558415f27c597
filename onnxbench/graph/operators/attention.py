"""Dense attention, of the standard and of ONNX Runtime (traps A1 to A4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import maximum, minimum
from onnxbench.graph.network import Unknown
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
    Keys,
    attend,
    between,
    cached,
    mask_note,
    present,
    project,
)

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node


class _Heads(NamedTuple):
    """Q as [batch, heads, queries, depth] with its new keys, whose values are ``width`` wide."""

    batch: Count
    heads: Count
    queries: Count
    new: Count
    depth: Count
    width: Count

    def over(self, keys: Count, *, added: int, softcap: bool = False) -> Cost:
        """Return the cost of attending to ``keys``."""
        scores = self.batch * self.heads * self.queries * keys
        return attend(scores, self.depth, self.width, added=added, softcap=softcap)

    def note(self, keys: Count, offset: Count, left: int, right: int) -> str:
        """Say what a mask leaves of the dense count."""
        size = self.depth + self.width
        heads = self.batch * self.heads
        return mask_note(heads, size, self.queries, keys, offset=offset, left=left, right=right)


class _Slots(NamedTuple):
    """Which inputs of an attention with its own projection hold what."""

    masks: tuple[int, ...]
    past: int
    length: int


_ATTENTION = _Slots(masks=(3, 5), past=4, length=6)
_QATTENTION = _Slots(masks=(5,), past=8, length=9)


def attention(node: Node) -> Cost:
    """Count B · Hq · Sq · (past + new) · (Dqk + Dv) MACs (A1).

    Q, K and V are [B, heads, S, size], or [B, S, heads · size] with the numbers of heads as
    attributes. A causal mask or a window leaves the dense count as it is; the note says what
    remains (A2). Past and new keys count; ``nonpad_kv_seqlen`` is taken in full.
    """
    heads = _standard_heads(node)
    past = node.optional(4)
    before = shape(past, 4)[2] if past is not None else 0
    keys = before + heads.new
    cost = heads.over(keys, added=present(node, 3), softcap=bool(node.attribute("softcap", 0.0)))
    left, right = node.attribute("left_window_size", -1), node.attribute("right_window_size", -1)
    if node.attribute("is_causal", 0):
        right = 0
    offset_known = node.optional(6) is None
    note = heads.note(keys, before, left, right) if offset_known else ""
    return replace(cost, note=note, operands=multiplied(node.input(0), node.input(1)))


def multi_head_attention(node: Node) -> Cost:
    """Count the core, and the sum with the bias of the projection before it (A1).

    The query may hold Q, K and V [B, S, heads, 3, size]; the key may hold K and V in the same way,
    or be a finished cache [B, heads, S, size].
    """
    heads = _multi_heads(node)
    past, length = node.optional(6), node.optional(8)
    keys = Keys(heads.new, heads.new)
    if past is not None:
        keys = cached(shape(past, 4)[2], heads.new, shared=length is not None, length=length)
    return _multi_headed(node, heads, keys, masks=(4, 5), bias=3)


def decoder_masked_attention(node: Node) -> Cost:
    """Count one step of a decoder: as MultiHeadAttention, other places for its inputs (A1)."""
    heads = _multi_heads(node)
    past = node.optional(5)
    keys = Keys(heads.new, heads.new)
    key = node.optional(1)
    if past is not None and not (key is not None and len(key.dims) == 4):
        shared = bool(node.attribute("past_present_share_buffer", 0))
        keys = cached(shape(past, 4)[2], heads.new, shared=shared, length=node.optional(7))
    return _multi_headed(node, heads, keys, masks=(3, 4), bias=10)


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
    heads = _Heads(
        batch, number_of, length, length, share(widths[1], number_of), share(widths[2], number_of)
    )
    projection = project(batch * length, inputs, widths[0] + widths[1] + widths[2], bias=True)
    cost = together(projection, heads.over(length, added=present(node, 17, 19)))
    note = _unidirectional(node, heads, length)
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


def paddle_nothing(node: Node) -> Count:
    """Count as ``paddle.flops`` does, which has no hook for products of activations."""
    del node
    return 0


def _standard_heads(node: Node) -> _Heads:
    query, key, value = (node.input(index).dims for index in range(3))
    if len(query) == 4:
        batch, heads, queries, depth = query
        return _Heads(
            batch, heads, queries, shape(node.input(1), 4)[2], depth, shape(node.input(2), 4)[3]
        )
    if len(query) != 3 or len(key) != 3 or len(value) != 3:
        raise Unknown("Q, K and V of attention have neither three nor four axes")
    query_heads, key_heads = integer(node, "q_num_heads"), integer(node, "kv_num_heads")
    depth, width = share(query[2], query_heads), share(value[2], key_heads)
    return _Heads(query[0], query_heads, query[1], key[1], depth, width)


def _multi_heads(node: Node) -> _Heads:
    heads = integer(node, "num_heads")
    query, key, value = node.input(0).dims, node.optional(1), node.optional(2)
    if len(query) == 5:  # [B, S, heads, 3, size]
        return _Heads(query[0], heads, query[1], query[1], query[4], query[4])
    batch, queries, wide = shape(node.input(0), 3)
    if key is None:  # [B, S, Dq + Dk + Dv]
        size = share(wide, 3 * heads)
        return _Heads(batch, heads, queries, queries, size, size)
    depth = share(wide, heads)
    if len(key.dims) == 5:  # [B, S, heads, 2, size]
        return _Heads(batch, heads, queries, key.dims[1], depth, key.dims[4])
    if value is None:
        raise Unknown(f"{node.op} has a key and no value")
    if len(key.dims) == 4:  # a cache [B, heads, S, size]
        return _Heads(batch, heads, queries, key.dims[2], depth, shape(value, 4)[3])
    new, width = shape(key, 3)[1], share(shape(value, 3)[2], heads)
    return _Heads(batch, heads, queries, new, depth, width)


def _multi_headed(
    node: Node, heads: _Heads, keys: Keys, *, masks: tuple[int, ...], bias: int
) -> Cost:
    added = present(node, *masks)
    biased = heads.batch * heads.heads * (
        heads.queries * heads.depth + heads.new * (heads.depth + heads.width)
    )  # fmt: skip
    biases = Cost(flops=biased if node.optional(bias) is not None else 0)
    cost = between(
        lambda count: together(heads.over(count, added=added), biases),
        keys,
        _unidirectional(node, heads, keys.most),
    )
    return replace(cost, operands=multiplied(node.input(0), node.optional(1) or node.input(0)))


def _projected(node: Node, slots: _Slots, note: str) -> Cost:
    batch, length, inputs = shape(node.input(0), 3)
    weights = shape(node.input(1), 2)[1]
    number_of = integer(node, "num_heads")
    sizes = node.attribute("qkv_hidden_sizes")
    if sizes and len(sizes) == 3:
        depth, width = share(sizes[1], number_of), share(sizes[2], number_of)
    else:
        depth = width = share(weights, 3 * number_of)
    heads = _Heads(batch, number_of, length, length, depth, width)
    projection = project(batch * length, inputs, weights, bias=node.optional(2) is not None)
    past = node.optional(slots.past)
    keys = Keys(length, length)
    if past is not None:
        shared = bool(node.attribute("past_present_share_buffer", 0))
        held = node.optional(slots.length)
        keys = cached(shape(past, 5)[3], length, shared=shared, length=held)
    if node.attribute("do_rotary", 0):
        rotated = batch * length * number_of * depth * 2
        projection = replace(projection, flops=projection.flops + rotated * 3)
    added = present(node, *slots.masks)
    notes = [note, _unidirectional(node, heads, keys.most)]
    cost = between(
        lambda count: together(projection, heads.over(count, added=added)),
        keys,
        "; ".join(each for each in notes if each),
    )
    operands = times(type_name(node.input(0)), type_name(node.input(1)))
    return replace(cost, operands=operands)


def _unidirectional(node: Node, heads: _Heads, keys: Count) -> str:
    if not node.attribute("unidirectional", 0):
        return ""
    return heads.note(keys, keys - heads.queries, -1, 0)


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
    ("", "Attention"): Operator("contraction", attention, paddle=paddle_nothing),
    ("com.microsoft", "Attention"): _PROJECTED,
    ("com.microsoft", "DecoderMaskedSelfAttention"): _PROJECTED,
    ("com.microsoft", "QAttention"): Operator(
        "contraction", quantized_attention, paddle=paddle_projection
    ),
    ("com.microsoft", "QOrderedAttention"): Operator("contraction", ordered_attention),
    ("com.microsoft", "DecoderAttention"): Operator("contraction", decoder_attention),
    ("com.microsoft", "MultiHeadAttention"): Operator(
        "contraction", multi_head_attention, paddle=paddle_nothing
    ),
    ("com.microsoft", "DecoderMaskedMultiHeadAttention"): Operator(
        "contraction", decoder_masked_attention, paddle=paddle_nothing
    ),
    ("com.microsoft", "GatedRelativePositionBias"): Operator(
        "contraction", gated_relative_position_bias
    ),
}
