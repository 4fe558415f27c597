"""Probes of attention, experts, recurrences: traps A and R."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto

from tests.graph.operators.probing import (
    HALF,
    INT32,
    MS,
    UINT8,
    Probe,
    graph,
    ints,
    model,
    node,
    scalar,
    zeros,
)

FLEX = "ai.onnx.preview"


def attention(
    q: tuple[int | str, ...],
    k: tuple[int | str, ...],
    v: tuple[int | str, ...],
    past: int = 0,
    **more: Any,
) -> ModelProto:
    inputs: dict[str, Any] = {"q": q, "k": k, "v": v}
    names, outputs = "q k v", "y"
    if past:
        heads = more["kv_num_heads"]
        inputs["pk"] = (2, heads, past, k[2] // heads)
        inputs["pv"] = (2, heads, past, v[2] // heads)
        names, outputs = "q k v - pk pv", "y nk nv"
    opset = 26 if {"left_window_size", "right_window_size"} & set(more) else 23
    made = node("Attention", names, outputs, **more)
    given = {"y": (*q[:2], q[2])} if past else None
    return model(made, inputs, None, given and {"y": (2, q[1], 16)}, opset=opset)


def microsoft(op: str, names: str, inputs: Any, weights: Any, y: Any, **more: Any) -> ModelProto:
    outputs = y if isinstance(y, dict) else {"y": y}
    return model(node(op, names, " ".join(outputs), MS, **more), inputs, weights, outputs)


def grouped(
    past: int | str,
    total: int | str,
    length: Any = None,
    names: str = "q k v pk pv l t",
    **more: Any,
) -> ModelProto:
    """B=1, Sq=3, 4 query heads and 2 key-value heads of 8."""
    inputs: dict[str, Any] = {
        "q": (1, 3, 32), "k": (1, 3, 16), "v": (1, 3, 16), "pk": (1, 2, past, 8),
        "pv": (1, 2, past, 8), "l": ((1,), INT32),
    }  # fmt: skip
    weights: dict[str, Any] = {}
    if length is None:
        inputs["t"] = ((1,), INT32)
    else:
        weights["t"] = ints(length, dtype=np.int32)
    outputs = {"y": (1, 3, 32), "nk": (1, 2, total, 8), "nv": (1, 2, total, 8)}
    return microsoft(
        "GroupQueryAttention", names, inputs, weights, outputs, num_heads=4, kv_num_heads=2, **more
    )


def packed_prompt() -> ModelProto:
    outputs = {"y": (2, 3, 32), "nk": (2, 2, 3, 8), "nv": (2, 2, 3, 8)}
    inputs = {"q": (2, 3, 64), "l": ((2,), INT32), "t": ((1,), INT32)}
    return microsoft("GroupQueryAttention", "q - - - - l t", inputs, {}, outputs,
                     num_heads=4, kv_num_heads=2)  # fmt: skip


def moe(**more: Any) -> ModelProto:
    """5 tokens of 8 to 2 of 4 experts whose inner width is 16, fused SwiGLU."""
    weights = {
        "f1": zeros(4, 32, 8), "b1": zeros(4, 32), "f2": zeros(4, 8, 16), "b2": zeros(4, 8),
    }  # fmt: skip
    return microsoft("MoE", "x r f1 b1 f2 b2", {"x": (1, 5, 8), "r": (5, 4)}, weights, (1, 5, 8),
                     k=2, activation_type="swiglu", swiglu_fusion=1, **more)  # fmt: skip


def moe_three() -> ModelProto:
    weights = {"f1": zeros(4, 16, 8), "f2": zeros(4, 8, 16), "f3": zeros(4, 16, 8)}
    return microsoft("MoE", "x r f1 - f2 - f3", {"x": ("T", 8), "r": ("T", 4)}, weights,
                     ("T", 8), k=2, activation_type="silu")  # fmt: skip


def qmoe() -> ModelProto:
    weights = {
        "f1": zeros(4, 32, 4, dtype=np.uint8), "s1": zeros(4, 32, dtype=np.float16),
        "f2": zeros(4, 8, 8, dtype=np.uint8), "s2": zeros(4, 8, dtype=np.float16),
    }  # fmt: skip
    inputs = {"x": ((5, 8), HALF), "r": ((5, 4), HALF)}
    return microsoft("QMoE", "x r f1 s1 - f2 s2", inputs, weights, {"y": ((5, 8), HALF)}, k=2,
                     activation_type="swiglu", swiglu_fusion=1, expert_weight_bits=4)  # fmt: skip


def sparse(total: Any) -> ModelProto:
    """One layout of 4 blocks of 16: a diagonal and one block before it; B=1, 2 heads of 8."""
    weights = {"rows": ints(0, 1, 3, 5, 7, dtype=np.int32).reshape(1, 5),
               "cols": ints(0, 0, 1, 1, 2, 2, 3, dtype=np.int32).reshape(1, 7),
               "t": ints(total, dtype=np.int32)}  # fmt: skip
    inputs = {"q": (1, 32, 16), "k": (1, 32, 16), "v": (1, 32, 16), "pk": (1, 2, 64, 8),
              "pv": (1, 2, 64, 8), "l": ((1,), INT32)}  # fmt: skip
    outputs = {"y": (1, 32, 16), "nk": (1, 2, 64, 8), "nv": (1, 2, 64, 8)}
    return microsoft("SparseAttention", "q k v pk pv rows cols t l", inputs, weights, outputs,
                     num_heads=2, kv_num_heads=2, sparse_block_size=16)  # fmt: skip


def longformer() -> ModelProto:
    weights = {name: zeros(*shape) for name, shape in
               {"w": (16, 48), "b": (48,), "gw": (16, 48), "gb": (48,)}.items()}  # fmt: skip
    inputs = {"x": (1, 32, 16), "m": (1, 32), "g": ((1, 32), INT32)}
    return microsoft("LongformerAttention", "x w b m gw gb g", inputs, weights, (1, 32, 16),
                     num_heads=2, window=4)  # fmt: skip


def linear(rule: str, heads: int, *, gates: bool, domain: str = "") -> ModelProto:
    """B=2, T=5, key-value heads 2, key size 4, value size 3."""
    inputs: dict[str, Any] = {"q": (2, 5, heads * 4), "k": (2, 5, 8), "v": (2, 5, 6)}
    names = "q k v"
    if gates:
        inputs |= {"d": (2, 5, 2), "b": (2, 5, 2)}
        names = "q k v - d b"
    outputs = {"y": (2, 5, heads * 3), "s": (2, 2, 4, 3)}
    made = node("LinearAttention", names, "y s", domain, q_num_heads=heads, kv_num_heads=2,
                update_rule=rule)  # fmt: skip
    return model(made, inputs, None, outputs, opset=22 if domain else 27)


def causal_conv(domain: str, **more: Any) -> ModelProto:
    made = node("CausalConvWithState", "x w b p", "y s", domain, activation="silu", **more)
    return model(made, {"x": (2, 6, 10), "p": (2, 6, 3)}, {"w": zeros(6, 1, 4), "b": zeros(6)},
                 {"y": (2, 6, 10), "s": (2, 6, 3)}, opset=22 if domain else 27)  # fmt: skip


def recurrent(
    op: str, gates: int, directions: int = 1, names: str = "x w r", outputs: str = "y", **more: Any
) -> ModelProto:
    """T=5, B=2, I=3, H=4."""
    rows = gates * 4
    weights: dict[str, Any] = {"w": zeros(directions, rows, 3), "r": zeros(directions, rows, 4)}
    inputs: dict[str, Any] = {"x": (5, 2, 3)}
    if " b" in names:
        weights["b"] = zeros(directions, 2 * rows)
    if " l" in names:
        inputs["l"] = ((2,), INT32)
    if directions == 2:
        more["direction"] = "bidirectional"
    if more.get("layout"):
        inputs["x"] = (2, 5, 3)
    return model(node(op, names, outputs, hidden_size=4, **more), inputs, weights, opset=22)


def quantized_lstm() -> ModelProto:
    weights = {
        "w": zeros(1, 3, 16, dtype=np.int8), "r": zeros(1, 4, 16, dtype=np.int8),
        "s": zeros(1), "z": zeros(1, dtype=np.int8),
    }  # fmt: skip
    return microsoft("DynamicQuantizeLSTM", "x w r - - - - - s z s z", {"x": (5, 2, 3)}, weights,
                     (5, 1, 2, 4), hidden_size=4)  # fmt: skip


def flex() -> ModelProto:
    body = graph(node("Mul", "s two", "t"), {"s": (2, 4, 3, 5)}, {"t": (2, 4, 3, 5)},
                 {"two": scalar(2.0)})  # fmt: skip
    made = node("FlexAttention", "q k v", domain=FLEX, score_mod=body)
    inputs = {"q": (2, 4, 3, 8), "k": (2, 2, 5, 8), "v": (2, 2, 5, 6)}
    return model(made, inputs, None, {"y": (2, 4, 3, 6)}, opset=26)


def decoder_attention(*, static: bool, past: bool) -> ModelProto:
    weights = {"qw": zeros(16, 16), "kw": zeros(16, 32), "b": zeros(48),
               "static": np.array([static]), "past": np.array([past]),
               "state": np.array([past]), "mask": np.array([False])}  # fmt: skip
    inputs = {"q": (3, 2, 16), "k": (7, 2, 16)}
    outputs = {"y": (3, 2, 16), "nk": (2, 4, 7, 4), "nv": (2, 4, 7, 4)}
    return microsoft("DecoderAttention", "q k qw kw b - - - static past state mask", inputs,
                     weights, outputs, num_heads=4)  # fmt: skip


def paged() -> ModelProto:
    inputs = {
        "q": ((6, 32), HALF), "k": ((6, 16), HALF), "v": ((6, 16), HALF),
        "kc": ((10, 16, 2, 8), HALF), "vc": ((10, 16, 2, 8), HALF), "cum": ((4,), INT32),
        "past": ((3,), INT32), "table": ((3, 2), INT32),
    }  # fmt: skip
    outputs = {"y": ((6, 32), HALF), "ko": ((10, 16, 2, 8), HALF), "vo": ((10, 16, 2, 8), HALF)}
    return microsoft("PagedAttention", "q k v kc vc cum past table", inputs, {}, outputs,
                     num_heads=4, kv_num_heads=2)  # fmt: skip


def packed() -> ModelProto:
    weights = {"w": zeros(8, 24), "b": zeros(24), "cum": ints(0, 1, 3, 7, dtype=np.int32)}
    inputs = {"x": (7, 8), "o": ((3, 4), INT32)}
    return microsoft("PackedAttention", "x w b o cum", inputs, weights, (7, 8), num_heads=2)


def bert() -> ModelProto:
    weights = {"w": zeros(8, 24), "b": zeros(24)}
    return microsoft("Attention", "x w b", {"x": ("B", "S", 8)}, weights, ("B", "S", 8),
                     num_heads=2)  # fmt: skip


def qattention() -> ModelProto:
    weights = {"w": zeros(8, 24, dtype=np.int8), "b": zeros(24), "s": scalar(0.5),
               "zx": scalar(128, np.uint8), "zw": scalar(0, np.int8)}  # fmt: skip
    return microsoft("QAttention", "x w b s s - zx zw", {"x": ((2, 3, 8), UINT8)}, weights,
                     (2, 3, 8), num_heads=2)  # fmt: skip


_PAIRS = 2 * 4 * 3  # batch, query heads, queries
_GROUPED = 4 * 3

PROBES = (
    Probe(
        "attention", "A1", lambda: attention((2, 4, 3, 8), (2, 4, 5, 8), (2, 4, 5, 6)),
        {"macs": _PAIRS * 5 * 14, "elementwise": _PAIRS * 5 * 6,
         "transcendentals": _PAIRS * 5, "precision": "fp32"},
        "most counters have no rule for it",
    ),
    Probe(
        "attention-cached", "A1",
        lambda: attention((2, 3, 32), (2, 3, 16), (2, 3, 8), past=7, q_num_heads=4,
                          kv_num_heads=2),
        {"macs": _PAIRS * 10 * (8 + 4)},
        "past keys count; query heads, not key-value heads",
    ),
    Probe(
        "attention-flex", "A1", flex,
        {"macs": _PAIRS * 5 * (8 + 6)},
        "a preview operator that is a function with subgraphs",
    ),
    Probe(
        "attention-multi-head", "A1",
        lambda: microsoft("MultiHeadAttention", "q k v b",
                          {"q": (2, 3, 32), "k": (2, 5, 32), "v": (2, 5, 16)}, {"b": zeros(80)},
                          (2, 3, 16), num_heads=4),
        {"macs": _PAIRS * 5 * 12, "elementwise": _PAIRS * 5 * 6 + 2 * (3 * 32 + 5 * 48),
         "params": 80},
    ),
    Probe(
        "attention-multi-head-packed", "A1",
        lambda: microsoft("MultiHeadAttention", "q", {"q": (2, 3, 4, 3, 8)}, {}, (2, 3, 32),
                          num_heads=4),
        {"macs": _PAIRS * 3 * 16}, "Q, K and V in one tensor",
    ),
    Probe(
        "attention-decoder-masked", "A1",
        lambda: microsoft("DecoderMaskedMultiHeadAttention", "q k v - - pk pv",
                          {"q": (2, 1, 32), "k": (2, 1, 32), "v": (2, 1, 32),
                           "pk": (2, 4, 9, 8), "pv": (2, 4, 9, 8)}, {},
                          {"y": (2, 1, 32), "nk": (2, 4, 10, 8), "nv": (2, 4, 10, 8)},
                          num_heads=4),
        {"macs": 2 * 4 * 10 * 16},
    ),
    Probe(
        "attention-paged", "A1", paged,
        {"macs": 4 * 6 * 32 * 16, "macs_least": 4 * 12 * 16, "precision": "fp16"},
        "lengths are inputs: between an even spread without a past and every block",
    ),
    Probe(
        "attention-causal", "A2",
        lambda: attention((2, 4, 6, 8), (2, 4, 6, 8), (2, 4, 6, 8), is_causal=1),
        {"macs": 8 * 36 * 16, "note": f"effective {8 * 21 * 16} MACs"},
        "dense by default; the note says what the mask leaves",
    ),
    Probe(
        "attention-window", "A2",
        lambda: grouped(7, 10, local_window_size=4),
        {"macs": _GROUPED * 10 * 16, "note": f"effective {_GROUPED * 4 * 16} MACs"},
    ),
    Probe(
        "attention-projected", "A3", bert,
        {"macs": "192*B*S + 16*B*S**2", "elementwise": "24*B*S + 12*B*S**2", "params": 216},
        "the projection of Q, K and V is inside the node",
    ),
    Probe(
        "attention-quantized", "A3", qattention,
        {"macs": 6 * 8 * 24 + 2 * 2 * 9 * 8, "params": 216, "precision": "uint8×int8"},
    ),
    Probe(
        "attention-decoder-cross", "A3", lambda: decoder_attention(static=True, past=False),
        {"macs": 6 * 256 + 14 * 512 + 2 * 3 * 7 * 32, "params": 256 + 512 + 48},
        "cross-attention projects the keys",
    ),
    Probe(
        "attention-decoder-self", "A3", lambda: decoder_attention(static=False, past=False),
        {"macs": 6 * 256 + 6 * 512 + 2 * 3 * 3 * 32},
    ),
    Probe(
        "attention-grouped", "A4", lambda: grouped(7, 10),
        {"macs": _GROUPED * 10 * 16, "elementwise": _GROUPED * 10 * 6},
        "MACs use 4 query heads, the cache has 2",
    ),
    Probe(
        "attention-grouped-open", "A4", lambda: grouped("P", "P + 3"),
        {"macs": f"{_GROUPED * 16}*P + {_GROUPED * 48}"}, "the past stays a symbol",
    ),
    Probe("attention-grouped-packed", "A4", packed_prompt, {"macs": _PAIRS * 3 * 16},
          "Q, K and V in one tensor, no past"),
    Probe(
        "attention-grouped-buffer", "A4", lambda: grouped(64, 64),
        {"macs": _GROUPED * 64 * 16, "macs_least": _GROUPED * 3 * 16},
        "past and present share a buffer; how full it is, is an input",
    ),
    Probe(
        "attention-grouped-buffer-known", "A4", lambda: grouped(64, 64, length=10),
        {"macs": _GROUPED * 10 * 16},
    ),
    Probe("attention-block-sparse", "A5", lambda: sparse(64),
          {"macs": 2 * (16 * 32 + 16 * 32) * 16}, "the last 32 queries have two blocks each"),
    Probe(
        "attention-longformer", "A5", longformer,
        {"macs": 2 * 32 * 16 * 48 + 2 * 16 * (32 * 9 - 20 + 2 * 32 * 4),
         "macs_least": 32 * 16 * 48 + 2 * 16 * (32 * 9 - 20)},
        "window of 4 on either side; which tokens are global is an input",
    ),
    Probe("attention-packed", "A5", packed, {"macs": 7 * 8 * 24 + (1 + 4 + 16) * 2 * 8},
          "sequences of 1, 2 and 4 tokens do not see one another"),
    Probe(
        "experts", "A5", moe,
        {"macs": 10 * (32 * 8 + 8 * 16), "elementwise": 10 * (16 * 5 + 32 + 8 + 16) + 20 * 5,
         "params": 4 * (32 * 8 + 32 + 8 * 16 + 8)},
        "2 of 4 experts work on each token; all are parameters",
    ),
    Probe("experts-three-layers", "A5", moe_three, {"macs": "768*T", "params": 4 * 3 * 128}),
    Probe("experts-4-bits", "A5", qmoe,
          {"macs": 10 * (32 * 8 + 8 * 16), "params": 4 * (32 * 8 + 8 * 16),
           "weight_bytes": 4 * (32 * 4 + 8 * 8), "precision": "int4×fp16"}),
    Probe(
        "linear-attention-delta", "A6", lambda: linear("gated_delta", 2, gates=True),
        {"macs": 10 * 12 * 6, "transcendentals": 20},
        "per token and head: retrieve, update, read a state of 4 × 3",
    ),
    Probe("linear-attention-grouped", "A6", lambda: linear("linear", 4, gates=False),
          {"macs": 10 * 12 * 6, "transcendentals": 0}, "2 updates and 4 reads per token"),
    Probe("linear-attention-microsoft", "A6", lambda: linear("gated_delta", 2, gates=True,
                                                             domain=MS),
          {"macs": 10 * 12 * 6}),
    Probe("causal-conv", "A6", lambda: causal_conv(""),
          {"macs": 120 * 4, "elementwise": 120 * 3, "transcendentals": 120, "params": 30}),
    Probe("causal-conv-microsoft", "A6", lambda: causal_conv(MS, ndim=1), {"macs": 120 * 4}),
    Probe(
        "swiglu", "A6",
        lambda: model(node("SwiGLU", "a b"), {"a": (2, 3, 4), "b": (2, 3, 4)}, opset=28),
        {"macs": 0, "elementwise": 72, "transcendentals": 24},
        "a function of elementwise operators",
    ),
    Probe(
        "lstm", "R1", lambda: recurrent("LSTM", 4, names="x w r b", outputs="y h c"),
        {"macs": 10 * 16 * 7, "elementwise": 40 * 13, "transcendentals": 40 * 5,
         "params": 48 + 64 + 32},
        "gate arithmetic is elementwise; exp is no 32 MACs",
    ),
    Probe(
        "lstm-bidirectional", "R1", lambda: recurrent("LSTM", 4, 2, outputs="- y"),
        {"macs": 2 * 10 * 16 * 7, "elementwise": 80 * 9}, "no bias, one output",
    ),
    Probe("lstm-batch-first", "R1", lambda: recurrent("LSTM", 4, layout=1),
          {"macs": 10 * 16 * 7}, "layout 1"),
    Probe(
        "lstm-lengths", "R1", lambda: recurrent("LSTM", 4, names="x w r - l"),
        {"macs": 10 * 16 * 7, "macs_least": 0}, "lengths are an input: at most T",
    ),
    Probe(
        "gru", "R1", lambda: recurrent("GRU", 3, names="x w r b", linear_before_reset=1),
        {"macs": 10 * 12 * 7, "elementwise": 40 * 12, "transcendentals": 40 * 3},
    ),
    Probe("rnn", "R1", lambda: recurrent("RNN", 1, names="x w r b"),
          {"macs": 10 * 4 * 7, "elementwise": 40 * 2, "transcendentals": 40}),
    Probe("lstm-quantized", "R1", quantized_lstm,
          {"macs": 10 * 16 * 7, "params": 112, "weight_bytes": 112, "precision": "uint8×int8"}),
)  # fmt: skip
