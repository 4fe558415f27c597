"""Views move nothing (V1), look-ups read rows and not tables (G1), copies compute nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxbench.graph.formulas import parse
from onnxbench.graph.network import Tensor, Unknown
from tests.graph.operators.nodes import INT8, INT64, Shape, constant, cost, node, row, tensor

MAP: Shape = (2, 3, 4)
MS: dict[str, Any] = {"domain": "com.microsoft"}


@pytest.mark.parametrize(
    "op",
    ["Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "BitCast", "OptionalGetElement"],
)
def test_a_view_reads_and_writes_nothing(op: str) -> None:
    found = cost(op, MAP, out=(24,))
    assert (found.flops, found.bytes_read, found.bytes_written) == (0, 0, 0)
    assert row(node(op, [MAP], [(24,)])).kind == "view"


@pytest.mark.parametrize("op", ["Transpose", "Concat", "Split", "Expand", "Pad", "Cast", "Tile"])
def test_a_copy_computes_nothing_and_reads_and_writes_everything(op: str) -> None:
    found = cost(op, MAP, out=MAP)
    assert (found.flops, found.bytes_read, found.bytes_written) == (0, None, None)
    assert row(node(op, [MAP], [MAP])).kind == "movement"


def test_an_embedding_reads_the_rows_it_looks_up_not_its_table() -> None:
    ids = tensor(("B", "S"), INT64)
    found = cost("Gather", (30_000, 768), ids, out=("B", "S", 768))
    assert found.bytes_read == parse("768*4*B*S + 8*B*S")
    eight_bit = tensor((30_000, 768), INT8)
    found = cost("Gather", eight_bit, tensor((4,), INT64), out=tensor((4, 768), INT8))
    assert found.bytes_read == 4 * 768 + 4 * 8


def test_a_slice_reads_what_it_keeps() -> None:
    found = cost("Slice", (1000, 8), constant(np.array([0])), constant(np.array([2])), out=(2, 8))
    assert found.bytes_read == 2 * 8 * 4 + 2 * 8


def test_a_copy_of_unknown_size_is_still_known_to_compute_nothing() -> None:
    found = cost("Slice", (1000, 8), (1,), (1,), out=tensor(None))
    assert found.flops == 0
    assert "not known" in found.note


def test_a_scatter_counts_what_it_adds() -> None:
    ids = tensor((5, 1), INT64)
    assert cost("ScatterND", (100, 8), ids, (5, 8), out=(100, 8)).flops == 0
    assert cost("ScatterND", (100, 8), ids, (5, 8), out=(100, 8), reduction="add").flops == 40


def test_updating_a_cache_leaves_the_rest_of_it_where_it_is() -> None:
    cache: Shape = (1, 8, 4096, 64)
    found = cost("TensorScatter", cache, (1, 8, 1, 64), tensor((1,), INT64), out=cache)
    assert (found.bytes_read, found.bytes_written) == (8 * 64 * 4 + 8, 8 * 64 * 4)
    assert row(node("TensorScatter", [cache], [cache])).in_place


def test_a_cast_to_the_type_of_a_tensor_does_not_read_that_tensor() -> None:
    like = tensor((100, 100), INT8)
    found = cost("CastLike", (2, 3), like, out=tensor((2, 3), INT8))
    assert (found.flops, found.bytes_read, found.bytes_written) == (0, 24, None)
    assert row(node("CastLike", [(2, 3), like], [(2, 3)])).in_place


def test_asking_for_a_shape_reads_no_elements() -> None:
    found = cost("Shape", (1000, 1000), out=tensor((2,), INT64))
    assert (found.bytes_read, found.bytes_written) == (0, 16)


def test_a_range_multiplies_and_adds() -> None:
    assert cost("Range", (), (), (), out=("S",)).flops == parse("2*S")


def test_sequences_hold_copies_of_tensors() -> None:
    found = cost("SequenceConstruct", MAP, MAP, out=tensor(None, 0))
    assert (found.bytes_read, found.bytes_written) == (192, 192)
    found = cost("SequenceAt", tensor(None, 0), (), out=MAP)
    assert (found.bytes_read, found.bytes_written) == (96, 96)
    assert cost("SequenceErase", tensor(None, 0), out=tensor(None, 0)).bytes_read == 0


@pytest.mark.parametrize("op", ["If", "Loop", "Scan", "SequenceMap"])
def test_control_flow_costs_nothing_of_its_own(op: str) -> None:
    assert row(node(op, [()], [MAP])).kind == "control"
    assert cost(op, (), out=MAP).flops == 0


# ----------------------------------------------------------------- selection, numbers and text


@pytest.mark.parametrize("op", ["TopK", "Unique", "NonZero", "NonMaxSuppression"])
def test_selection_counts_no_flops_and_says_so(op: str) -> None:
    found = cost(op, MAP, out=MAP)
    assert found.flops == 0
    assert "not counted" in found.note


def test_random_numbers_are_one_flop_each() -> None:
    assert cost("RandomNormal", out=MAP).flops == 24
    assert cost("RandomUniformLike", MAP, out=MAP).bytes_read == 0
    assert cost("Bernoulli", MAP, out=MAP).flops == 48
    drawn = cost("Multinomial", (2, 10), out=(2, 5))
    assert (drawn.flops, drawn.transcendentals) == (2 * 20 + 10, 20)


def test_text_is_no_arithmetic_and_decoding_an_image_is_unknown() -> None:
    assert "not counted" in cost("StringConcat", MAP, MAP, out=MAP).note
    with pytest.raises(Unknown, match="decoding"):
        cost("ImageDecoder", (100,), out=(4, 4, 3))


# --------------------------------------------------------------------------------- embeddings


def test_a_rotary_embedding_turns_pairs() -> None:
    heads: Shape = ("B", 8, "S", 64)
    cache: Shape = (2048, 32)
    ids = tensor(("B", "S"), INT64)
    found = cost("RotaryEmbedding", heads, cache, cache, ids, out=heads)
    assert found.flops == parse("3*8*64*B*S")
    # The cosines and sines of B·S positions, 32 each.
    assert found.bytes_read == parse("4*512*B*S + 8*B*S + 2*4*32*B*S")
    part = cost("RotaryEmbedding", heads, cache, cache, out=heads, rotary_embedding_dim=16)
    assert part.flops == parse("3*8*16*B*S")
    flat = cost(
        "RotaryEmbedding", (2, 7, 512), (7, 8), (7, 8), out=(2, 7, 512),
        num_heads=8, rotary_embedding_dim=16,
    )  # fmt: skip
    assert flat.flops == 3 * 2 * 7 * 8 * 16


def test_a_rotary_embedding_of_onnx_runtime_has_its_positions_first() -> None:
    heads, cache = (2, 8, 7, 64), (2048, 32)
    start = tensor((1,), INT64)
    found = cost("RotaryEmbedding", heads, start, cache, cache, out=heads, **MS)
    assert found.flops == 3 * 2 * 8 * 7 * 64
    assert found.bytes_read == 4 * 2 * 8 * 7 * 64 + 8 + 2 * 4 * 7 * 32
    gemma = node("GemmaRotaryEmbedding", [(2, 7, 64)], [heads, heads], **MS)
    angles = 2 * 7 * 64 * 2
    assert row(gemma).rule(gemma).flops == 2 * 3 * 2 * 8 * 7 * 64 + angles


def test_fused_embeddings_are_summed_and_normalized() -> None:
    ids = tensor((2, 7), INT64)
    of: list[Shape | Tensor | None] = [ids, ids, (30_000, 64), (512, 64), (2, 64), (64,), (64,)]
    found = cost("EmbedLayerNormalization", *of, out=(2, 7, 64), **MS)
    n = 2 * 7 * 64
    assert (found.flops, found.transcendentals) == (n * 10, 14)
    assert found.bytes_read == 3 * n * 4 + 14 * 8 + 2 * 64 * 4
    of[1] = of[4] = None
    assert cost("EmbedLayerNormalization", *of, out=(2, 7, 64), **MS).flops == n * 9


def test_a_quantized_table_is_dequantized_row_by_row() -> None:
    table = tensor((1000, 64), 2)  # uint8: two elements of 4 bits in each byte
    found = cost(
        "GatherBlockQuantized", table, tensor((5,), INT64), (1000, 4),
        out=(5, 128), bits=4, block_size=32, **MS,
    )  # fmt: skip
    assert found.flops == 2 * 5 * 128
    assert found.bytes_read == 5 * 64 + 5 * 8 + 5 * 4 * 4


def test_relative_positions_find_their_bucket() -> None:
    found = cost("RelativePositionBias", (32, 8), (), (), out=(1, 8, 10, 10), **MS)
    assert (found.flops, found.transcendentals) == (700, 100)
