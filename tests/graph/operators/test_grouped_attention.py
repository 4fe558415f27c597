from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto

from tests.graph.operators.counting import count, microsoft
from tests.graph.operators.probing import (
    FLOAT,
    HALF,
    INT8,
    INT32,
    UINT8,
    ints,
    zeros,
)


def grouped(names: str = "q k v p p l t", cache: int = FLOAT, **more: Any) -> ModelProto:
    """B=1, Sq=3, 4 query heads and 2 key-value heads of 8, a past of 7."""
    inputs: dict[str, Any] = {
        "q": (1, 3, 32), "k": (1, 3, 16), "v": (1, 3, 16), "p": ((1, 2, 7, 8), cache),
        "l": ((1,), INT32), "t": ((1,), INT32), "c": (64, 4), "b": (1, 1, 3, 10), "n": (8,),
    }  # fmt: skip
    used = {name: inputs[name] for name in names.split() if name in inputs}
    places = more.pop("places", 10)
    outputs = {"y": (1, 3, 32), "nk": ((1, 2, places, 8), cache), "nv": ((1, 2, places, 8), cache)}
    return microsoft("GroupQueryAttention", names, used, {"s": zeros(1)}, outputs, num_heads=4,
                     kv_num_heads=2, **more)  # fmt: skip


SCORES = 4 * 3 * 10


def test_rotation_norms_biases_and_caps_of_grouped_attention_are_elementwise() -> None:
    plain = count(grouped())
    assert (plain.macs, plain.flops) == (SCORES * 16, SCORES * 6)
    rotated = count(grouped("q k v p p l t c c", do_rotary=1))
    assert rotated.flops == SCORES * 6 + 3 * 3 * (32 + 16)
    normed = count(grouped("q k v p p l t - - - - - - - n n"))
    assert normed.flops == SCORES * 6 + 3 * 5 * (32 + 16)
    biased = count(grouped("q k v p p l t - - - b", softcap=3.0))
    assert biased.flops == SCORES * (6 + 1 + 3)
    assert {each.macs for each in (rotated, normed, biased)} == {SCORES * 16}


def test_a_quantized_cache_is_what_is_multiplied() -> None:
    names = "q k v p p l t - - - - - s s"
    made = grouped(names, INT8, k_quant_type="PER_TENSOR", v_quant_type="PER_TENSOR")
    assert count(made).operands == "int8×fp32"
    packed = {"k_quant_type": "PER_TENSOR", "v_quant_type": "PER_TENSOR"}
    made = grouped(names, UINT8, kv_cache_bit_width=4, **packed)
    assert count(made).operands == "int4×fp32"


def test_a_shared_buffer_is_written_where_the_new_tokens_go() -> None:
    cost = count(grouped(places=7))
    assert cost.bytes_written == 4 * (3 * 32 + 2 * 3 * 16)
    assert cost.least is not None
    assert count(grouped()).bytes_written is None


def test_without_a_mask_there_is_nothing_to_say() -> None:
    assert count(grouped()).note.startswith("causal: effective")
    assert count(grouped(causal=0)).note == ""


def test_a_cache_of_one_window_is_bounded_by_it() -> None:
    cost = count(grouped(sliding_window_cache=1, local_window_size=7, places=7))
    assert (cost.macs, cost.least) == (SCORES * 16, (12 * 3 * 16, 12 * 3 * 6))


def paged(*, lengths: bool = True, **more: Any) -> ModelProto:
    inputs: dict[str, Any] = {
        "q": ((6, 32), HALF), "k": ((6, 16), HALF), "v": ((6, 16), HALF),
        "c": ((10, 16, 2, 8), HALF), "t": ((3, 2), INT32),
    }  # fmt: skip
    weights: dict[str, Any] = {}
    if lengths:
        weights = {"cum": ints(0, 1, 4, 6, dtype=np.int32), "past": ints(5, 0, 30, dtype=np.int32)}
    else:
        inputs |= {"cum": ((4,), INT32), "past": ((3,), INT32)}
    names = more.pop("names", "q k v c c cum past t")
    return microsoft("PagedAttention", names, inputs, weights, num_heads=4, kv_num_heads=2, **more)


def test_known_lengths_make_paged_attention_exact() -> None:
    cost = count(paged())
    assert cost.least is None
    assert cost.macs == 4 * (1 * 6 + 3 * 3 + 2 * 32) * 16


def test_paged_attention_touches_the_blocks_that_its_table_names() -> None:
    cost = count(paged(lengths=False))
    block = 16 * 2 * 8 * 2
    rest = 2 * (6 * 32 + 2 * 6 * 16) + 4 * (4 + 3 + 6)
    assert cost.bytes_read == 2 * 6 * block + rest
    assert cost.bytes_written == 2 * (6 * 32 + 2 * 6 * 16)


def test_a_latent_cache_holds_keys_and_in_them_values() -> None:
    inputs: dict[str, Any] = {
        "q": ((6, 64), HALF), "k": ((6, 16), HALF), "c": ((10, 16, 1, 16), HALF),
        "t": ((1, 2), INT32),
    }  # fmt: skip
    weights = {"cum": ints(0, 6, dtype=np.int32), "past": ints(4, dtype=np.int32)}
    made = microsoft(
        "PagedAttention", "q k - c - cum past t", inputs, weights, num_heads=4, kv_num_heads=1,
        kv_cache_layout="LATENT", v_head_size=12, scale=0.1,
    )  # fmt: skip
    assert count(made).macs == 4 * 6 * 10 * (16 + 12)
