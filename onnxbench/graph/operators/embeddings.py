"""Looking up embeddings and turning positions into them: tables with arithmetic behind.

A rotary embedding turns each pair of elements: two products and a sum for each of the two. Of a
table only the rows that are looked up are read (G1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import ceil_div, product
from onnxbench.graph.network import Unknown, packed_bytes
from onnxbench.graph.operators.normalization import NORM
from onnxbench.graph.operators.operands import integer, shape, share
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.rules import tally_per_output, touched
from onnxbench.graph.payloads import BITS

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count, Dim
    from onnxbench.graph.network import Node

_CONTRIB = "com.microsoft"
_TURN = 3
"""FLOPs per element that is rotated."""

_DEQUANTIZATION = 2
"""FLOPs per element (Q1)."""

_UINT8 = 2
_BUCKET = 7
"""FLOPs that find the bucket of a distance; one of them is a logarithm."""


def rotary_embedding(node: Node) -> Cost:
    """3 FLOPs per rotated element: all of a head, or the first ``rotary_embedding_dim`` of it."""
    return _rotary(node, caches=(1, 2), positions=3)


def contrib_rotary_embedding(node: Node) -> Cost:
    """3 FLOPs per rotated element."""
    return _rotary(node, caches=(2, 3), positions=1)


def gemma_rotary_embedding(node: Node) -> Cost:
    """3 FLOPs per element of query and key, a sine and a cosine per angle."""
    angles = node.input(0).elements * 2
    turned = node.output(0).elements + node.output(1).elements
    return Cost(flops=turned * _TURN + angles, transcendentals=angles)


def embed_layer_normalization(node: Node) -> Cost:
    """8 FLOPs per output element, 1 per embedding that is added: position, segment."""
    return _embedded(node, lookup=0)


def quantized_embed_layer_normalization(node: Node) -> Cost:
    """8 FLOPs per output element, 1 per embedding that is added, 2 per dequantized element."""
    return _embedded(node, lookup=_DEQUANTIZATION)


def gather_block_quantized(node: Node) -> Cost:
    """2 FLOPs per output element: what is looked up is dequantized; only that is read (G1)."""
    table, results = node.input(0), node.output().elements
    bits = BITS.get(table.dtype, 8)
    if table.dtype == _UINT8:  # as many elements in a byte as fit
        bits = node.attribute("bits", 4)
    block = node.attribute("block_size", 128) or table.dims[-1]
    blocks = ceil_div(results, block)
    read = packed_bytes(results, bits) + node.input(1).bytes
    read = read + packed_bytes(blocks, BITS.get(node.input(2).dtype, 8))
    if node.optional(3) is not None:
        read = read + packed_bytes(blocks, bits)
    return Cost(flops=results * _DEQUANTIZATION, bytes_read=read)


def relative_position_bias(node: Node) -> Cost:
    """7 FLOPs per pair of positions, 1 transcendental: its bucket; the bias is looked up."""
    pairs = product(shape(node.output(), 4)[2:])
    return Cost(
        flops=pairs * _BUCKET,
        transcendentals=pairs,
        bytes_read=touched(node, {0: node.output().elements}),
    )


def _rotary(node: Node, caches: tuple[int, int], positions: int) -> Cost:
    data = node.input(0)
    heads, rotated = _heads(node, data.dims)
    read = None
    ids = node.optional(positions)
    if ids is not None:
        rows = ids.elements if len(ids.dims) > 1 else _sequence(data.dims)
        read = touched(node, dict.fromkeys(caches, rows * shape(node.input(caches[0]), 2)[1]))
    return Cost(flops=heads * rotated * _TURN, bytes_read=read)


def _heads(node: Node, dims: tuple[Dim, ...]) -> tuple[Count, Count]:
    """Return how many heads there are, of all tokens together, and the rotated elements of one."""
    rotated = node.attribute("rotary_embedding_dim", 0)
    if len(dims) not in {3, 4}:
        raise Unknown(f"{node.op} of {len(dims)} axes")
    if len(dims) == 4 or not rotated:
        return product(dims[:-1]), rotated or dims[-1]
    heads = integer(node, "num_heads")
    share(dims[-1], heads)
    return product(dims[:-1]) * heads, rotated


def _sequence(dims: tuple[Dim, ...]) -> Dim:
    return dims[1] if len(dims) == 3 else dims[2]


def _embedded(node: Node, lookup: int) -> Cost:
    results = node.output().elements
    tables = [index for index in (2, 3, 4) if node.optional(index) is not None]
    flops = results * (NORM + len(tables) - 1 + lookup * len(tables))
    return Cost(
        flops=flops,
        transcendentals=product(node.output().dims[:-1]),
        bytes_read=touched(node, dict.fromkeys(tables, results)),
    )


_FVCORE_NORM = tally_per_output(5, "norm_flop_counter in fvcore/nn/jit_handles.py")

ROWS = {
    ("", "RotaryEmbedding"): Operator("elementwise", rotary_embedding),
    (_CONTRIB, "RotaryEmbedding"): Operator("elementwise", contrib_rotary_embedding),
    (_CONTRIB, "MRotaryEmbedding"): Operator("elementwise", contrib_rotary_embedding),
    (_CONTRIB, "GemmaRotaryEmbedding"): Operator("elementwise", gemma_rotary_embedding),
    (_CONTRIB, "EmbedLayerNormalization"): Operator(
        "normalization", embed_layer_normalization, fvcore=_FVCORE_NORM
    ),
    (_CONTRIB, "QEmbedLayerNormalization"): Operator(
        "normalization", quantized_embed_layer_normalization, fvcore=_FVCORE_NORM
    ),
    (_CONTRIB, "GatherBlockQuantized"): Operator("movement", gather_block_quantized),
    (_CONTRIB, "RelativePositionBias"): Operator("movement", relative_position_bias),
}
