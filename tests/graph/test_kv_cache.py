"""What a token costs in the cache of a decoder: layers · 2 · heads · head size · bytes."""

from __future__ import annotations

import pytest

from onnxbench.graph.kv_cache import kv_cache
from onnxbench.graph.profile import KvCache
from tests.graph.parsed import model, read


def of(text: str, **dims: int) -> KvCache | None:
    return kv_cache(read(model(text), **dims)[0])


def appended(inputs: str, outputs: str, *pairs: tuple[str, str], dtype: str = "float") -> str:
    """Return a decoder that appends the new keys and values to each past of 4 axes."""
    new = f"{dtype}[B,2,S,16] n"
    nodes = " ".join(f"{after} = Concat <axis = 2> ({before}, n)" for before, after in pairs)
    return f"g ({new}, {inputs}) => ({outputs}) {{ {nodes} }}"


@pytest.mark.parametrize(("dtype", "size"), [("float", 4), ("float16", 2), ("int8", 1)])
def test_past_and_present_by_the_names_of_exporters(dtype: str, size: int) -> None:
    names = [(layer, kind) for layer in range(3) for kind in ("key", "value")]
    text = appended(
        ", ".join(f"{dtype}[B,2,P,16] past_key_values_{n}_{kind}" for n, kind in names),
        ", ".join(f"{dtype}[B,2,T,16] present_{n}_{kind}" for n, kind in names),
        *((f"past_key_values_{n}_{kind}", f"present_{n}_{kind}") for n, kind in names),
        dtype=dtype,
    )
    assert of(text) == KvCache(3 * 2 * 2 * 16 * size, 3)
    # It is the same for any batch and any number of tokens so far.
    assert of(text, B=4, P=7, S=1) == KvCache(3 * 2 * 2 * 16 * size, 3)


def test_one_tensor_may_hold_keys_and_values() -> None:
    text = """g (float[2,B,12,S,64] n, float[2,B,12,P,64] past_0, float[2,B,12,P,64] past_1)
        => (float[2,B,12,T,64] present_0, float[2,B,12,T,64] present_1)
        { present_0 = Concat <axis = 3> (past_0, n) present_1 = Concat <axis = 3> (past_1, n) }"""
    assert of(text) == KvCache(2 * 2 * 12 * 64 * 4, 2)


def test_tokens_may_stand_before_the_heads() -> None:
    text = """g (float[B,S,2,16] n, float[B,P,2,16] past_key_0, float[B,P,2,16] past_value_0)
        => (float[B,T,2,16] k, float[B,T,2,16] v)
        { k = Concat <axis = 1> (past_key_0, n) v = Concat <axis = 1> (past_value_0, n) }"""
    assert of(text) == KvCache(2 * 2 * 16 * 4, 1)


def test_a_buffer_that_an_operator_fills_is_found_by_the_operator() -> None:
    text = """g (float16[B,1,64] q, float16[B,1,32] k, float16[B,1,32] v, float16[B,2,128,16] a,
               float16[B,2,128,16] b, int32[B] lengths, int32 total)
        => (float16[B,1,64] y, float16[B,2,128,16] c, float16[B,2,128,16] d)
        { y, c, d = com.microsoft.GroupQueryAttention <num_heads = 4, kv_num_heads = 2>
                    (q, k, v, a, b, lengths, total) }"""
    assert of(text) == KvCache(2 * 2 * 16 * 2, 1)
    assert of(text, B=8) == KvCache(2 * 2 * 16 * 2, 1)


def test_a_paged_cache_has_blocks_of_tokens() -> None:
    text = """g (float16[N,64] q, float16[N,32] k, float16[N,32] v, float16[9,16,2,16] a,
               float16[9,16,2,16] b, int32[3] c, int32[2] p, int32[2,4] t)
        => (float16[N,64] y, float16[9,16,2,16] d, float16[9,16,2,16] e)
        { y, d, e = com.microsoft.PagedAttention <num_heads = 4, kv_num_heads = 2>
                    (q, k, v, a, b, c, p, t) }"""
    assert of(text) == KvCache(2 * 2 * 16 * 2, 1)


def test_a_cache_over_the_encoder_does_not_grow() -> None:
    text = appended(
        "float[B,2,P,16] past_key_values_0_decoder_key, float[B,2,P,16] "
        "past_key_values_0_decoder_value, float[B,2,E,16] past_key_values_0_encoder_key, "
        "float[B,2,E,16] past_key_values_0_encoder_value",
        "float[B,2,T,16] k, float[B,2,T,16] v, float[B,2,F,16] a, float[B,2,F,16] b",
        ("past_key_values_0_decoder_key", "k"),
        ("past_key_values_0_decoder_value", "v"),
        ("past_key_values_0_encoder_key", "a"),
        ("past_key_values_0_encoder_value", "b"),
    )
    assert of(text) == KvCache(2 * 2 * 16 * 4, 1)


def test_heads_that_the_file_leaves_open_are_named() -> None:
    text = """g (float[B,H,S,16] n, float[B,H,P,16] past_key_0, float[B,H,P,16] past_value_0)
        => (float[B,H,T,16] k, float[B,H,T,16] v)
        { k = Concat <axis = 2> (past_key_0, n) v = Concat <axis = 2> (past_value_0, n) }"""
    found = of(text)
    assert found is not None
    assert (found.bytes_per_token, found.layers) == (None, 1)
    assert "128*H" in found.reason
    assert of(text, H=3) == KvCache(128 * 3, 1)


@pytest.mark.parametrize(
    "text",
    [
        "g (float[1,3,8,8] x) => (float[1,3,8,8] y) { y = Relu (x) }",
        # neither keys nor values: the state of a streaming convolution
        "g (float[1,3,8,8] cache_0) => (float[1,3,8,8] y) { y = Relu (cache_0) }",
        # nothing is given back
        "g (float[1,3,8,8] past_key_0) => (float[5] y) { y = custom.Odd (past_key_0) }",
        # a mask over the past
        "g (float[1,8] past_mask) => (float[1,8] y) { y = Relu (past_mask) }",
    ],
)
def test_other_networks_have_none(text: str) -> None:
    assert of(text) is None
