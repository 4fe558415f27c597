"""Dense attention to given Q, K and V, of the standard and of ONNX Runtime (traps A1, A2)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.cost import Cost
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.operands import (
    integer,
    multiplied,
    paddle_nothing,
    shape,
    share,
    together,
)
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.scores import (
    Keys,
    attend,
    between,
    cached,
    mask_note,
    present,
)

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node


class Heads(NamedTuple):
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


def flex_attention(node: Node) -> Cost:
    """Count the core, and what its subgraphs do to scores and probabilities (A1).

    Q, K and V are [B, heads, S, size]; ``score_mod`` and ``prob_mod`` run once, over all scores.
    """
    from onnxbench.graph.operators.table import find  # noqa: PLC0415 - the table has this module

    heads = _standard_heads(node)
    costs = [heads.over(heads.new, added=0)]
    for each in (inner for graph in node.graphs.values() for inner in graph.nodes):
        row = find(each.domain, each.op)
        if row is None:
            raise Unknown(f"no rule for {each.op} in its subgraph")
        costs.append(row.rule(each))
    return replace(together(*costs), operands=multiplied(node.input(0), node.input(1)))


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


def _standard_heads(node: Node) -> Heads:
    query, key, value = (node.input(index).dims for index in range(3))
    if len(query) == 4:
        batch, heads, queries, depth = query
        return Heads(
            batch, heads, queries, shape(node.input(1), 4)[2], depth, shape(node.input(2), 4)[3]
        )
    if len(query) != 3 or len(key) != 3 or len(value) != 3:
        raise Unknown("Q, K and V of attention have neither three nor four axes")
    query_heads, key_heads = integer(node, "q_num_heads"), integer(node, "kv_num_heads")
    depth, width = share(query[2], query_heads), share(value[2], key_heads)
    return Heads(query[0], query_heads, query[1], key[1], depth, width)


def _multi_heads(node: Node) -> Heads:
    heads = integer(node, "num_heads")
    query, key, value = node.input(0).dims, node.optional(1), node.optional(2)
    if len(query) == 5:  # [B, S, heads, 3, size]
        return Heads(query[0], heads, query[1], query[1], query[4], query[4])
    batch, queries, wide = shape(node.input(0), 3)
    if key is None:  # [B, S, Dq + Dk + Dv]
        size = share(wide, 3 * heads)
        return Heads(batch, heads, queries, queries, size, size)
    depth = share(wide, heads)
    if len(key.dims) == 5:  # [B, S, heads, 2, size]
        return Heads(batch, heads, queries, key.dims[1], depth, key.dims[4])
    if value is None:
        raise Unknown(f"{node.op} has a key and no value")
    if len(key.dims) == 4:  # a cache [B, heads, S, size]
        return Heads(batch, heads, queries, key.dims[2], depth, shape(value, 4)[3])
    new, width = shape(key, 3)[1], share(shape(value, 3)[2], heads)
    return Heads(batch, heads, queries, new, depth, width)


def _multi_headed(
    node: Node, heads: Heads, keys: Keys, *, masks: tuple[int, ...], bias: int
) -> Cost:
    added = present(node, *masks)
    biased = heads.batch * heads.heads * (
        heads.queries * heads.depth + heads.new * (heads.depth + heads.width)
    )  # fmt: skip
    biases = Cost(flops=biased if node.optional(bias) is not None else 0)
    cost = between(
        lambda count: together(heads.over(count, added=added), biases),
        keys,
        unidirectional_note(node, heads, keys.most),
    )
    return replace(cost, operands=multiplied(node.input(0), node.optional(1) or node.input(0)))


def unidirectional_note(node: Node, heads: Heads, keys: Count) -> str:
    """Say what the mask of a unidirectional operator leaves; its last query sees every key."""
    if not node.attribute("unidirectional", 0):
        return ""
    return heads.note(keys, keys - heads.queries, -1, 0)


ROWS = {
    ("", "Attention"): Operator("contraction", attention, paddle=paddle_nothing),
    ("ai.onnx.preview", "FlexAttention"): Operator(
        "contraction", flex_attention, paddle=paddle_nothing
    ),
    ("com.microsoft", "MultiHeadAttention"): Operator(
        "contraction", multi_head_attention, paddle=paddle_nothing
    ),
    ("com.microsoft", "DecoderMaskedMultiHeadAttention"): Operator(
        "contraction", decoder_masked_attention, paddle=paddle_nothing
    ),
}
