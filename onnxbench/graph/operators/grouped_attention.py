"""Attention whose query heads share key-value heads and a cache (trap A4)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import ceil_div, floor_div, minimum
from onnxbench.graph.network import Unknown, packed_bytes
from onnxbench.graph.operators.operands import (
    integer,
    number,
    numbers,
    paddle_nothing,
    shape,
    share,
    times,
    together,
    type_name,
)
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.scores import (
    RMS_NORM,
    ROTARY,
    Keys,
    attend,
    between,
    mask_note,
    present,
    share_of_buffer,
)
from onnxbench.graph.payloads import BITS

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node, Tensor


class Grouped(NamedTuple):
    """Sizes of grouped-query attention: ``rows`` queries over the batch, ``new`` keys over it."""

    heads: int
    kv_heads: int
    rows: Count
    new: Count
    size: Count

    def preparation(self, node: Node, norms: tuple[int, ...]) -> Cost:
        """Return the cost of what happens to Q and K before: rotary embedding, per-head norms."""
        vectors = self.rows * self.heads + self.new * self.kv_heads
        flops = ROTARY if node.attribute("do_rotary", 0) else 0
        normed = present(node, *norms) > 0
        flops += RMS_NORM * normed
        return Cost(flops=vectors * self.size * flops, transcendentals=vectors if normed else 0)


def group_query_attention(node: Node) -> Cost:
    """Count B · Hq · Sq · (past + new) · 2 · size MACs: query heads, not key-value heads (A4).

    Without a key the query packs Q, K and V. The past is as long as ``past_key`` says, or, where
    past and present are one buffer, what ``total_sequence_length`` says; if that is an input too,
    the buffer's size bounds it.
    """
    batch, queries, _ = shape(node.input(0), 3)
    key = node.optional(1)
    new = queries if key is None else shape(key, 3)[1]
    sizes = grouped(node, batch * queries, batch * new)
    keys = _held(node, new)
    added, softcap = present(node, 10), bool(node.attribute("softcap", 0.0))
    before = sizes.preparation(node, (14, 15))
    cost = between(
        lambda count: together(
            before,
            attend(
                sizes.rows * sizes.heads * count,
                sizes.size,
                sizes.size,
                added=added,
                softcap=softcap,
            ),
        ),
        keys,
        _mask(node, batch * sizes.heads, sizes.size * 2, queries, keys.most),
    )
    written: Count | None = None
    if _shares_buffer(node):
        written = _bytes_of(node.input(0), sizes.rows * sizes.heads * sizes.size)
        for index in (1, 2):
            written = written + share_of_buffer(_output(node, index), new)
    return replace(cost, operands=_operands(node), bytes_written=written)


def paged_attention(node: Node) -> Cost:
    """Count tokens of many sequences against a cache of blocks (A1, A4).

    The query is [tokens, heads · size], the cache [blocks, block size, kv heads, size]. How the
    tokens spread over sequences, and how long these are, are inputs: at most every token meets all
    the blocks that its row of ``block_table`` [B, blocks] can name; at least the tokens are spread
    evenly over sequences without a past. A latent cache holds K, and V in its leading channels.
    """
    tokens = shape(node.input(0), 2)[0]
    sizes = grouped(node, tokens, tokens)
    batch, most_blocks = shape(node.input(7), 2)
    block = node.input(3).dims[1]
    keys = paged_pairs(node, tokens, batch, most_blocks * block)
    width: Count = node.attribute("v_head_size", 0) or sizes.size
    before = sizes.preparation(node, (12, 13))
    softcap = bool(node.attribute("softcap", 0.0))
    cost = between(
        lambda count: together(
            before, attend(count * sizes.heads, sizes.size, width, softcap=softcap)
        ),
        keys,
    )
    kind = node.attribute("k_cache_dtype", "")
    cache = {"int4": "int4", "float4e2m1": "fp4e2m1"}.get(kind, type_name(node.input(3)))
    reached = batch * most_blocks
    return replace(
        cost,
        operands=times(cache, type_name(node.input(0))),
        bytes_read=_paged_bytes(node, reached),
        bytes_written=_bytes_of(node.input(0), tokens * sizes.heads * width)
        + _new_bytes(node, tokens),
    )


def grouped(node: Node, rows: Count, new: Count) -> Grouped:
    """Return the sizes; the query packs Q, K and V where there is no key. Raises Unknown."""
    heads, kv_heads = integer(node, "num_heads"), integer(node, "kv_num_heads")
    wide = node.input(0).dims[-1]
    parts = heads if node.optional(1) is not None else heads + 2 * kv_heads
    return Grouped(heads, kv_heads, rows, new, share(wide, parts))


def paged_pairs(node: Node, tokens: Count, batch: Count, most: Count) -> Keys:
    """Return the (query, key) pairs of paged sequences: exact where both lengths are constants."""
    ends, pasts = numbers(node.optional(5)), numbers(node.optional(6))
    if ends is not None and pasts is not None and len(ends) == len(pasts) + 1:
        pairs: Count = 0
        for (start, end), past in zip(pairwise(ends), pasts, strict=True):
            length = end - start
            pairs = pairs + length * (length + past)
        return Keys(pairs, pairs)
    note = "how long its sequences are is an input; every block taken as attended"
    return Keys(tokens * most, ceil_div(tokens * tokens, batch), note)


def _held(node: Node, new: Count) -> Keys:
    past = node.optional(3)
    total = number(node.optional(6))
    if past is None:
        return Keys(new, new)
    places = shape(past, 4)[2]
    if node.attribute("sliding_window_cache", 0):
        note = "how full its window is, is an input; taken as full"
        return Keys(places + new, new, note)
    if isinstance(total, int):
        return Keys(total, total)
    if not _shares_buffer(node):
        return Keys(places + new, places + new)
    if total is not None:
        return Keys(total, total)
    note = "how much of its key-value buffer is in use is an input; taken as full"
    return Keys(places, minimum(new, places), note)


def _shares_buffer(node: Node) -> bool:
    """Tell whether past and present are one buffer: they have the same number of places."""
    past, after = node.optional(3), _output(node, 1)
    if past is None or after is None or after.shape is None or len(after.shape) != 4:
        return False
    return shape(past, 4)[2] == after.shape[2]


def _output(node: Node, index: int) -> Tensor | None:
    return node.outputs[index] if index < len(node.outputs) else None


def _mask(node: Node, heads: Count, size: Count, queries: Count, keys: Count) -> str:
    if not node.attribute("causal", 1):
        return ""
    window = node.attribute("local_window_size", -1)
    left = window - 1 if window > 0 else -1
    return mask_note(heads, size, queries, keys, offset=keys - queries, left=left, right=0)


def _operands(node: Node) -> str:
    query, cache = node.input(0), node.optional(3)
    if cache is None or node.attribute("k_quant_type", "NONE") == "NONE":
        return type_name(query)
    four_bits = node.attribute("kv_cache_bit_width", 8) == 4
    return times("int4" if four_bits else type_name(cache), type_name(query))


def _paged_bytes(node: Node, blocks: Count) -> Count:
    """Return every input once, of the caches only the blocks that can be reached."""
    total: Count = 0
    for index, each in enumerate(node.inputs):
        if each is None:
            continue
        size = each.bytes
        if index in {3, 4}:
            size = minimum(size, floor_div(size * blocks, each.dims[0]))
        total = total + size
    return total


def _bytes_of(like: Tensor, elements: Count) -> Count:
    bits = BITS.get(like.dtype)
    if bits is None:
        raise Unknown(f"the size of the elements of {like.name!r} is not known")
    return packed_bytes(elements, bits)


def _new_bytes(node: Node, tokens: Count) -> Count:
    """Return the bytes that the new tokens take in the caches."""
    total: Count = 0
    for index in (3, 4):
        cache = node.optional(index)
        if cache is None:
            continue
        if len(cache.dims) < 2:
            raise Unknown("its cache has no blocks")
        total = total + floor_div(cache.bytes * tokens, cache.dims[0] * cache.dims[1])
    return total


ROWS = {
    ("com.microsoft", "GroupQueryAttention"): Operator(
        "contraction", group_query_attention, paddle=paddle_nothing
    ),
    ("com.microsoft", "PagedAttention"): Operator(
        "contraction", paged_attention, paddle=paddle_nothing
    ),
}
