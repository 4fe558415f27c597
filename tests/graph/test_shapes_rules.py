"""Shape arithmetic: values that are folded, and shapes with open dims against hand-made truth."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

from onnxbench.graph.formulas import evaluate
from tests.graph.shaping import infer_model, infer_text, shape


def values(graph: Any, name: str) -> list[Any]:
    tensor = graph.value(name)
    array = tensor.formulas if tensor.value is None else tensor.value
    return [str(each) if not isinstance(each, int | float) else each for each in array.tolist()]


# ------------------------------------------------------------------------------------------ values


def test_the_way_exporters_write_a_view_is_folded() -> None:
    graph = infer_text("""
    net (float[B, S, 12] x) => (float[] y)
        <int64 zero = {0}, int64[1] first = {0}, int64[2] rest = {3, 4}> {
      size = Shape(x)
      batch = Gather(size, zero)
      listed = Unsqueeze(batch, first)
      middle = Shape <start = 1, end = 2> (x)
      target = Concat <axis = 0> (listed, middle, rest)
      r = Reshape(x, target)
      y = Transpose <perm = [0, 2, 1, 3]> (r)
    }
    """)
    assert values(graph, "target") == ["B", "S", 3, 4]
    assert shape(graph, "y") == ["B", 3, "S", 4]


def test_arithmetic_of_sizes_is_exact() -> None:
    graph = infer_text("""
    net (float[B, 3, H, W] x) => (float[] y)
        <int64[1] two = {2}, float[1] f = {2.0}, float[1] half = {0.5}> {
      h = Shape <start = 2, end = 3> (x)
      w = Shape <start = 3> (x)
      doubled = Mul(h, two)
      whole = Div(doubled, two)
      odd = Div(w, two)
      area = Mul(h, w)
      real = Cast <to = 1> (h)
      scaled = Mul(real, half)
      floored = Floor(scaled)
      back = Cast <to = 7> (floored)
      both = Concat <axis = 0> (area, back)
      y = ConstantOfShape(both)
    }
    """)
    assert values(graph, "whole") == ["H"]
    assert values(graph, "odd") == ["floor(W/2)"]
    assert shape(graph, "y") == ["H*W", "floor(H/2)"]


def test_a_real_factor_is_the_fraction_that_was_meant() -> None:
    """10 · 0.7 is 7 in 32 bits, although the real next to 0.7 is smaller than 0.7."""
    graph = infer_text("""
    net (float[H] x) => (float[] y) <float[1] f = {0.7}> {
      h = Shape(x)
      real = Cast <to = 1> (h)
      scaled = Mul(real, f)
      floored = Floor(scaled)
      size = Cast <to = 7> (floored)
      y = ConstantOfShape(size)
    }
    """)
    (dim,) = graph.outputs[0].dims
    for size in range(200):
        assert evaluate(dim, {"H": size}) == int(np.floor(np.float32(size) * np.float32(0.7)))


def test_a_choice_between_sizes_is_made_where_all_sizes_agree() -> None:
    """torch exports ``expand(-1, n)`` as a choice by Equal(shape, -1)."""
    graph = infer_text("""
    net (float[B, 1] x) => (float[] y)
        <int64[1] n = {7}, int64[1] minus = {-1}> {
      size = Shape <start = 0, end = 1> (x)
      wanted = Concat <axis = 0> (size, n)
      ones = Shape(x)
      unset = Equal(wanted, minus)
      target = Where(unset, ones, wanted)
      y = Expand(x, target)
    }
    """)
    assert values(graph, "target") == ["B", 7]
    assert shape(graph, "y") == ["B", 7]


def test_nothing_big_is_ever_made() -> None:
    graph = infer_text("""
    net (float[2] x) => (float[] y, float[] z)
        <int64[2] size = {40000, 50000}, int64 a = {0}, int64 b = {2000000000}, int64 s = {1}> {
      y = ConstantOfShape(size)
      r = Range(a, b, s)
      e = Expand(s, size)
      z = Cast <to = 1> (r)
    }
    """)
    assert graph.values["y"].value is graph.values["r"].value is graph.values["e"].value is None
    assert shape(graph, "y") == shape(graph, "e") == [40000, 50000]
    assert shape(graph, "r") == shape(graph, "z") == [2_000_000_000]


def test_a_value_that_doubles_with_each_node_stays_bounded() -> None:
    """ONNX's propagation of data fills all memory on such a file of two kilobytes."""
    doubled = " ".join(f"c{i + 1} = Concat <axis = 0> (c{i}, c{i})" for i in range(40))
    graph = infer_text(f"""
    net (float[2] x) => (float[] y) <int64[2] c0 = {{1, 2}}> {{
      {doubled}
      y = Cast <to = 1> (c40)
    }}
    """)
    assert shape(graph, "y") == [2**41]
    assert graph.values["c9"].value is not None
    assert graph.values["c10"].value is None


def test_damaged_arithmetic_is_left_alone() -> None:
    graph = infer_text("""
    net (float[2] x) => (int64[] y)
        <int64[2] a = {1, 2}, int64[1] zero = {0}, int64 far = {9}, int64[3] c = {1, 2, 3}> {
      divided = Div(a, zero)
      gathered = Gather(a, far)
      added = Add(a, c)
      y = Concat <axis = 3> (a, c)
    }
    """)
    for name in ("divided", "gathered", "added", "y"):
        assert graph.values[name].value is None


# ------------------------------------------------------------------------------------------ shapes


def test_names_that_broadcast_are_the_greater() -> None:
    """Whichever of two names is 1 at run time, the other one counts."""
    graph = infer_text("net (float[B, S] x, float[T, 1] y) => (float[] z) { z = Add(x, y) }")
    first, second = graph.outputs[0].dims
    for b, t in ((1, 5), (5, 1), (5, 5)):
        assert evaluate(first, {"B": b, "T": t}) == max(b, t)
    assert str(second) == "S"


@pytest.mark.parametrize(
    ("one", "other", "product"),
    [
        (["B", 3, 4], [4, 5], ["B", 3, 5]),
        (["B", 1, 3, 4], [8, 4, "K"], ["B", 8, 3, "K"]),
        ([4], ["B", 4, 5], ["B", 5]),
        (["B", 3, 4], [4], ["B", 3]),
        (["K"], ["K"], []),
    ],
)
def test_products_broadcast_their_batches(
    one: list[Any], other: list[Any], product: list[Any]
) -> None:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])], "net",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, one),
         helper.make_tensor_value_info("b", TensorProto.FLOAT, other)],
        [helper.make_empty_tensor_value_info("c")],
    )  # fmt: skip
    made = infer_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))
    assert shape(made, "c") == product


def test_a_view_finds_out_the_size_it_does_not_say() -> None:
    graph = infer_text("""
    net (float[B, S, 768] x) => (float[] z)
        <int64[4] split = {0, -1, 12, 64}, int64[2] flat = {-1, 768}, int64[1] all = {-1}> {
      a = Reshape(x, split)
      b = Reshape(x, flat)
      c = Reshape(x, all)
      z = Neg(c)
    }
    """)
    assert shape(graph, "a") == ["B", "S", 12, 64]
    assert shape(graph, "b") == ["B*S", 768]
    assert shape(graph, "c") == ["768*B*S"]


@pytest.mark.parametrize(
    ("start", "end", "step", "expected"),
    [
        (0, 1 << 62, 1, "N"),
        (1, (1 << 63) - 1, 1, "N - 1"),
        (0, -1, 1, "N - 1"),
        (-1, (1 << 31) - 1, 1, 1),
        (0, 3, 1, "min(N, 3)"),
        (2, -3, 1, None),
        (0, 1 << 62, 2, None),
        (1, 1 << 62, 3, None),
        (-4, -1, 1, None),
        (5, 1 << 62, 1, None),
        (3, 9, 2, None),
        (-1, -(1 << 62), -1, "N"),
        (-1, -(1 << 62), -2, None),
    ],
)
def test_a_slice_is_as_long_as_numpy_says(start: int, end: int, step: int, expected: Any) -> None:
    constants = [
        numpy_helper.from_array(np.array([each], np.int64), name)
        for name, each in (("s", start), ("e", end), ("a", 0), ("k", step))
    ]
    graph = helper.make_graph(
        [helper.make_node("Slice", ["x", "s", "e", "a", "k"], ["y"])], "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])],
        [helper.make_empty_tensor_value_info("y")], constants,
    )  # fmt: skip
    made = infer_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))
    (dim,) = made.outputs[0].dims
    if expected is not None:
        assert str(dim) == str(expected)
    for size in range(1, 12):
        true = len(
            range(*slice(start, end if end >= -size or step > 0 else None, step).indices(size))
        )
        assert evaluate(dim, {"N": size}) == true, size


SPATIAL = {
    "kernel_shape": ([1], [3], [4]),
    "strides": ([1], [2], [3]),
    "dilations": ([1], [2]),
    "pads": ([0, 0], [1, 1], [0, 2]),
    "ceil_mode": (0, 1),
}


def spatial(op: str, size: int | str, **attributes: Any) -> Any:
    weights = [] if op.endswith("Pool") else ["w"]
    stored = numpy_helper.from_array(np.ones((2, 2, *attributes["kernel_shape"]), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node(op, ["x", *weights], ["y"], **attributes)], "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [stored] if weights else [],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])


@pytest.mark.parametrize("op", ["Conv", "MaxPool", "AveragePool", "ConvTranspose"])
def test_open_windows_are_as_many_as_onnx_counts_for_each_size(op: str) -> None:
    names = [name for name in SPATIAL if name != "ceil_mode" or op.endswith("Pool")]
    checked = 0
    for chosen in itertools.product(*(SPATIAL[name] for name in names)):
        attributes = dict(zip(names, chosen, strict=True))
        dims = infer_model(spatial(op, "N", **attributes)).outputs[0].dims
        for size in (9, 12, 14):
            known = shape_inference.infer_shapes(spatial(op, size, **attributes))
            true = [dim.dim_value for dim in known.graph.output[0].type.tensor_type.shape.dim]
            assert [evaluate(dim, {"N": size}) for dim in dims] == true, (attributes, size)
            checked += 1
    assert checked >= 100


@pytest.mark.parametrize("op", ["Conv", "MaxPool"])
@pytest.mark.parametrize("padding", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_automatic_padding_of_an_open_size(op: str, padding: str) -> None:
    dims = (
        infer_model(spatial(op, "N", kernel_shape=[3], strides=[2], auto_pad=padding))
        .outputs[0]
        .dims
    )
    for size in (8, 9):
        true = -(-size // 2) if padding != "VALID" else (size - 3) // 2 + 1
        assert evaluate(dims[2], {"N": size}) == true


@pytest.mark.parametrize(("scale", "size", "expected"), [
    (2.0, 7, 14), (0.5, 7, 3), (0.7, 10, 7), (1.5, 5, 7), (1 / 3, 9, 3),
])  # fmt: skip
def test_a_scale_is_the_fraction_that_was_meant(scale: float, size: int, expected: int) -> None:
    graph = helper.make_graph(
        [helper.make_node("Resize", ["x", "", "s"], ["y"], mode="nearest")], "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "H", 4])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.array([1, 1, scale, 1], np.float32), "s")],
    )  # fmt: skip
    made = infer_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))
    assert [evaluate(dim, {"H": size}) for dim in made.outputs[0].dims] == [1, 3, expected, 4]


def test_parts_of_an_open_size() -> None:
    graph = infer_text("""
    net (float[N, 6] x) => (float[] z)
        <int64[2] sizes = {2, 4}> {
      a, b = Split <axis = 1> (x, sizes)
      c, d, e = Split <axis = 0, num_outputs = 3> (x)
      p = Transpose(a)
      z = Transpose(e)
    }
    """)
    assert shape(graph, "a") == ["N", 2]
    assert shape(graph, "b") == ["N", 4]
    for size in (6, 7, 8):
        parts = [evaluate(graph.values[name].dims[0], {"N": size}) for name in "cde"]
        assert parts == [len(each) for each in np.array_split(np.zeros(size), 3)] or sum(
            part for part in parts if isinstance(part, int)
        ) == size  # fmt: skip


def test_frames_are_whole() -> None:
    """ONNX's own inference (1.23.2) divides before it rounds: 7 frames become 8."""
    graph = infer_text("""
    net (float[B, 128, 1] x) => (float[] y)
        <int64 step = {16}, int64 length = {24}> {
      y = STFT <onesided = 1> (x, step, , length)
    }
    """)
    assert shape(graph, "y") == ["B", (128 - 24) // 16 + 1, 13, 2]


def test_attention_joins_past_and_new_keys() -> None:
    graph = infer_text(
        """
    net (float[B, S, 64] q, float[B, S, 32] k, float[B, S, 16] v,
         float[B, 2, P, 16] pk, float[B, 2, P, 8] pv)
        => (float[] y, float[] a, float[] b, float[] s) {
      y, a, b, s = Attention <q_num_heads = 4, kv_num_heads = 2> (q, k, v, , pk, pv)
    }
    """.replace("pk, pv)\n    }", "pk, pv)\n    }"),
        opsets='"" : 24',
    )
    assert shape(graph, "y") == ["B", "S", 32]
    assert shape(graph, "a") == ["B", 2, "P + S", 16]
    assert shape(graph, "b") == ["B", 2, "P + S", 8]
    assert shape(graph, "s") == ["B", 4, "S", "P + S"]
