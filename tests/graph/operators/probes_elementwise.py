"""Probes of what is no MAC: traps N, P, S, Q, G and V."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto

from tests.graph.operators.probing import (
    INT8,
    INT64,
    MS,
    UINT8,
    Probe,
    ints,
    low,
    model,
    node,
    scalar,
    zeros,
)

X = {"x": (2, 4, 6, 6)}
_ELEMENTS = 2 * 4 * 36


def unary(op: str, opset: int = 20, **more: Any) -> ModelProto:
    return model(node(op, "x", **more), X, opset=opset)


def normalization(op: str, count: int, opset: int, **more: Any) -> ModelProto:
    """Count: scale and perhaps bias, of the four channels."""
    names = ["x", "g", "b"][: count + 1]
    weights = {name: zeros(4) for name in names[1:]}
    return model(node(op, " ".join(names), **more), X, weights, {"y": X["x"]}, opset=opset)


def layer_norm(op: str, inputs: str, domain: str = "", opset: int = 23) -> ModelProto:
    shape = (2, 3, 8)
    return model(
        node(op, inputs, domain=domain),
        dict.fromkeys([name for name in ("x", "s") if name in inputs.split()], shape),
        dict.fromkeys([name for name in ("g", "b") if name in inputs.split()], zeros(8)),
        {"y": shape} if domain else None,
        opset=opset,
    )


def resize(mode: str) -> ModelProto:
    weights = {"s": np.array([1, 1, 2, 2], np.float32)}
    return model(node("Resize", "x - s", mode=mode), X, weights)


def quantized_product() -> ModelProto:
    """Both sides dequantized; the weights are constants."""
    nodes = [
        node("QuantizeLinear", "x s z", "xq"), node("DequantizeLinear", "xq s z", "xd"),
        node("DequantizeLinear", "w s z", "wd"), node("MatMul", "xd wd"),
    ]  # fmt: skip
    weights = {"s": scalar(0.5), "z": scalar(0, np.int8), "w": zeros(4, 5, dtype=np.int8)}
    return model(nodes, {"x": (3, 4)}, weights)


def four_bit_weight() -> ModelProto:
    nodes = [node("DequantizeLinear", "w s", "wd", axis=1), node("MatMul", "x wd")]
    return model(nodes, {"x": (3, 8)}, {"w": low(TensorProto.INT4, 8, 5), "s": zeros(5)}, opset=21)


PROBES = (
    Probe(
        "batch-norm", "N1",
        lambda: model(node("BatchNormalization", "x g b m v"), X,
                      {name: zeros(4) for name in "gbmv"}),
        {"macs": 0, "elementwise": 2 * _ELEMENTS, "params": 8, "buffers": 8},
        "scale and shift; mean and variance are buffers",
    ),
    Probe("layer-norm", "N2", lambda: layer_norm("LayerNormalization", "x g b"),
          {"macs": 0, "elementwise": 8 * 48, "params": 16}),
    Probe("rms-norm", "N2", lambda: layer_norm("RMSNormalization", "x g"),
          {"macs": 0, "elementwise": 5 * 48, "params": 8}),
    Probe("group-norm", "N2", lambda: normalization("GroupNormalization", 2, 21, num_groups=2),
          {"macs": 0, "elementwise": 8 * _ELEMENTS, "params": 8}),
    Probe("instance-norm", "N2", lambda: normalization("InstanceNormalization", 2, 22),
          {"macs": 0, "elementwise": 8 * _ELEMENTS, "params": 8}),
    Probe("skip-layer-norm", "N2",
          lambda: layer_norm("SkipLayerNormalization", "x s g b", MS),
          {"macs": 0, "elementwise": 9 * 48, "params": 16}, "one more for the sum"),
    Probe("softmax", "N3", lambda: unary("Softmax", axis=-1),
          {"macs": 0, "elementwise": 5 * _ELEMENTS, "transcendentals": _ELEMENTS}),
    Probe("gelu", "N3", lambda: unary("Gelu"),
          {"macs": 0, "elementwise": 8 * _ELEMENTS, "transcendentals": _ELEMENTS}),
    Probe("erf", "N3", lambda: unary("Erf"),
          {"macs": 0, "elementwise": _ELEMENTS, "transcendentals": _ELEMENTS}),
    Probe("relu", "N3", lambda: unary("Relu"),
          {"macs": 0, "elementwise": _ELEMENTS, "transcendentals": 0}),
    Probe("max-pool", "P1", lambda: unary("MaxPool", kernel_shape=[3, 3], strides=[3, 3]),
          {"macs": 0, "elementwise": 2 * 4 * 4 * 9}, "the kernel counts, not only the output"),
    Probe("global-average-pool", "P1", lambda: unary("GlobalAveragePool"),
          {"macs": 0, "elementwise": _ELEMENTS}),
    Probe("reduce-sum", "P1",
          lambda: model(node("ReduceSum", "x a", keepdims=0), X, {"a": ints(1, 2)}, opset=18),
          {"macs": 0, "elementwise": _ELEMENTS, "params": 0, "other": 2}),
    Probe("resize-nearest", "S1", lambda: resize("nearest"), {"macs": 0, "elementwise": 0}),
    Probe("resize-linear", "S1", lambda: resize("linear"),
          {"macs": 0, "elementwise": 4 * _ELEMENTS * 2 * 4}, "four taps for each output"),
    Probe("fourier", "S2",
          lambda: model(node("DFT", "x - a"), {"x": (3, 16, 1)}, {"a": scalar(1, np.int64)},
                        opset=20),
          {"macs": 0, "elementwise": 3 * 5 * 16 * 4}, "5 N log2 N for each of three"),
    Probe("quantize", "Q1",
          lambda: model(node("QuantizeLinear", "x s z"), X,
                        {"s": scalar(0.5), "z": scalar(0, np.int8)}),
          {"macs": 0, "elementwise": 2 * _ELEMENTS, "params": 0, "other": 2}),
    Probe("quantized-product", "Q1", quantized_product,
          {"macs": 60, "elementwise": 48, "params": 20, "weight_bytes": 20,
           "precision": "fp32 (qdq int8)"},
          "dequantizing a constant is preparation, not work"),
    Probe("four-bit-weight", "Q1", four_bit_weight,
          {"macs": 120, "elementwise": 0, "params": 40, "weight_bytes": 20}),
    Probe("quantized-sum", "Q1",
          lambda: model(node("QLinearAdd", "a s z b s z s z", domain=MS),
                        {"a": ((2, 3), INT8), "b": ((2, 3), INT8)},
                        {"s": scalar(0.5), "z": scalar(0, np.int8)}, {"y": ((2, 3), INT8)}),
          {"macs": 0, "params": 0}),
    Probe("embedding", "G1",
          lambda: model(node("Gather", "t i"), {"i": ((2, 3), INT64)}, {"t": zeros(100, 8)}),
          {"macs": 0, "elementwise": 0, "params": 800, "bytes_read": 6 * 8 * 4 + 6 * 8,
           "bytes_written": 6 * 8 * 4},
          "reads the rows that it takes, not the table"),
    Probe("view", "V1",
          lambda: model(node("Reshape", "x s"), X, {"s": ints(2, -1)}),
          {"macs": 0, "elementwise": 0, "bytes_read": 0, "bytes_written": 0, "params": 0},
          "a new shape for the same bytes"),
    Probe("copy", "V1", lambda: unary("Transpose", perm=[0, 2, 3, 1]),
          {"macs": 0, "elementwise": 0, "bytes_read": 4 * _ELEMENTS,
           "bytes_written": 4 * _ELEMENTS}),
    Probe("cast", "V1", lambda: model(node("Cast", "x", to=1), {"x": ((2, 3), UINT8)}),
          {"macs": 0, "bytes_read": 6, "bytes_written": 24}),
)  # fmt: skip
