from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from onnxbench.graph.dims import symbol
from onnxbench.graph.formulas import evaluate, parse
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.scores import mask_note
from tests.graph.operators.counting import count, last, microsoft
from tests.graph.operators.probing import (
    INT8,
    INT32,
    INT64,
    Shape,
    ints,
    model,
    node,
    scalar,
    zeros,
)


def standard(q: Shape, k: Shape, v: Shape, names: str = "q k v", **more: Any) -> ModelProto:
    inputs: dict[str, Any] = {"q": q, "k": k, "v": v, "m": (5, 5), "n": ((2,), INT64)}
    made = node("Attention", names, **more)
    return model(made, {name: inputs[name] for name in names.split() if name != "-"}, None,
                 {"y": ()}, opset=26)  # fmt: skip


# ------------------------------------------------------------------------------------- A1 and A2


def seen(queries: int, keys: int, offset: int, left: int, right: int) -> int:
    """Count the pairs that a mask leaves, one after the other."""
    return sum(
        (left < 0 or key >= offset + query - left) and (right < 0 or key <= offset + query + right)
        for query, key in product(range(queries), range(keys))
    )


@pytest.mark.parametrize("queries", [1, 3, 6])
@pytest.mark.parametrize("keys", [1, 6, 9])
@pytest.mark.parametrize("offset", [-2, 0, 3, 8])
def test_a_mask_leaves_what_counting_finds(queries: int, keys: int, offset: int) -> None:
    for left, right in product((-1, 0, 2, 20), (-1, 0, 1)):
        if left < 0 and right < 0:
            continue
        pairs = seen(queries, keys, offset, left, right)
        note = mask_note(3, 5, queries, keys, offset=offset, left=left, right=right)
        assert note.endswith(f"effective {15 * pairs} MACs"), (left, right)


def test_a_mask_over_open_sizes_is_a_formula() -> None:
    past, new = symbol("P"), symbol("S")
    note = mask_note(2, 16, new, past + new, offset=past, right=0)
    found = parse(note.removeprefix("causal: effective ").removesuffix(" MACs"))
    assert found == parse("32*P*S + 16*S**2 + 16*S")
    assert evaluate(found, {"P": 7, "S": 3}) == 32 * seen(3, 10, 7, -1, 0)


def test_no_mask_has_no_note() -> None:
    assert mask_note(1, 1, 4, 4, offset=0) == ""


def test_three_axes_need_numbers_of_heads() -> None:
    cost = count(standard((2, 3, 32), (2, 5, 16), (2, 5, 8), q_num_heads=4, kv_num_heads=2))
    assert cost.macs == 2 * 4 * 3 * 5 * (8 + 4)
    with pytest.raises(Unknown, match="q_num_heads"):
        count(standard((2, 3, 32), (2, 5, 16), (2, 5, 8)))
    with pytest.raises(Unknown, match="split"):
        count(standard((2, 3, 32), (2, 5, 16), (2, 5, 8), q_num_heads=5, kv_num_heads=2))


def test_open_sizes_stay_in_the_formula() -> None:
    cost = count(standard(("B", 4, "S", 8), ("B", 4, "T", 8), ("B", 4, "T", 6), is_causal=1))
    assert cost.macs == parse("56*B*S*T")
    assert cost.note.startswith("causal: effective")


def test_a_mask_and_a_cap_are_elementwise() -> None:
    shapes: tuple[Shape, Shape, Shape] = ((1, 2, 5, 4), (1, 2, 5, 4), (1, 2, 5, 4))
    cost = count(standard(*shapes, "q k v m", softcap=2.0))
    assert cost.macs == 50 * 8
    assert cost.flops == 50 * (6 + 1 + 3)
    assert cost.transcendentals == 100


def test_a_window_looks_both_ways() -> None:
    shapes: tuple[Shape, Shape, Shape] = ((1, 1, 6, 4), (1, 1, 6, 4), (1, 1, 6, 4))
    cost = count(standard(*shapes, left_window_size=2, right_window_size=1))
    assert cost.macs == 36 * 8
    assert cost.note == f"windowed: effective {8 * seen(6, 6, 0, 2, 1)} MACs"


def test_padding_that_is_an_input_leaves_the_note_open() -> None:
    shapes: tuple[Shape, Shape, Shape] = ((2, 1, 5, 4), (2, 1, 5, 4), (2, 1, 5, 4))
    assert count(standard(*shapes, "q k v - - - n", is_causal=1)).note == ""


@pytest.mark.parametrize(
    ("names", "inputs", "macs"),
    [
        ("q k", {"q": (2, 3, 32), "k": (2, 5, 4, 2, 8)}, 2 * 4 * 15 * 16),
        ("q k v", {"q": (2, 3, 32), "k": (2, 4, 5, 8), "v": (2, 4, 5, 6)}, 2 * 4 * 15 * 14),
        ("q k v", {"q": (2, 3, 32), "k": (2, 5, 32), "v": (2, 5, 24)}, 2 * 4 * 15 * 14),
        (
            "q k v - - - p p",
            {"q": (2, 3, 32), "k": (2, 3, 32), "v": (2, 3, 32), "p": (2, 4, 7, 8)},
            2 * 4 * 30 * 16,
        ),
    ],
)
def test_multi_head_attention_takes_its_inputs_in_many_forms(
    names: str, inputs: dict[str, Any], macs: int
) -> None:
    assert count(microsoft("MultiHeadAttention", names, inputs, num_heads=4)).macs == macs


def shared_cache(length: int | None) -> ModelProto:
    inputs: dict[str, Any] = {
        "q": (2, 1, 32), "k": (2, 1, 32), "v": (2, 1, 32), "p": (2, 4, 64, 8),
    }  # fmt: skip
    weights = {} if length is None else {"l": ints(length, dtype=np.int32)}
    if length is None:
        inputs["l"] = ((1,), INT32)
    return microsoft("MultiHeadAttention", "q k v - - - p p l", inputs, weights, num_heads=4)


def test_a_buffer_that_is_larger_than_its_content_bounds_the_count() -> None:
    cost = count(shared_cache(None))
    assert (cost.macs, cost.least) == (8 * 64 * 16, (8 * 16, 8 * 6))
    assert "buffer" in cost.note
    known = count(shared_cache(9))
    assert (known.macs, known.least) == (8 * 10 * 16, None)


def test_a_decoder_may_attend_to_a_finished_cache() -> None:
    inputs = {"q": (2, 1, 32), "k": (2, 4, 9, 8), "v": (2, 4, 9, 8)}
    made = microsoft("DecoderMaskedMultiHeadAttention", "q k v", inputs, num_heads=4)
    assert count(made).macs == 8 * 9 * 16


def test_a_key_without_a_value_is_unknown() -> None:
    inputs = {"q": (2, 1, 32), "k": (2, 9, 32)}
    with pytest.raises(Unknown, match="no value"):
        count(microsoft("MultiHeadAttention", "q k", inputs, num_heads=4))


# -------------------------------------------------------------------------------------------- A3


def projected(**more: Any) -> ModelProto:
    inputs: dict[str, Any] = {"x": (2, 3, 8), "m": ((2, 3), INT32), "p": (2, 2, 2, 7, 4)}
    names = more.pop("names", "x w b m")
    used = {name: inputs[name] for name in names.split() if name in inputs}
    weights = {"w": zeros(8, more.pop("wide", 24)), "b": zeros(24)}
    return microsoft("Attention", names, used, weights, num_heads=2, **more)


def test_a_projection_has_a_bias_and_scores_a_mask() -> None:
    cost = count(projected())
    assert cost.macs == 6 * 8 * 24 + 2 * 2 * 9 * 8
    assert cost.flops == 6 * 24 + 36 * 7


def test_values_may_be_narrower_than_keys() -> None:
    cost = count(projected(wide=20, qkv_hidden_sizes=[8, 8, 4]))
    assert cost.macs == 6 * 8 * 20 + 2 * 2 * 9 * (4 + 2)


def test_past_keys_and_a_causal_mask() -> None:
    cost = count(projected(names="x w b - p", unidirectional=1))
    assert cost.macs == 6 * 8 * 24 + 2 * 2 * 3 * 10 * 8
    assert cost.note == f"causal: effective {4 * 8 * seen(3, 10, 7, -1, 0)} MACs"


def test_rotation_costs_three_for_each_element_of_queries_and_keys() -> None:
    plain, rotated = count(projected()), count(projected(do_rotary=1))
    assert isinstance(plain.flops, int)
    assert rotated.flops == plain.flops + 3 * 2 * 6 * 8


def test_ordered_attention_has_three_projections() -> None:
    names = "x s s s s w w w s s s b b b s s s"
    weights = {"w": zeros(8, 8, dtype=np.int8), "b": zeros(8), "s": scalar(0.5)}
    made = microsoft("QOrderedAttention", names, {"x": ((2, 3, 8), INT8)}, weights, num_heads=2,
                     order_input=1, order_weight=0, order_output=1)  # fmt: skip
    cost = count(made)
    assert (cost.macs, cost.operands) == (6 * 8 * 24 + 2 * 2 * 9 * 8, "int8")


def decoder(*flags: bool | None) -> ModelProto:
    names = "q k qw kw b - c c static past state none"
    inputs: dict[str, Any] = {"q": (3, 2, 16), "k": (7, 2, 16), "c": (2, 4, 5, 4)}
    weights: dict[str, Any] = {
        "qw": zeros(16, 16), "kw": zeros(16, 32), "b": zeros(48), "none": np.array([False]),
    }  # fmt: skip
    for name, flag in zip(("static", "past", "state"), flags, strict=True):
        if flag is None:
            inputs[name] = ((1,), 9)
        else:
            weights[name] = np.array([flag])
    return microsoft("DecoderAttention", names, inputs, weights, num_heads=4)


QUERY = 6 * 256


@pytest.mark.parametrize(
    ("flags", "macs"),
    [
        ((False, False, False), QUERY + 6 * 512 + 8 * 3 * 3 * 8),
        ((True, False, False), QUERY + 14 * 512 + 8 * 3 * 7 * 8),
        ((False, True, True), QUERY + 6 * 512 + 8 * 3 * 8 * 8),
        ((True, True, True), QUERY + 8 * 3 * 5 * 8),
        ((True, True, False), QUERY + 14 * 512 + 8 * 3 * 7 * 8),
    ],
)
def test_truth_values_tell_a_decoder_what_to_do(flags: tuple[bool, ...], macs: int) -> None:
    cost = count(decoder(*flags))
    assert (cost.macs, cost.least) == (macs, None)


def test_truth_values_that_are_inputs_bound_the_count() -> None:
    cost = count(decoder(None, None, None))
    assert cost.macs == QUERY + 14 * 512 + 8 * 3 * 7 * 8
    assert cost.least is not None
    assert cost.least[0] == QUERY + 8 * 3 * 5 * 8


def test_gates_of_a_position_bias_multiply_every_head() -> None:
    inputs = {"q": (2, 3, 16), "r": (1, 4, 3, 3)}
    weights = {"qb": zeros(16), "w": zeros(4, 8), "b": zeros(8), "e": zeros(1, 4, 1, 1)}
    made = microsoft("GatedRelativePositionBias", "q qb r w b e", inputs, weights,
                     {"y": (2, 4, 3, 3)}, num_heads=4)  # fmt: skip
    assert count(made).macs == 2 * 3 * 4 * 4 * 8


def test_paddle_counts_projections_and_no_scores() -> None:
    for made, wanted in ((projected(), 6 * 8 * 24), (shared_cache(9), 0)):
        found, row = last(made)
        assert row.paddle is not None
        assert row.paddle(found) == wanted
