"""Probes of control flow, functions and parameters: traps F and W."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import FunctionProto, ModelProto, TensorProto, helper

from tests.graph.operators.probing import (
    BOOL,
    INT64,
    Probe,
    graph,
    ints,
    model,
    node,
    scalar,
    zeros,
)

Y = {"y": (2, 8)}
OWN = "test.functions"


def loop(trips: int | None, *, going: bool = True) -> ModelProto:
    """Multiply (2, 8) by (8, 8) in every run."""
    body = graph(
        [node("Identity", "go", "again"), node("MatMul", "s w", "t")],
        {"i": ((), INT64), "go": ((), BOOL), "s": (2, 8)},
        {"again": ((), BOOL), "t": (2, 8)},
    )
    weights: dict[str, Any] = {"w": zeros(8, 8), "c": np.array(going)}
    inputs: dict[str, Any] = {"x": (2, 8)}
    if trips is None:
        inputs["m"] = ((), INT64)
    else:
        weights["m"] = scalar(trips, np.int64)
    return model(node("Loop", "m c x", body=body), inputs, weights, Y)


def nested_loops() -> ModelProto:
    inner = graph(
        [node("Identity", "go2", "again2"), node("MatMul", "s2 w", "t2")],
        {"j": ((), INT64), "go2": ((), BOOL), "s2": (2, 8)},
        {"again2": ((), BOOL), "t2": (2, 8)},
    )
    body = graph(
        [node("Identity", "go", "again"), node("Loop", "four c s", "t", body=inner)],
        {"i": ((), INT64), "go": ((), BOOL), "s": (2, 8)},
        {"again": ((), BOOL), "t": (2, 8)},
    )
    weights = {
        "w": zeros(8, 8), "c": np.array(True), "m": scalar(3, np.int64),
        "four": scalar(4, np.int64),
    }  # fmt: skip
    return model(node("Loop", "m c x", body=body), {"x": (2, 8)}, weights, Y)


def stopping_loop() -> ModelProto:
    body = graph(
        [node("ReduceSum", "s", "sum", keepdims=0), node("Less", "sum limit", "again"),
         node("MatMul", "s w", "t")],
        {"i": ((), INT64), "go": ((), BOOL), "s": (2, 8)},
        {"again": ((), BOOL), "t": (2, 8)},
        {"limit": scalar(3.0)},
    )  # fmt: skip
    weights = {"w": zeros(8, 8), "m": scalar(5, np.int64), "c": np.array(True)}
    return model(node("Loop", "m c x", body=body), {"x": (2, 8)}, weights, Y)


def scan() -> ModelProto:
    body = graph(
        [node("MatMul", "h w", "t"), node("Add", "t e", "u"), node("Identity", "u", "o")],
        {"h": (1, 8), "e": (1, 8)},
        {"u": (1, 8), "o": (1, 8)},
    )
    made = node("Scan", "h0 xs", "hn y", body=body, num_scan_inputs=1)
    inputs = {"h0": (1, 8), "xs": (6, 1, 8)}
    return model(made, inputs, {"w": zeros(8, 8)}, {"hn": (1, 8), "y": (6, 1, 8)})


def sequence_map() -> ModelProto:
    body = graph(node("MatMul", "e w", "o"), {"e": (2, 8)}, {"o": (2, 8)})
    nodes = [node("SequenceConstruct", "a b c", "s"), node("SequenceMap", "s", "m", body=body),
             node("ConcatFromSequence", "m", axis=0)]  # fmt: skip
    return model(nodes, dict.fromkeys("abc", (2, 8)), {"w": zeros(8, 8)}, {"y": (6, 8)}, opset=18)


def branches(condition: bool | None) -> ModelProto:
    """The then branch costs 128 MACs, the else branch 256; None: which is taken is an input."""
    then = graph(node("MatMul", "x w", "t"), {}, {"t": (2, 8)})
    other = graph([node("MatMul", "x w", "u"), node("MatMul", "u w", "e")], {}, {"e": (2, 8)})
    made = node("If", "c", then_branch=then, else_branch=other)
    weights: dict[str, Any] = {"w": zeros(8, 8)}
    inputs: dict[str, Any] = {"x": (2, 8)}
    if condition is None:
        inputs["c"] = ((), BOOL)
    else:
        weights["c"] = np.array(condition)
    return model(made, inputs, weights, Y)


def function(nodes: Any, name: str = "dense") -> FunctionProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(OWN, 1)]
    return helper.make_function(OWN, name, ["x", "w"], ["y"], nodes, opsets)


def functions() -> ModelProto:
    """Called at two shapes, with the same weights."""
    dense = function([node("MatMul", "x w", "h"), node("Relu", "h")])
    nodes = [node("dense", "x w", "h", OWN), node("dense", "z w", "g", OWN),
             node("Concat", "h g", axis=0)]  # fmt: skip
    inputs = {"x": (2, 8), "z": (5, 8)}
    return model(nodes, inputs, {"w": zeros(8, 8)}, {"y": (7, 8)}, functions=[dense])


def nested_functions() -> ModelProto:
    dense = function([node("MatMul", "x w", "h"), node("Relu", "h")])
    twice = function([node("dense", "x w", "h", OWN), node("dense", "h w", "y", OWN)], "twice")
    return model(node("twice", "x w", domain=OWN), {"x": (2, 8)}, {"w": zeros(8, 8)}, Y,
                 functions=[dense, twice])  # fmt: skip


def custom(*, typed: bool) -> ModelProto:
    nodes = [node("MatMul", "x w", "h"), node("Secret", "h", "s", "nobody.knows"),
             node("MatMul", "s w")]  # fmt: skip
    made = model(nodes, {"x": (2, 8)}, {"w": zeros(8, 8)}, Y)
    if typed:
        made.graph.value_info.append(helper.make_tensor_value_info("s", 1, [2, 8]))
    return made


def tied() -> ModelProto:
    """An embedding whose table is also the head."""
    nodes = [node("Gather", "t i", "e"), node("Transpose", "t", "u", perm=[1, 0]),
             node("MatMul", "e u")]  # fmt: skip
    return model(nodes, {"i": ((2, 3), INT64)}, {"t": zeros(50, 8)})


def constant_node(**attribute: Any) -> ModelProto:
    return model([node("Constant", "", "w", **attribute), node("MatMul", "x w")], {"x": (2, 8)})


def sparse(rows: int = 8, columns: int = 4, stored: int = 5) -> onnx.SparseTensorProto:
    values = onnx.numpy_helper.from_array(np.ones(stored, np.float32), "w")
    indices = onnx.numpy_helper.from_array(np.arange(stored), "w_indices")
    return helper.make_sparse_tensor(values, indices, [rows, columns])


def with_sparse_initializer() -> ModelProto:
    return model(node("MatMul", "x w"), {"x": (2, 8)}, None, {"y": (2, 4)}, sparse=[sparse()])


def generated() -> ModelProto:
    """The weights of a light network: a filled tensor, reshaped."""
    nodes = [
        node("ConstantOfShape", "n", "flat",
             value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0.1])),
        node("Reshape", "flat s", "w"), node("Conv", "x w", kernel_shape=[3, 3]),
    ]  # fmt: skip
    return model(nodes, {"x": (1, 2, 5, 5)}, {"n": ints(72), "s": ints(4, 2, 3, 3)},
                 {"y": (1, 4, 3, 3)})  # fmt: skip


def joined() -> ModelProto:
    """The weights of an LSTM as exporters write them: joined from pieces."""
    nodes = [node("Concat", "a b", "w", axis=1), node("LSTM", "x w r", "y", hidden_size=4)]
    weights = {"a": zeros(1, 8, 3), "b": zeros(1, 8, 3), "r": zeros(1, 16, 4)}
    return model(nodes, {"x": (5, 2, 3)}, weights)


def dead() -> ModelProto:
    return model(node("MatMul", "x w"), {"x": (2, 8)}, {"w": zeros(8, 4), "never": zeros(10, 10)})


def listed_as_input() -> ModelProto:
    made = model(node("MatMul", "x w"), {"x": (2, 8)}, {"w": zeros(8, 4)})
    made.ir_version = 3
    made.opset_import[0].version = 8
    made.graph.input.append(helper.make_tensor_value_info("w", 1, [8, 4]))
    return made


def eight_bit_float() -> ModelProto:
    weight = TensorProto(data_type=TensorProto.FLOAT8E4M3FN, dims=[8, 4], raw_data=bytes(32))
    nodes = [node("DequantizeLinear", "w s", "d"), node("MatMul", "x d")]
    return model(nodes, {"x": (2, 8)}, {"w": weight, "s": scalar(0.5)}, {"y": (2, 4)}, opset=21)


def odd_four_bits() -> ModelProto:
    """15 elements of 4 bits take 8 bytes."""
    weight = TensorProto(data_type=TensorProto.UINT4, dims=[3, 5], raw_data=bytes(8))
    nodes = [node("DequantizeLinear", "w s", "d"), node("MatMul", "x d")]
    return model(nodes, {"x": (2, 3)}, {"w": weight, "s": scalar(0.5)}, {"y": (2, 5)}, opset=21)


PROBES = (
    Probe("loop-constant", "F1", lambda: loop(3), {"macs": 3 * 128, "params": 64},
          "the body counts as often as it runs"),
    Probe("loop-open", "F1", lambda: loop(None), {"macs": "128*n_Loop_0", "params": 64},
          "never once, never zero times: a symbol"),
    Probe("loop-stopping", "F1", stopping_loop, {"macs": 5 * 128, "macs_least": 0},
          "five runs at most"),
    Probe("loop-inside-loop", "F1", nested_loops, {"macs": 3 * 4 * 128}),
    Probe("scan", "F1", scan, {"macs": 6 * 64, "elementwise": 6 * 8, "params": 64}),
    Probe("sequence-map", "F1", sequence_map, {"macs": 3 * 128, "params": 64}),
    Probe("if-open", "F2", lambda: branches(condition=None),
          {"macs": 256, "macs_least": 128, "params": 64}, "the costlier branch"),
    Probe("if-true", "F2", lambda: branches(condition=True), {"macs": 128, "params": 64}),
    Probe("if-false", "F2", lambda: branches(condition=False), {"macs": 256}),
    Probe("function", "F3", functions, {"macs": 128 + 320, "elementwise": 16 + 40, "params": 64},
          "a body at two shapes, its weights once"),
    Probe("function-nested", "F3", nested_functions,
          {"macs": 256, "elementwise": 32, "params": 64}),
    Probe("function-standard", "F3",
          lambda: model(node("MeanVarianceNormalization", "x", axes=[0, 2, 3]),
                        {"x": (2, 4, 6, 6)}),
          {"macs": 0}),
    Probe("unknown-operator", "F4", lambda: custom(typed=False),
          {"macs": 128, "unknown": ("Secret", "MatMul"), "params": 64},
          "nobody can infer what comes out of it"),
    Probe("unknown-operator-typed", "F4", lambda: custom(typed=True),
          {"macs": 256, "unknown": ("Secret",), "params": 64},
          "the file says what comes out of it, so what follows can be counted"),
    Probe("tied", "W1", tied, {"macs": 6 * 8 * 50, "params": 400, "tied": 1},
          "the table is stored once"),
    Probe("shared-by-branches", "W1", lambda: branches(condition=None),
          {"macs": 256, "macs_least": 128, "params": 64}),
    Probe("settings", "W2",
          lambda: model(node("Slice", "x s e a"), {"x": (4, 8)},
                        {"s": ints(0), "e": ints(2), "a": ints(1)}),
          {"macs": 0, "params": 0, "other": 3}, "starts, ends and axes are no parameters"),
    Probe("constant-node", "W3",
          lambda: constant_node(value=onnx.numpy_helper.from_array(zeros(8, 4))),
          {"macs": 64, "params": 32, "weight_bytes": 128}),
    Probe("constant-floats", "W3", lambda: constant_node(value_floats=[0.0] * 8),
          {"macs": 16, "params": 8}),
    Probe("constant-sparse", "W3", lambda: constant_node(sparse_value=sparse()),
          {"macs": 64, "params": 32, "sparse_stored": 5}),
    Probe("sparse-initializer", "W4", with_sparse_initializer,
          {"macs": 64, "params": 32, "sparse_stored": 5, "weight_bytes": 5 * (4 + 8)},
          "logical size and stored elements"),
    Probe("four-bits-odd", "W5", odd_four_bits, {"macs": 30, "params": 15, "weight_bytes": 8}),
    Probe("eight-bit-float", "W5", eight_bit_float,
          {"macs": 64, "params": 32, "weight_bytes": 32}),
    Probe("generated-weight", "W6", generated, {"macs": 9 * 72, "params": 72},
          "ConstantOfShape and Reshape make a weight"),
    Probe("joined-weights", "W6", joined, {"macs": 10 * 16 * 7, "params": 48 + 64}),
    Probe("dead-initializer", "W7", dead, {"macs": 64, "params": 32, "dead": 100}),
    Probe("initializer-as-input", "W7", listed_as_input, {"macs": 64, "params": 32, "dead": 0}),
)  # fmt: skip
