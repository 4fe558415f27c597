"""Probes of convolutions, matrix products and Einsum: traps C, M and E."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto

from tests.graph.operators.probing import (
    FLOAT,
    HALF,
    INT8,
    INT32,
    MS,
    UINT8,
    Probe,
    ints,
    model,
    node,
    scalar,
    zeros,
)


def conv(
    x: tuple[int | str, ...], w: tuple[int, ...], op: str = "Conv", bias: int = 0, **more: Any
) -> ModelProto:
    """Return a convolution as exporters write it; ``kernel_shape=None`` leaves that one out."""
    weights = {"w": zeros(*w)} | ({"b": zeros(bias)} if bias else {})
    more = {"kernel_shape": w[2:], **more}
    return model(node(op, "x w b" if bias else "x w", **more), {"x": x}, weights, opset=22)


def quantized_conv(domain: str, x: tuple[int, ...], y: tuple[int, ...], **more: Any) -> ModelProto:
    weights = {
        "w": zeros(16, 3, 3, 3, dtype=np.int8), "b": zeros(16, dtype=np.int32),
        "s": scalar(0.5), "zx": scalar(128, np.uint8), "zw": scalar(0, np.int8),
    }  # fmt: skip
    made = node("QLinearConv", "x s zx w s zw s zx b", domain=domain, pads=[1, 1, 1, 1],
                kernel_shape=[3, 3], **more)  # fmt: skip
    return model(made, {"x": (x, UINT8)}, weights, {"y": (y, UINT8)})


def product(a: tuple[int | str, ...], b: tuple[int | str, ...], op: str = "MatMul") -> ModelProto:
    return model(node(op, "a b"), {"a": a, "b": b})


def gemm(
    a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...] = (), **more: Any
) -> ModelProto:
    weights = {"b": zeros(*b)} | ({"c": zeros(*c)} if c else {})
    return model(node("Gemm", "a b c" if c else "a b", **more), {"a": a}, weights)


def nbits(bits: int, names: str = "a b s", **extra: Any) -> ModelProto:
    """Weights [N=8, K=32] in two blocks of 16 each."""
    weights = {
        "b": zeros(8, 2, 2 * bits, dtype=np.uint8), "s": zeros(16), **extra,
    }  # fmt: skip
    made = node("MatMulNBits", names, domain=MS, N=8, K=32, bits=bits, block_size=16)
    return model(made, {"a": (2, 3, 32)}, weights, {"y": (2, 3, 8)})


def einsum(equation: str, *shapes: tuple[int, ...]) -> ModelProto:
    names = "abcd"[: len(shapes)]
    made = node("Einsum", " ".join(names), equation=equation)
    return model(made, dict(zip(names, shapes, strict=True)))


def mlp() -> ModelProto:
    weights = {
        "n": zeros(32), "g": zeros(8, 2, 8, dtype=np.uint8), "gs": zeros(16),
        "u": zeros(8, 2, 8, dtype=np.uint8), "us": zeros(16),
    }  # fmt: skip
    made = node("MatMulNBitsMlp", "a - n g gs - u us -", domain=MS, activation="silu",
                N=8, K=32, bits=4, block_size=16)  # fmt: skip
    return model(made, {"a": (2, 3, 32)}, weights, {"y": (2, 3, 8)})


def qkv() -> ModelProto:
    def packed(rows: int) -> Any:
        return zeros(rows, 2, 8, dtype=np.uint8)

    weights = {
        "n": zeros(32), "q": packed(16), "k": packed(8), "v": packed(8), "qs": zeros(32),
        "ks": zeros(16), "vs": zeros(16),
    }  # fmt: skip
    made = node("MatMulNBitsQkv", "a - n q qs - k ks - v vs -", "q_out k_out y", MS,
                Nq=16, Nkv=8, K=32, bits=4, block_size=16)  # fmt: skip
    outputs = {"q_out": (2, 3, 16), "k_out": (2, 3, 8), "y": (2, 3, 8)}
    return model(made, {"a": (2, 3, 32)}, weights, outputs)


PROBES = (
    Probe(
        "conv-kernel-from-weights", "C1", lambda: conv((1, 3, 8, 8), (16, 3, 3, 3), bias=16,
                                                       pads=[1, 1, 1, 1], kernel_shape=None),
        {"macs": 16 * 64 * 27, "elementwise": 16 * 64, "transcendentals": 0,
         "params": 16 * 27 + 16, "weight_bytes": 4 * 448, "precision": "fp32"},
        "the attribute kernel_shape is optional",
    ),
    Probe(
        "conv-strided", "C1", lambda: conv((2, 3, 8, 8), (16, 3, 3, 3), pads=[1, 1, 1, 1],
                                           strides=[2, 2], kernel_shape=[3, 3]),
        {"macs": 2 * 16 * 16 * 27, "elementwise": 0, "params": 432},
        "padding counts like data: the field's convention",
    ),
    Probe(
        "conv-grouped", "C1", lambda: conv((1, 8, 8, 8), (16, 2, 3, 3), group=4),
        {"macs": 16 * 36 * 2 * 9, "params": 16 * 18},
        "each filter sees Cin/group channels",
    ),
    Probe(
        "conv-depthwise", "C1", lambda: conv((1, 8, 8, 8), (8, 1, 3, 3), group=8),
        {"macs": 8 * 36 * 9, "params": 72},
    ),
    Probe(
        "conv-dilated", "C1", lambda: conv((1, 3, 8, 8), (4, 3, 3, 3), dilations=[2, 2]),
        {"macs": 4 * 16 * 27},
        "dilation spreads the taps, it adds none",
    ),
    Probe(
        "conv-1d-same", "C1", lambda: conv((1, 4, 10), (8, 4, 3), auto_pad="SAME_UPPER",
                                           strides=[2]),
        {"macs": 8 * 5 * 12},
        "padding is not in the file; one counter takes it four times",
    ),
    Probe(
        "conv-3d", "C1", lambda: conv((1, 2, 4, 5, 6), (3, 2, 2, 2, 2)),
        {"macs": 3 * 3 * 4 * 5 * 16},
    ),
    Probe(
        "conv-open-batch", "C1", lambda: conv(("B", 3, 8, 8), (16, 3, 3, 3), bias=16,
                                              pads=[1, 1, 1, 1]),
        {"macs": "27648*B", "elementwise": "1024*B"},
        "an open batch gives a formula, not zero",
    ),
    Probe(
        "conv-integer", "C1",
        lambda: model(node("ConvInteger", "x w zx", kernel_shape=[3, 3]),
                      {"x": ((1, 3, 8, 8), UINT8)},
                      {"w": zeros(16, 3, 3, 3, dtype=np.int8), "zx": scalar(128, np.uint8)}),
        {"macs": 16 * 36 * 27, "elementwise": 0, "params": 432, "weight_bytes": 432, "other": 1,
         "precision": "uint8×int8"},
        "integer MACs are MACs; a zero point is no parameter",
    ),
    Probe(
        "conv-qlinear", "C1", lambda: quantized_conv("", (1, 3, 8, 8), (1, 16, 8, 8)),
        {"macs": 16 * 64 * 27, "elementwise": 16 * 64 * 3, "params": 448, "other": 3,
         "weight_bytes": 432 + 64, "precision": "uint8×int8"},
        "its weights are input 3, after scale and zero point",
    ),
    Probe(
        "conv-qlinear-channels-last", "C1",
        lambda: quantized_conv(MS, (1, 8, 8, 3), (1, 8, 8, 16), channels_last=1),
        {"macs": 16 * 64 * 27, "precision": "uint8×int8"},
        "channels last in data, first in weights",
    ),
    Probe(
        "conv-fused", "C1",
        lambda: model(node("FusedConv", "x w b z", domain=MS, activation="Relu",
                           pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
                      {"x": (1, 3, 8, 8), "z": (1, 16, 8, 8)},
                      {"w": zeros(16, 3, 3, 3), "b": zeros(16)}, {"y": (1, 16, 8, 8)}),
        {"macs": 16 * 64 * 27, "elementwise": 16 * 64 * 3, "params": 448},
        "bias, sum and activation are elementwise, inside one node",
    ),
    Probe(
        "conv-nhwc", "C1",
        lambda: model(node("NhwcConv", "x w b", domain=MS, pads=[1, 1, 1, 1],
                           kernel_shape=[3, 3]),
                      {"x": ((1, 8, 8, 3), HALF)},
                      {"w": zeros(16, 3, 3, 3, dtype=np.float16),
                       "b": zeros(16, dtype=np.float16)}, {"y": ((1, 8, 8, 16), HALF)}),
        {"macs": 16 * 64 * 27, "elementwise": 16 * 64, "precision": "fp16"},
        "data channels last",
    ),
    Probe(
        "conv-transpose-strided", "C2",
        lambda: conv((1, 4, 5, 5), (4, 6, 3, 3), "ConvTranspose", bias=6, strides=[2, 2]),
        {"macs": 4 * 25 * 6 * 9, "elementwise": 6 * 121, "params": 222},
        "counts at the input's places; taken for a Conv it is four times as much",
    ),
    Probe(
        "conv-transpose-grouped", "C2",
        lambda: conv((1, 4, 5, 5), (4, 3, 3, 3), "ConvTranspose", group=2),
        {"macs": 4 * 25 * 3 * 9, "elementwise": 0},
    ),
    Probe(
        "conv-transpose-1d", "C2",
        lambda: conv((2, 4, 7), (4, 6, 4), "ConvTranspose", strides=[2], pads=[1, 1],
                     output_padding=[1]),
        {"macs": 2 * 4 * 7 * 24},
    ),
    Probe(
        "conv-transpose-dynamic-pads", "C2",
        lambda: model(node("ConvTransposeWithDynamicPads", "x w p", domain=MS, strides=[2, 2]),
                      {"x": (1, 4, 5, 5)}, {"w": zeros(4, 6, 3, 3), "p": ints(0, 0, 0, 0)},
                      {"y": (1, 6, 11, 11)}),
        {"macs": 4 * 25 * 54, "params": 216},
    ),
    Probe(
        "conv-deformable", "C3",
        lambda: model(node("DeformConv", "x w o", kernel_shape=[3, 3]),
                      {"x": (1, 4, 6, 6), "o": (1, 18, 4, 4)},
                      {"w": zeros(8, 4, 3, 3)}, opset=19),
        {"macs": 8 * 16 * 36, "elementwise": 4 * 9 * 16 * 8},
        "8 FLOPs for each value that is interpolated",
    ),
    Probe(
        "conv-deformable-masked", "C3",
        lambda: model(node("DeformConv", "x w o b m", group=2, offset_group=1, kernel_shape=[3, 3]),
                      {"x": (1, 4, 6, 6), "o": (1, 18, 4, 4), "m": (1, 9, 4, 4)},
                      {"w": zeros(8, 2, 3, 3), "b": zeros(8)}, opset=19),
        {"macs": 8 * 16 * 18, "elementwise": 4 * 9 * 16 * 9 + 8 * 16},
    ),
    Probe("matmul", "M1", lambda: product((2, 3, 4), (4, 5)), {"macs": 2 * 3 * 4 * 5}),
    Probe(
        "matmul-broadcast", "M1", lambda: product((8, 1, 3, 4), (4, 4, 5)),
        {"macs": 32 * 3 * 4 * 5}, "the batch is 8 × 4, which neither operand has",
    ),
    Probe("matmul-batch-right", "M1", lambda: product((3, 4), (6, 4, 5)), {"macs": 6 * 60}),
    Probe("matmul-vector-left", "M1", lambda: product((4,), (6, 4, 5)), {"macs": 6 * 20}),
    Probe("matmul-vector-right", "M1", lambda: product((2, 3, 4), (4,)), {"macs": 2 * 3 * 4}),
    Probe("matmul-dot", "M1", lambda: product((4,), (4,)), {"macs": 4}),
    Probe(
        "matmul-open", "M1", lambda: product(("B", "S", 4), (4, 5)), {"macs": "20*B*S"},
    ),
    Probe(
        "matmul-fused-transposed", "M1",
        lambda: model(node("FusedMatMul", "a b", domain=MS, transA=1, transB=1, alpha=0.5),
                      {"a": (2, 4, 3), "b": (2, 5, 4)}, outputs={"y": (2, 3, 5)}),
        {"macs": 2 * 3 * 4 * 5, "elementwise": 30},
    ),
    Probe(
        "matmul-fused-batch-inside", "M1",
        lambda: model(node("FusedMatMul", "a b", domain=MS, transBatchA=1),
                      {"a": (3, 6, 4), "b": (6, 4, 5)}, outputs={"y": (6, 3, 5)}),
        {"macs": 6 * 3 * 4 * 5, "elementwise": 0},
        "the rows stand before the batch",
    ),
    Probe("gemm", "M2", lambda: gemm((3, 4), (4, 5), (5,)),
          {"macs": 60, "elementwise": 15, "params": 25}),
    Probe("gemm-trans-a", "M2", lambda: gemm((4, 3), (4, 5), transA=1),
          {"macs": 60, "elementwise": 0}),
    Probe(
        "gemm-trans-b-scaled", "M2",
        lambda: gemm((3, 4), (5, 4), (5,), transB=1, alpha=0.5, beta=2.0),
        {"macs": 60, "elementwise": 15 + 15 + 5}, "alpha, beta and C are elementwise",
    ),
    Probe(
        "gemm-fused", "M2",
        lambda: model(node("FusedGemm", "a b c", domain=MS, activation="Tanh"), {"a": (3, 4)},
                      {"b": zeros(4, 5), "c": zeros(5)}, {"y": (3, 5)}),
        {"macs": 60, "elementwise": 30, "transcendentals": 15},
    ),
    Probe(
        "gemm-fast-gelu", "M2",
        lambda: model(node("GemmFastGelu", "a b c", domain=MS), {"a": (2, 3, 4)},
                      {"b": zeros(4, 5), "c": zeros(5)}, {"y": (2, 3, 5)}),
        {"macs": 120, "elementwise": 30 * 9, "transcendentals": 30},
    ),
    Probe(
        "matmul-integer", "M3",
        lambda: model(node("MatMulInteger", "a b"), {"a": ((2, 3, 4), UINT8)},
                      {"b": zeros(4, 5, dtype=np.int8)}),
        {"macs": 120, "elementwise": 0, "params": 20, "weight_bytes": 20,
         "precision": "uint8×int8"},
    ),
    Probe(
        "matmul-qlinear", "M3",
        lambda: model(node("QLinearMatMul", "a s z b s z s z"),
                      {"a": ((2, 3, 4), INT8), "b": ((2, 4, 5), INT8)},
                      {"s": scalar(0.5), "z": scalar(0, np.int8)}),
        {"macs": 120, "elementwise": 60, "params": 0, "other": 2, "precision": "int8"},
    ),
    Probe(
        "gemm-quantized", "M3",
        lambda: model(node("QGemm", "a s z b s z c", domain=MS, transB=1), {"a": ((3, 4), INT8)},
                      {"s": scalar(0.5), "z": scalar(0, np.int8),
                       "b": zeros(5, 4, dtype=np.int8), "c": zeros(5, dtype=np.int32)},
                      {"y": ((3, 5), FLOAT)}),
        {"macs": 60, "elementwise": 30, "params": 25, "precision": "int8"},
    ),
    Probe(
        "matmul-integer-to-float", "M3",
        lambda: model(node("MatMulIntegerToFloat", "a b s s - - c", domain=MS),
                      {"a": ((2, 3, 4), UINT8)},
                      {"b": zeros(4, 5, dtype=np.int8), "s": scalar(0.5), "c": zeros(5)},
                      {"y": (2, 3, 5)}),
        {"macs": 120, "elementwise": 60, "params": 25, "precision": "uint8×int8"},
    ),
    Probe(
        "matmul-dynamic-quantized", "M3",
        lambda: model(node("DynamicQuantizeMatMul", "a b s", domain=MS), {"a": (2, 3, 4)},
                      {"b": zeros(4, 5, dtype=np.int8), "s": scalar(0.5)}, {"y": (2, 3, 5)}),
        {"macs": 120, "elementwise": 24 * 4 + 30, "precision": "uint8×int8"},
        "multiplied as integers, though data is float",
    ),
    Probe(
        "matmul-integer16", "M3",
        lambda: model(node("MatMulInteger16", "a b", domain=MS),
                      {"a": ((3, 4), 5), "b": ((4, 5), 5)}, outputs={"y": ((3, 5), INT32)}),
        {"macs": 60, "precision": "int16"},
    ),
    Probe(
        "matmul-4-bits", "M4", lambda: nbits(4),
        {"macs": 6 * 8 * 32, "elementwise": 0, "params": 256, "weight_bytes": 128, "other": 16,
         "precision": "int4×fp32"},
        "N and K are attributes; the weights are packed, scales are no parameters",
    ),
    Probe(
        "matmul-8-bits-biased", "M4",
        lambda: nbits(8, "a b s z - c", z=zeros(8, 2, dtype=np.uint8), c=zeros(8)),
        {"macs": 6 * 8 * 32, "elementwise": 48, "params": 264, "precision": "int8×fp32"},
    ),
    Probe(
        "matmul-bnb4", "M4",
        lambda: model(node("MatMulBnb4", "a b s", domain=MS, N=8, K=32, block_size=16,
                           quant_type=1),
                      {"a": (2, 3, 32)},
                      {"b": zeros(128, dtype=np.uint8), "s": zeros(16)}, {"y": (2, 3, 8)}),
        {"macs": 6 * 8 * 32, "params": 256, "precision": "nf4×fp32"},
    ),
    Probe("matmul-mlp-4-bits", "M4", mlp,
          {"macs": 2 * 6 * 8 * 32, "params": 2 * 256 + 32, "elementwise": 48 * 3 + 6 * 32 * 5,
           "precision": "int4×fp32"}),
    Probe("matmul-qkv-4-bits", "M4", qkv,
          {"macs": 6 * 32 * 32, "params": 32 * 32 + 32, "elementwise": 6 * 32 * 5,
           "precision": "int4×fp32"}),
    Probe("einsum-batched", "E1", lambda: einsum("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
          {"macs": 120}, "the output's elements alone would be 30"),
    Probe(
        "einsum-attention", "E1",
        lambda: einsum("bqhd,bkhd->bhqk", (2, 3, 4, 5), (2, 6, 4, 5)),
        {"macs": 2 * 3 * 4 * 5 * 6},
    ),
    Probe("einsum-ellipsis", "E1", lambda: einsum("...ij,...jk->...ik", (7, 1, 3, 4), (1, 2, 4, 5)),
          {"macs": 14 * 60}, "the ellipses broadcast"),
    Probe("einsum-implicit", "E1", lambda: einsum("ij,jk", (3, 4), (4, 5)), {"macs": 60},
          "without an arrow the output has the labels seen once"),
    Probe("einsum-transpose", "E1", lambda: einsum("ij->ji", (3, 4)),
          {"macs": 0, "elementwise": 0}, "a copy"),
    Probe("einsum-trace", "E1", lambda: einsum("ii->", (4, 4)), {"macs": 0, "elementwise": 4}),
    Probe("einsum-sum", "E1", lambda: einsum("ij->i", (3, 4)), {"macs": 0, "elementwise": 12}),
    Probe(
        "einsum-three", "E2", lambda: einsum("ij,jk,kl->il", (2, 30), (30, 4), (4, 50)),
        {"macs": 2 * 30 * 4 + 2 * 4 * 50}, "one contraction after the other, from the left",
    ),
)  # fmt: skip
