"""Bytes of activations that a run needs at once; F is the size of one value of ten floats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto as T
from onnx import helper

from benchmarks.analyzer import light_networks
from onnxbench.graph.build import build
from onnxbench.graph.memory import memory
from onnxbench.graph.profile import Memory
from tests.graph.parsed import model, read, read_file

if TYPE_CHECKING:
    import onnx

F = 40


def of(text: str, **dims: int) -> Memory:
    return memory(read(model(text), **dims)[0])


def sizes(found: Memory) -> tuple[int | None, int | None, int | None, int | None]:
    return found.no_reuse_bytes, found.liveness_bytes, found.in_place_bytes, found.fused_bytes


# ---------------------------------------------------------------------------------- lifetimes


def test_a_chain_needs_two_values_beside_its_input() -> None:
    found = of("g (float[10] x) => (float[10] y) { a = Relu (x) b = Exp (a) y = Neg (b) }")
    assert found.no_reuse_bytes == 4 * F
    assert found.liveness_bytes == 3 * F  # the input is held to the end
    assert found.in_place_bytes == 2 * F  # but nothing may overwrite it
    assert found.node == "Exp of b"


def test_a_value_lives_until_the_last_node_that_reads_it() -> None:
    found = of("""g (float[10] x) => (float[10] y)
        { a = Transpose (x) b = Transpose (a) c = Transpose (b) d = Transpose (c) y = Add (a, d) }
        """)
    assert sizes(found) == (6 * F, 4 * F, 4 * F, 3 * F)


def test_what_nobody_reads_lives_while_it_is_made() -> None:
    found = of("""g (float[10] x) => (float[10] y) <int64[1] k = {10}>
        { a, unused = TopK <axis = 0> (x, k) y = Transpose (a) }""")
    assert found.liveness_bytes == F + F + 2 * F  # x, a, int64 places


def test_outputs_are_held_to_the_end() -> None:
    found = of("""g (float[10] x) => (float[10] a, float[10] d)
        { a = Transpose (x) b = Transpose (a) c = Transpose (b) d = Transpose (c) }""")
    assert found.liveness_bytes == 4 * F  # x, a, and two of b, c, d
    other = of("""g (float[10] x) => (float[10] d)
        { a = Transpose (x) b = Transpose (a) c = Transpose (b) d = Transpose (c) }""")
    assert other.liveness_bytes == 3 * F


def test_constants_and_what_is_made_of_them_take_no_part() -> None:
    found = of("""g (float[10] x) => (float[10] y) <float[10] w>
        { v = Exp (w) y = Sub (x, v) }""")
    assert sizes(found) == (2 * F, 2 * F, 2 * F, 2 * F)


def test_a_view_shares_its_bytes_and_keeps_them_alive() -> None:
    found = of("""g (float[10] x) => (float[10] y) <int64[2] s = {2, 5}, int64[1] t = {10}>
        { a = Exp (x) b = Reshape (a, s) c = Transpose (b) d = Transpose (c) e = Add (b, d)
          y = Reshape (e, t) }""")
    # The two transpositions are copies; what Exp made is still there for Add, through b.
    assert sizes(found) == (5 * F, 4 * F, 4 * F, 3 * F)


def test_types_below_a_byte_are_packed_and_bool_takes_a_byte() -> None:
    found = of("g (float[10] x) => (bool[10] y) <float zero = {0.0}> { y = Greater (x, zero) }")
    assert found.no_reuse_bytes == F + 10


# ----------------------------------------------------------------------------------- in place


def test_an_operand_that_is_read_again_is_not_overwritten() -> None:
    found = of("""g (float[10] x) => (float[10] y)
        { a = Transpose (x) b = Relu (a) y = Mul (a, b) }""")
    assert found.liveness_bytes == 4 * F
    assert found.in_place_bytes == 3 * F  # Relu needs a place; Mul takes that of a or b


def test_only_a_value_of_the_same_size_is_overwritten() -> None:
    found = of("""g (float[1,10] x) => (float[10,10] y) <float[10,1] w>
        { a = Transpose <perm = [1, 0]> (x) b = Exp (a) y = Mul (b, x) }""")
    assert found.in_place_bytes == F + F + 10 * F


# ----------------------------------------------------------------------------------- fusion

CONV = "g (float[1,1,4,4] x) => (float[1,1,4,4] y) <float[1,1,1,1] w, float[1] s>"
V = 64


def test_a_convolution_takes_in_what_is_elementwise_behind_it() -> None:
    found = of(CONV + "{ a = Conv (x, w) b = BatchNormalization (a, s, s, s, s) y = Relu (b) }")
    assert sizes(found) == (4 * V, 3 * V, 2 * V, 2 * V)


def test_a_sum_overwrites_the_shortcut_that_it_is_added_to() -> None:
    found = of(CONV + "{ a = Conv (x, w) b = Conv (a, w) c = Conv (b, w) d = Add (c, a) "
               "e = Relu (d) y = Conv (e, w) }")  # fmt: skip
    # Conv + Add + Relu reads b and writes over a, beside the input.
    assert found.fused_bytes == 3 * V
    assert found.in_place_bytes == 4 * V


def test_softmax_over_scaled_and_masked_scores_keeps_one_matrix() -> None:
    found = of("""g (float[4,8] q, float[8,4] k) => (float[4,8] y)
        <float root = {0.5}, float[4,4] mask, float[4,8] v>
        { s = MatMul (q, k) t = Mul (s, root) m = Add (t, mask) p = Softmax (m) y = MatMul (p, v) }
        """)
    inputs = 2 * 4 * 8 * 4
    assert found.fused_bytes == inputs + 4 * 4 * 4 + 4 * 8 * 4
    assert found.liveness_bytes == inputs + 4 * 8 * 4 + 4 * 4 * 4


def test_dequantized_values_are_never_stored_when_their_reader_takes_them_in() -> None:
    found = of("""g (uint8[1,1,16,16] x) => (uint8[1,1,16,16] y)
        <float s, uint8 z, float[1,1,1,1] w>
        { a = DequantizeLinear (x, s, z) b = Conv (a, w) y = QuantizeLinear (b, s, z) }""")
    assert sizes(found) == (2 * 256 + 2 * 1024, 256 + 2 * 1024, 256 + 2 * 1024, 512)


def test_the_lower_bound_holds_for_the_best_order_of_the_nodes() -> None:
    late, early = (
        of(f"""g (float[10] x) => (float[10] y)
        {{ a = Transpose (x) {first} m = Concat <axis = 0> (a, a, a) r = ReduceMax (m) {then}
          y = Add (b, r) }}""")
        for first, then in (("b = Transpose (x)", ""), ("", "b = Transpose (x)"))
    )
    assert (late.liveness_bytes, early.liveness_bytes) == (6 * F, 5 * F)
    assert late.fused_bytes == early.fused_bytes == 5 * F


# --------------------------------------------------------------------------------- subgraphs


def test_of_an_if_the_greater_branch_counts_and_the_smaller_one_bounds() -> None:
    found = of("""g (bool[1] c, float[10] x) => (float[10] y)
        <int64[1] from = {0}, int64[1] to = {10}>
        { y = If (c) <then_branch = one () => (float[10] p) { p = Transpose (x) },
                      else_branch = two () => (float[10] r)
                      { q = Concat <axis = 0> (x, x) s = Transpose (q)
                        r = Slice (s, from, to) }> }""")
    outside = 1 + F + F  # condition, x, y, which is what the branches return
    assert found.liveness_bytes == outside + 4 * F  # q and s of 20 floats
    assert found.fused_bytes == outside


def test_what_a_subgraph_reads_from_around_it_stays_alive() -> None:
    kept = of("""g (bool[1] c, float[10] x) => (float[10] y)
        { a = Transpose (x) b = Transpose (x) d = Transpose (b)
          y = If (c) <then_branch = one () => (float[10] p) { p = Transpose (a) },
                      else_branch = two () => (float[10] q) { q = Transpose (d) }> }""")
    # At d: condition, x, a, b and d; at If: condition, x, a, d and y.
    assert kept.liveness_bytes == 1 + 4 * F
    assert kept.no_reuse_bytes == 1 + 5 * F


def test_the_body_of_a_loop_is_beside_the_values_around_it() -> None:
    found = of("""g (float[10] x) => (float[10] y) <int64 n = {3}, bool t = {1}>
        { y = Loop (n, t, x) <body = b (int64 i, bool c, float[10] v) => (bool d, float[10] w)
            { d = Identity (c) u = Transpose (v) w = Transpose (u) }> }""")
    assert found.liveness_bytes == 2 * F + 2 * F


# ------------------------------------------------------------------------------ what is not known


def test_open_dims_are_named_with_what_to_type() -> None:
    text = "g (float[batch,seq] x) => (float[batch,seq] y) { y = Relu (x) }"
    found = of(text)
    assert sizes(found) == (None, None, None, None)
    assert found.node is None
    assert "--dim batch=1 --dim seq=1" in found.reason
    assert of(text, batch=2, seq=5).liveness_bytes == 2 * F


def test_an_unknown_shape_names_the_node_that_makes_it() -> None:
    found = of("g (float[10] x) => (y) { a = custom.Odd (x) y = Relu (a) }")
    assert sizes(found) == (None, None, None, None)
    assert "'a'" in found.reason
    assert "Odd" in found.reason


def test_a_type_without_a_size_is_named() -> None:
    found = of("g (string[10] x) => (string[10] y) { y = Identity (x) }")
    assert found.liveness_bytes is None
    assert "'x'" in found.reason


def test_a_graph_that_only_returns_its_input_holds_it() -> None:
    graph = helper.make_graph(
        [],
        "g",
        [helper.make_tensor_value_info("x", T.FLOAT, [10])],
        [helper.make_tensor_value_info("x", T.FLOAT, [10])],
    )
    assert sizes(memory(build(helper.make_model(graph), {}))) == (F, F, F, F)


# ------------------------------------------------------------------------------- whole networks

IMAGE = 3 * 224 * 224 * 4


@pytest.mark.parametrize(
    ("name", "liveness", "in_place", "fused"),
    [
        # 64 channels at 224²: a convolution from one to the next, nothing to fuse away.
        ("vgg19", 2 * 64 * 224**2 * 4, 2 * 64 * 224**2 * 4, 2 * 64 * 224**2 * 4),
        # 256 channels at 56² three times, for a shortcut that is normalized; twice with the sum in
        # place; fused, the way from these to 128 channels.
        ("resnet50", 3 * 256 * 56**2 * 4, None, (256 + 128) * 56**2 * 4),
        # 224 channels at 56²: what they are joined from, joined, normalized or scaled.
        ("densenet121", 3 * 224 * 56**2 * 4, None, None),
    ],
)
def test_peaks_of_light_networks(
    name: str, liveness: int, in_place: int | None, fused: int | None
) -> None:
    found = memory(read_file(light_networks.path(name))[0])
    assert found.liveness_bytes == IMAGE + liveness
    assert in_place is None or found.in_place_bytes == IMAGE + in_place
    assert fused is None or found.fused_bytes == IMAGE + fused


# ------------------------------------------------------------------------------------ any graph

OPS = ("Relu", "Transpose", "Add", "Mul", "Identity", "Softmax")


@st.composite
def graphs(draw: st.DrawFn) -> onnx.ModelProto:
    nodes, names = [], ["x"]
    for index in range(draw(st.integers(1, 12))):
        op = draw(st.sampled_from(OPS))
        given_ = [draw(st.sampled_from(names)) for _ in range(2 if op in {"Add", "Mul"} else 1)]
        nodes.append(helper.make_node(op, given_, [f"v{index}"]))
        names.append(f"v{index}")
    outputs = draw(st.sets(st.sampled_from(names[1:]), min_size=1, max_size=3))
    info = {name: helper.make_tensor_value_info(name, T.FLOAT, [2, 5]) for name in names}
    graph = helper.make_graph(
        nodes,
        "g",
        [info["x"]],
        [info[name] for name in sorted(outputs)],
        value_info=[info[name] for name in names[1:]],
    )
    return helper.make_model(graph)


def simulated(graph: onnx.GraphProto) -> int:
    """Run the graph with a place for every value that is freed as soon as it may be."""
    root = {"x": "x"}
    for node in graph.node:
        view = node.op_type == "Identity"
        root[node.output[0]] = root[node.input[0]] if view else node.output[0]
    kept = {root[info.name] for info in (*graph.input, *graph.output)}
    alive, peak = {"x"}, F
    for position, node in enumerate(graph.node):
        alive.add(root[node.output[0]])
        peak = max(peak, F * len(alive))
        later = {root[name] for other in graph.node[position + 1 :] for name in other.input}
        alive &= kept | later
    return peak


@given(graphs())
@settings(deadline=None)
def test_liveness_is_what_a_run_takes_and_the_figures_stand_in_order(
    parsed: onnx.ModelProto,
) -> None:
    found = memory(build(parsed, {}))
    assert found.liveness_bytes == simulated(parsed.graph)
    numbers = [each for each in sizes(found) if each is not None]
    assert len(numbers) == 4
    assert numbers == sorted(numbers, reverse=True)


def test_what_dropout_masks_is_a_value_of_its_own() -> None:
    found = of("""g (float[10] x) => (float[10] y, bool[10] m)
        { a = Exp (x) b, m = Dropout (a) y = Neg (b) }""")
    assert found.no_reuse_bytes == 3 * F + 10


@pytest.mark.timeout(30)
def test_a_long_chain_of_sums_takes_linear_time() -> None:
    length = 8_000
    nodes = [helper.make_node("Transpose", ["x"], [f"u{index}"]) for index in range(length)]
    nodes.append(helper.make_node("Relu", ["x"], ["v0"]))
    nodes += [
        helper.make_node("Add", [f"v{index}", f"u{index}"], [f"v{index + 1}"])
        for index in range(length)
    ]
    names = [each.output[0] for each in nodes]
    info = {name: helper.make_tensor_value_info(name, T.FLOAT, [10]) for name in ["x", *names]}
    last = info[names[-1]]
    graph = helper.make_graph(nodes, "g", [info["x"]], [last], value_info=list(info.values()))
    found = memory(build(helper.make_model(graph), {}))  # 32 million steps would take long
    assert found.liveness_bytes == (length + 3) * F
