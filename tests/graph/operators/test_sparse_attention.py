from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from onnxbench.graph.network import Unknown
from tests.graph.operators.counting import count, microsoft
from tests.graph.operators.probing import INT8, INT32, ints, zeros


def packed(*, lengths: bool) -> ModelProto:
    """Seven tokens of three sequences that may be four long; two heads of 8."""
    inputs: dict[str, Any] = {"q": (7, 16), "k": (7, 16), "v": (7, 12), "o": ((3, 4), INT32)}
    weights = {"c": ints(0, 1, 3, 7, dtype=np.int32), "b": zeros(44)} if lengths else {}
    if not lengths:
        inputs["c"] = ((4,), INT32)
    names = "q k v b o c" if lengths else "q k v - o c"
    return microsoft("PackedMultiHeadAttention", names, inputs, weights, num_heads=2)


def test_packed_sequences_do_not_see_one_another() -> None:
    cost = count(packed(lengths=True))
    pairs = 1 + 4 + 16
    assert (cost.macs, cost.least) == (2 * pairs * (8 + 6), None)
    assert cost.flops == 2 * pairs * 6 + 7 * 44


def test_open_lengths_lie_between_an_even_spread_and_the_longest() -> None:
    cost = count(packed(lengths=False))
    assert cost.macs == 2 * 28 * 14
    assert cost.least is not None
    assert cost.least[0] == 2 * 17 * 14  # 49 / 3, rounded up
    exact = count(packed(lengths=True)).macs
    assert isinstance(exact, int)
    assert cost.least[0] <= exact <= cost.macs  # type: ignore[operator]


def test_a_packed_tensor_of_queries_keys_and_values() -> None:
    inputs = {"q": (7, 2, 3, 8), "o": ((3, 4), INT32)}
    made = microsoft("PackedMultiHeadAttention", "q - - - o c", inputs,
                     {"c": ints(0, 7, 7, 7, dtype=np.int32)}, num_heads=2)  # fmt: skip
    assert count(made).macs == 2 * 49 * 16


def sparse(total: int | None, columns: int = 5, layouts: int = 1, heads: int = 2) -> ModelProto:
    """Four blocks of 16; the layout is a band of two blocks."""
    rows = ints(*[0, 1, 3, 5, 7][:columns] * layouts, dtype=np.int32).reshape(layouts, columns)
    weights: dict[str, Any] = {"rows": rows, "cols": ints(*[0] * 7, dtype=np.int32).reshape(1, 7)}
    inputs: dict[str, Any] = {
        "q": (1, 32, heads * 8), "k": (1, 32, 16), "v": (1, 32, 16), "p": (1, 2, 64, 8),
        "l": ((1,), INT32),
    }  # fmt: skip
    if total is None:
        inputs["t"] = ((1,), INT32)
    else:
        weights["t"] = ints(total, dtype=np.int32)
    return microsoft("SparseAttention", "q k v p p rows cols t l", inputs, weights,
                     num_heads=heads, kv_num_heads=2, sparse_block_size=16)  # fmt: skip


def test_a_layout_of_blocks_counts_the_blocks_of_every_query() -> None:
    assert count(sparse(32)).macs == 2 * (16 * 16 + 16 * 32) * 16  # rows of one and two blocks
    assert count(sparse(64)).macs == 2 * (32 * 32) * 16


def test_layouts_take_turns_over_the_heads() -> None:
    assert count(sparse(64, layouts=2, heads=4)).macs == 4 * (32 * 32) * 16


def test_blocks_of_an_open_length_are_bounded_by_the_buffer() -> None:
    cost = count(sparse(None))
    assert cost.macs == 2 * 32 * 64 * 16
    assert cost.least == (2 * 32 * 16, 2 * 32 * 6)


def test_a_layout_that_is_too_short_is_unknown() -> None:
    with pytest.raises(Unknown, match="shorter"):
        count(sparse(64, columns=3))


def longformer(length: int, window: int, op: str = "LongformerAttention") -> ModelProto:
    inputs: dict[str, Any] = {"x": (2, length, 16), "m": (2, length), "g": ((2, length), INT32)}
    weights = {"w": zeros(16, 48), "b": zeros(48), "s": zeros(1)}
    names = "x w b m w b g"
    if op.startswith("QOrdered"):
        names = "x s w s b s s m w s b s g s"
        inputs["x"] = ((2, length, 16), INT8)
        weights["w"] = zeros(16, 48, dtype=np.int8)
        orders: dict[str, Any] = dict.fromkeys(
            ("order_input", "order_output", "order_weight", "order_global_weight"), 1
        )
        return microsoft(op, names, inputs, weights, num_heads=2, window=window, **orders)
    return microsoft(op, names, inputs, weights, num_heads=2, window=window)


@pytest.mark.parametrize(("length", "window"), [(12, 2), (12, 5), (4, 8)])
def test_every_token_sees_a_window_around_itself(length: int, window: int) -> None:
    cost = count(longformer(length, window))
    pairs = sum(
        abs(query - key) <= window for query in range(length) for key in range(length)
    )  # fmt: skip
    projection = 2 * length * 16 * 48
    assert cost.least is not None
    assert cost.least[0] == projection + 2 * 2 * pairs * 16
    most_global = min(window, length)
    assert cost.macs == 2 * projection + 2 * 2 * (pairs + 2 * length * most_global) * 16


def test_quantized_longformer_costs_the_same() -> None:
    quantized = count(longformer(12, 2, "QOrderedLongformerAttention"))
    assert quantized.macs == count(longformer(12, 2)).macs
    assert quantized.operands == "int8"


def dynamic(**more: Any) -> ModelProto:
    inputs: dict[str, Any] = {
        "q": (2, 3, 32), "k": (2, 3, 16), "v": (2, 3, 16), "p": (2, 2, 7, 8),
        "i": ((6, 5), INT32), "c": ((6,), INT32), "l": ((2,), INT32), "t": ((1,), INT32),
    }  # fmt: skip
    return microsoft("DynamicSparseAttention", "q k v p p - - i c l t", inputs, {}, num_heads=4,
                     kv_num_heads=2, **more)  # fmt: skip


def test_a_selection_is_bounded_by_the_room_for_it() -> None:
    cost = count(dynamic())
    assert cost.macs == 6 * 4 * 5 * 16
    assert cost.least == (0, 0)


def test_a_window_adds_to_a_selection() -> None:
    mode = {"attention_mode": "local_plus_selected"}
    assert count(dynamic(local_window_size=4, **mode)).macs == 6 * 4 * 9 * 16
    assert count(dynamic(local_window_size=40, **mode)).macs == 6 * 4 * (5 + 10) * 16


def test_a_paged_selection() -> None:
    inputs: dict[str, Any] = {
        "q": (6, 32), "k": (6, 16), "v": (6, 16), "c": (10, 16, 2, 8), "t": ((3, 2), INT32),
        "u": ((4,), INT32), "p": ((3,), INT32), "i": ((6, 5), INT32), "n": ((6,), INT32),
    }  # fmt: skip
    names = "q k v c c u p t - i n"
    made = microsoft("SparsePagedAttention", names, inputs, {}, num_heads=4, kv_num_heads=2)
    assert count(made).macs == 6 * 4 * 5 * 16
    made = microsoft("SparsePagedAttention", names, inputs, {}, num_heads=4, kv_num_heads=2,
                     attention_mode="local_plus_selected")  # fmt: skip
    assert count(made).macs == 6 * 4 * (5 + 32) * 16


def indexer(mode: str, *, fixed: bool = False) -> ModelProto:
    """B=2, three new tokens, 29 keys before, four heads of 8, blocks of 4."""
    csa = mode == "csa"
    inputs: dict[str, Any] = {
        "q": (2, 3, 32), "k": (2, 3, 16 if csa else 8), "n": (8,), "c": (64, 4),
        "p": (2, 29, 8), "g": (2, 3, 16), "h": (2, 3, 4), "l": ((1,), INT64),
    }  # fmt: skip
    names = "q k n n c c - p" + (" g - h" if csa else " - - -") + (" - l" if fixed else "")
    used = {name: inputs[name] for name in names.split() if name in inputs}
    outputs = {"y": ((2, 3, 7), INT32), "z": (2, 29 if fixed else 32, 8)}
    return microsoft("SparseAttentionIndexer", names, used, {}, outputs, policy_mode=mode,
                     compress_ratio=4)  # fmt: skip


INT64 = 7


@pytest.mark.parametrize(("mode", "entries"), [("qsa", 8), ("csa", 32)])
def test_an_indexer_scores_blocks_or_compressed_entries(mode: str, entries: int) -> None:
    cost = count(indexer(mode))
    assert (cost.macs, cost.least) == (6 * 4 * entries * 8, None)


def test_an_indexer_with_a_buffer_of_fixed_size_is_bounded() -> None:
    cost = count(indexer("qsa", fixed=True))
    assert cost.macs == 6 * 4 * 7 * 8
    assert cost.least is not None
    assert cost.least[0] == 0


def test_an_indexer_of_packed_tokens_is_bounded_by_its_state() -> None:
    inputs: dict[str, Any] = {
        "q": (6, 40), "n": (8,), "c": (64, 4), "u": ((3,), INT32), "p": ((2,), INT32),
        "s": (2, 20, 8), "b": (2, 7, 8), "l": ((2, 2), INT32),
    }  # fmt: skip
    made = microsoft(
        "PackedSparseAttentionIndexer", "q - n n c c u p - - - - s b - l", inputs, {},
        policy_mode="qsa", compress_ratio=4, state_capacity=20, token_budget=8,
    )  # fmt: skip
    cost = count(made)
    assert cost.macs == 6 * 4 * 20 * 8
    assert cost.least is not None


@pytest.mark.timeout(20)
def test_a_length_beyond_all_memory_is_no_work() -> None:
    with pytest.raises(Unknown, match="shorter"):
        count(sparse(2**31 - 1))
