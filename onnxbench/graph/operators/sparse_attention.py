"""Attention over packed sequences, blocks, windows and selections (trap A5)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import ceil_div, floor_div, minimum
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.grouped_attention import grouped, paged_pairs
from onnxbench.graph.operators.operands import (
    integer,
    multiplied,
    number,
    numbers,
    shape,
    share,
    together,
    type_name,
)
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.scores import Keys, attend, between, present, project

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node


def packed_attention(node: Node) -> Cost:
    """Count the projection of the packed tokens, and every sequence's own square of scores."""
    tokens, inputs = shape(node.input(0), 2)
    weights = shape(node.input(1), 2)[1]
    heads = integer(node, "num_heads")
    sizes = node.attribute("qkv_hidden_sizes") or [share(weights, 3)] * 3
    depth, width = share(sizes[1], heads), share(sizes[2], heads)
    projection = project(tokens, inputs, weights, bias=True)
    added = present(node, 5)
    cost = between(
        lambda pairs: together(projection, attend(pairs * heads, depth, width, added=added)),
        _ragged(node, tokens, 3),
    )
    return replace(cost, operands=multiplied(node.input(0), node.input(1)))


def packed_multi_head_attention(node: Node) -> Cost:
    """Count every sequence's own square of scores; the query may pack [tokens, heads, 3, size]."""
    heads, dims = integer(node, "num_heads"), node.input(0).dims
    if len(dims) == 4:
        depth = width = dims[3]
    else:
        depth = share(shape(node.input(0), 2)[1], heads)
        width = share(shape(node.input(2), 2)[1], heads)
    tokens, added = dims[0], present(node, 6)
    bias = tokens * heads * (2 * depth + width) if node.optional(3) is not None else 0
    cost = between(
        lambda pairs: together(Cost(flops=bias), attend(pairs * heads, depth, width, added=added)),
        _ragged(node, tokens, 4),
    )
    return replace(cost, operands=type_name(node.input(0)))


def block_sparse_attention(node: Node) -> Cost:
    """Count the blocks that the layout names: com.microsoft's SparseAttention (A5).

    A query is scored against whole blocks of ``sparse_block_size`` keys. Layouts take turns over
    the heads. Where layout or length are inputs, all that the buffer holds bounds the count.
    """
    batch, queries, _ = shape(node.input(0), 3)
    sizes = grouped(node, batch * queries, batch * queries)
    before = sizes.preparation(node, ())
    keys = _blocks(node, queries, shape(node.input(3), 4)[2])
    cost = between(
        lambda count: together(
            before,
            attend(floor_div(batch * sizes.heads * count, _layouts(node)), sizes.size, sizes.size),
        ),
        keys,
    )
    return replace(cost, operands=type_name(node.input(0)))


def longformer_attention(node: Node) -> Cost:
    """Count Longformer's window, and as many global tokens as its window may hold (A5).

    Every token sees ``window`` tokens on either side, itself, and the global ones; a global token
    sees all, through a projection of its own. How many are global is an input: from none up to
    ``window``, which is what ONNX Runtime allows.
    """
    return _longformer(node, 1, 0)


def ordered_longformer_attention(node: Node) -> Cost:
    """Count Longformer's attention with int8 weights (A5)."""
    return _longformer(node, 2, 0)


def dynamic_sparse_attention(node: Node) -> Cost:
    """Count at most the entries that the index tensor can select, and the local window (A5)."""
    batch, queries, _ = shape(node.input(0), 3)
    sizes = grouped(node, batch * queries, batch * queries)
    past = node.optional(3)
    held = number(node.optional(10))
    if held is None:
        held = queries + (shape(past, 4)[2] if past is not None else 0)
    return _selected(node, sizes.rows, shape(node.input(7), 2)[1], held, (14, 15))


def sparse_paged_attention(node: Node) -> Cost:
    """Count at most the entries that can be selected of a paged cache, and the window (A5)."""
    tokens = shape(node.input(0), 2)[0]
    batch, most_blocks = shape(node.input(7), 2)
    held = paged_pairs(node, 1, batch, most_blocks * node.input(3).dims[1]).most
    return _selected(node, tokens, shape(node.input(9), 2)[1], held, (17, 18))


def sparse_attention_indexer(node: Node) -> Cost:
    """Count the scores that choose what a sparse attention reads.

    Q is [B, S, heads · size]; ``qsa`` scores complete blocks of ``compress_ratio`` tokens, ``csa``
    the compressed entries, which ``present_key`` holds. A cache of fixed size bounds both.
    """
    batch, queries, wide = shape(node.input(0), 3)
    past = shape(node.input(7), 3)[1]
    ratio, fixed = integer(node, "compress_ratio"), node.optional(12) is not None
    tokens = batch * queries
    if node.attribute("policy_mode") == "qsa":
        most = floor_div(past if fixed else past + queries, ratio)
    else:
        most = past if fixed else shape(node.output(1), 3)[1]
    note = "how many keys its buffer holds is an input" if fixed else ""
    keys = Keys(most, 0 if fixed else most, note)
    return _indexed(node, tokens, wide, keys, head_weights=10)


def packed_sparse_attention_indexer(node: Node) -> Cost:
    """Count the scores of packed tokens against the entries of a state of fixed capacity."""
    tokens, wide = shape(node.input(0), 2)
    capacity = integer(node, "state_capacity")
    note = "how many keys its state holds is an input"
    return _indexed(node, tokens, wide, Keys(capacity, 0, note), head_weights=10)


def _ragged(node: Node, tokens: Count, offsets: int) -> Keys:
    """Return the (query, key) pairs of packed sequences, none of which sees another.

    Exact where the ends of the sequences are constants. Else at most every sequence is as long as
    the axis of ``token_offset`` [B, S]; at least the tokens are spread evenly.
    """
    batch, longest = shape(node.input(offsets), 2)
    ends = numbers(node.optional(offsets + 1))
    if ends is not None:
        pairs: Count = 0
        for start, end in pairwise(ends):
            pairs = pairs + (end - start) * (end - start)
        return Keys(pairs, pairs)
    note = "how long its sequences are is an input; taken as long as they may be"
    return Keys(tokens * longest, ceil_div(tokens * tokens, batch), note)


def _layouts(node: Node) -> Count:
    return shape(node.input(5), 2)[0]


def _blocks(node: Node, queries: Count, places: Count) -> Keys:
    """Return the (query, key) pairs of all layouts together."""
    block, total = integer(node, "sparse_block_size"), number(node.optional(7))
    layouts, columns = shape(node.input(5), 2)
    starts = numbers(node.optional(5))
    if isinstance(total, int) and isinstance(queries, int) and isinstance(columns, int) and starts:
        if total > (columns - 1) * block:
            raise Unknown("its block layout is shorter than its sequence")
        pairs: Count = 0
        for layout in range(len(starts) // columns):
            ends = starts[layout * columns : (layout + 1) * columns]
            for row, (start, end) in enumerate(pairwise(ends)):
                first, after = max(total - queries, row * block), min(total, (row + 1) * block)
                pairs = pairs + (end - start) * (max(after - first, 0) * block)
        return Keys(pairs, pairs)
    held = places if total is None else total
    note = "which blocks it attends to is an input; all taken"
    return Keys(layouts * queries * held, layouts * queries, note)


def _longformer(node: Node, weight: int, data: int) -> Cost:
    batch, length, wide = shape(node.input(data), 3)
    window, heads = integer(node, "window"), integer(node, "num_heads")
    size = share(wide, heads)
    rows = batch * length
    near = minimum(window, length)
    local = length * (2 * near + 1) - near * (near + 1)
    qkv = project(rows, wide, shape(node.input(weight), 2)[1], bias=True)
    least = together(qkv, attend(batch * heads * local, size, size, added=1))
    scores = attend(batch * heads * length * near * 2, size, size, added=1)
    most = together(least, qkv, scores)
    return replace(
        most,
        least=(least.macs, least.flops),
        note=f"which tokens are global is an input; at most {near} taken",
        operands=multiplied(node.input(data), node.input(weight)),
    )


def _selected(node: Node, rows: Count, chosen: Count, held: Count, norms: tuple[int, int]) -> Cost:
    sizes = grouped(node, rows, rows)
    before = sizes.preparation(node, norms)
    window = node.attribute("local_window_size", -1)
    local: Count = 0
    if node.attribute("attention_mode") == "local_plus_selected":
        local = minimum(window, held) if window > 0 else held
    note = "how many keys are selected is an input; all that may be taken"
    return replace(
        between(
            lambda count: together(
                before, attend(rows * sizes.heads * count, sizes.size, sizes.size)
            ),
            Keys(chosen + local, 0, note),
        ),
        operands=type_name(node.input(0)),
    )


def _indexed(node: Node, tokens: Count, wide: Count, keys: Keys, *, head_weights: int) -> Cost:
    """Count tokens · heads · entries · size MACs; norms and the pooling of new keys besides."""
    size = shape(node.input(2), 1)[0]
    packed = node.optional(1) is None
    heads = share(wide, size) - (1 if packed else 0)
    weighted = node.optional(head_weights) is not None
    # csa pools 2 · size channels with a softmax over two windows, qsa takes a mean
    pooled = size * (16 if weighted else 1)

    def cost(entries: Count) -> Cost:
        scores = tokens * heads * entries
        prepared = tokens * (heads * size * 8 + pooled)  # RMS norm and rotation of the queries
        return Cost(macs=scores * size, flops=scores * (3 + weighted) + prepared)

    return replace(between(cost, keys), operands=type_name(node.input(0)))


ROWS = {
    ("com.microsoft", "PackedAttention"): Operator("contraction", packed_attention),
    ("com.microsoft", "PackedMultiHeadAttention"): Operator(
        "contraction", packed_multi_head_attention
    ),
    ("com.microsoft", "SparseAttention"): Operator("contraction", block_sparse_attention),
    ("com.microsoft", "LongformerAttention"): Operator("contraction", longformer_attention),
    ("com.microsoft", "QOrderedLongformerAttention"): Operator(
        "contraction", ordered_longformer_attention
    ),
    ("com.microsoft", "DynamicSparseAttention"): Operator("contraction", dynamic_sparse_attention),
    ("com.microsoft", "SparsePagedAttention"): Operator("contraction", sparse_paged_attention),
    ("com.microsoft", "SparseAttentionIndexer"): Operator("contraction", sparse_attention_indexer),
    ("com.microsoft", "PackedSparseAttentionIndexer"): Operator(
        "contraction", packed_sparse_attention_indexer
    ),
}
