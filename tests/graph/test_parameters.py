"""Which constants are weights, and how much they hold: rules W1 to W7, the truth made by hand."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper

from benchmarks.analyzer import light_networks
from onnxbench.graph.parameters import Weights, parameters
from onnxbench.graph.profile import Parameters
from tests.graph.parsed import model, read, read_file, zeros


def weights(parsed: onnx.ModelProto) -> Weights:
    return parameters(*read(parsed))


def totals(text: str) -> Parameters:
    return weights(model(text)).totals


# ------------------------------------------------------------------------------ whole networks


@pytest.mark.parametrize("name", sorted(light_networks.NETWORKS))
def test_light_networks_are_exact_although_every_weight_is_generated(name: str) -> None:
    truth = light_networks.NETWORKS[name]
    found = parameters(*read_file(light_networks.path(name)))
    assert (found.totals.params, found.totals.buffers) == (truth.params, truth.buffers)
    assert found.totals.weight_bytes == 4 * truth.params
    assert found.totals.unsized == 0
    assert sum(elements for elements, _ in found.by_node.values()) == truth.params


# -------------------------------------------------------------------- what is a parameter (W2)


def test_weights_and_biases_count_and_shapes_do_not() -> None:
    found = totals("""g (float[1,3,8,8] x) => (float[8,36] y)
        <float[8,3,3,3] w, float[8] b, int64[2] shape = {8, 36}>
        { c = Conv (x, w, b) y = Reshape (c, shape) }""")
    assert (found.params, found.other, found.buffers) == (8 * 27 + 8, 2, 0)
    assert (found.weight_bytes, found.other_bytes) == (4 * 224, 16)
    assert found.by_dtype == {"fp32": 224}


def test_a_bias_of_one_channel_is_a_weight() -> None:
    found = totals("""g (float[1,3,8,8] x) => (float[1,1,8,8] y)
        <float[1,3,1,1] w, float[1] b> { y = Conv (x, w, b) }""")
    assert found.params == 4


def test_batch_norm_has_two_weights_and_two_buffers_per_channel() -> None:
    found = totals("""g (float[1,4,2,2] x) => (float[1,4,2,2] y)
        <float[4] s, float[4] b, float[4] m, float[4] v>
        { y = BatchNormalization (x, s, b, m, v) }""")
    assert (found.params, found.buffers) == (8, 8)
    assert (found.weight_bytes, found.buffer_bytes) == (32, 32)


def test_layer_scale_and_position_embedding_count_and_a_lone_number_does_not() -> None:
    found = totals("""g (float[1,16,8] x) => (float[1,16,8] y)
        <float[8] gamma, float[1,16,8] position, float root = {0.125}, float[1] half = {0.5}>
        { a = Add (x, position) b = Mul (a, gamma) c = Mul (b, root) y = Mul (c, half) }""")
    assert (found.params, found.other) == (128 + 8, 2)


def test_a_learned_scalar_is_known_by_its_dotted_name() -> None:
    parsed = model("g (float[4] x) => (float[4] y) <float[1] scale> { y = Mul (x, scale) }")
    assert weights(parsed).totals.params == 0
    parsed.graph.initializer[0].name = parsed.graph.node[0].input[1] = "blocks.0.scale"
    assert weights(parsed).totals.params == 1


def test_slopes_of_prelu_count_even_if_one_serves_all_channels() -> None:
    found = totals("g (float[1,4,2,2] x) => (float[1,4,2,2] y) <float[1] p> { y = PRelu (x, p) }")
    assert found.params == 1


def test_masks_and_position_ids_are_buffers_and_short_lists_are_settings() -> None:
    found = totals("""g (int64[1] n, float[1,512,8] x) => (float[1,512,8] y, float[8] z)
        <int64[1,512] ids, float[512,8] table, bool[1,512,8] mask, float[1,512,8] low,
         int64[3] order = {2, 1, 0}>
        { at = Gather <axis = 1> (ids, n) p = Gather (table, at) r = Squeeze (p)
          s = Gather <axis = 1> (x, order)
          y = Where (mask, x, low) z = Identity (r) }""")
    assert found.buffers == 512 + 512 * 8
    assert found.params == 2 * 512 * 8
    assert found.other == 3


def test_limits_scales_and_paddings_are_settings() -> None:
    found = totals("""g (float[1,1,4,4] x) => (float[1,1,12,12] y)
        <float low = {0.0}, float high = {6.0}, int64[4] pads = {0, 0, 1, 1},
         int64[2] axes = {2, 3}, float[2] scales = {2.0, 2.0}>
        { a = Clip (x, low, high) b = Pad (a, pads, low, axes) y = Resize (b, , scales, ) }""")
    assert (found.params, found.buffers) == (0, 0)
    assert found.other == 1 + 1 + 4 + 2 + 2


def test_what_torch_calls_a_buffer_is_one_whatever_reads_it() -> None:
    parsed = model("g (float[4] x) => (float[4] y) <float[4] a, float[4] b, float[1] c> "
                   "{ p = Mul (x, a) q = Mul (p, b) y = Mul (q, c) }")  # fmt: skip
    assert weights(parsed).totals.params == 8
    kinds = {"a": "PARAMETER", "b": "BUFFER", "c": "PARAMETER"}
    for info in parsed.graph.value_info:
        if info.name in kinds:
            info.metadata_props.add(
                key="pkg.torch.export.graph_signature.InputSpec.kind", value=kinds[info.name]
            )
    found = weights(parsed).totals
    assert (found.params, found.buffers) == (5, 4)


def test_a_buffer_is_known_by_the_name_under_which_torch_registers_it() -> None:
    parsed = model("g (float[8,8] x) => (float[8,8] y) <float[8,8] m> { y = Add (x, m) }")
    parsed.graph.initializer[0].name = parsed.graph.node[0].input[1] = "layers.0.attn.attn_mask"
    found = weights(parsed).totals
    assert (found.params, found.buffers) == (0, 64)


def test_constants_that_torch_traced_are_no_parameters() -> None:
    parsed = model("g (float[16,8] x) => (float[16,8] y) <float[16,8] m> { y = Add (x, m) }")
    name = "/layers.0/attn/Constant_9_output_0"
    parsed.graph.initializer[0].name = parsed.graph.node[0].input[1] = name
    found = weights(parsed).totals
    assert (found.params, found.buffers) == (0, 128)


# ------------------------------------------------------------------------- each object once (W1)


def test_a_tied_head_counts_once_and_for_the_node_that_uses_it_first() -> None:
    parsed = model("""g (int64[4] ids) => (float[4,100] y) <float[100,8] table>
        { x = Gather (table, ids) t = Transpose <perm = [1, 0]> (table) y = MatMul (x, t) }""")
    found = weights(parsed)
    assert (found.totals.params, found.totals.tied) == (800, 1)
    assert {node.op: share for node, share in found.by_node.items()} == {"Gather": (800, 3200)}


def test_a_weight_belongs_to_what_computes_with_it_not_to_what_reads_its_shape_first() -> None:
    """As torch.onnx writes a convolution without bias: zeros as long as the weight has channels."""
    found = weights(
        model("""g (float[n,3,8,8] x) => (float[n,8,6,6] y)
        <float[8,3,3,3] w, float zero = {0}>
        { s = Shape <start = 0, end = 1> (w) z = CastLike (zero, x) b = Expand (z, s)
          y = Conv (x, w, b) }""")
    )
    assert {node.op: elements for node, (elements, _) in found.by_node.items()} == {"Conv": 216}
    assert (found.totals.params, found.totals.tied) == (216, 0)


def test_a_transposed_copy_that_the_optimizer_notes_is_tied_but_takes_its_bytes() -> None:
    parsed = model("""g (int64[4] ids) => (float[4,100] y) <float[100,8] table, float[8,100] val_1>
        { x = Gather (table, ids) y = MatMul (x, val_1) }""")
    assert weights(parsed).totals.params == 1600
    for info in parsed.graph.value_info:
        if info.name == "val_1":
            info.metadata_props.add(key="pkg.onnxscript.optimizer.folded_from", value="['table']")
    found = weights(parsed).totals
    assert (found.params, found.weight_bytes, found.tied) == (800, 6400, 1)


def test_branches_share_the_weights_of_the_graph_around_them() -> None:
    found = totals("""g (bool c, float[2,4] x) => (float[2,4] y) <float[4,4] w>
        { y = If (c) <then_branch = one () => (float[2,4] p) { p = MatMul (x, w) },
                      else_branch = two () => (float[2,4] q)
                      <float[4,4] own = {1.,0.,0.,0.,0.,1.,0.,0.,0.,0.,1.,0.,0.,0.,0.,1.}>
                      { r = MatMul (x, w) q = MatMul (r, own) }> }""")
    assert (found.params, found.tied) == (32, 1)


def test_calls_of_a_function_share_the_constants_of_its_body() -> None:
    found = totals("""g (float[2,2] x) => (float[2,2] y)
        { a = local.twice (x) y = local.twice (a) }
        <opset_import: ["" : 21], domain: "local">
        twice (x) => (y) { w = Constant <value = float[2,2] {1., 2., 3., 4.}> () y = MatMul (x, w) }
        """)
    assert (found.params, found.tied) == (4, 1)


def test_two_names_for_the_same_bytes_of_a_data_file_are_one_weight() -> None:
    parsed = model("""g (float[2,64] x) => (float[2,64] y) <float[64,64] a, float[64,64] b>
        { p = MatMul (x, a) y = MatMul (p, b) }""")
    for tensor, offset in zip(parsed.graph.initializer, (0, 0), strict=True):
        tensor.ClearField("raw_data")
        tensor.data_location = T.EXTERNAL
        for key, value in (("location", "w.bin"), ("offset", str(offset)), ("length", "16384")):
            tensor.external_data.add(key=key, value=value)
    assert (weights(parsed).totals.params, weights(parsed).totals.tied) == (4096, 1)
    parsed.graph.initializer[1].external_data[1].value = "16384"
    assert (weights(parsed).totals.params, weights(parsed).totals.tied) == (8192, 0)


def test_equal_weights_are_two_weights() -> None:
    found = totals("""g (float[2,64] x) => (float[2,64] y) <float[64,64] a, float[64,64] b>
        { p = MatMul (x, a) y = MatMul (p, b) }""")
    assert (found.params, found.tied) == (2 * 4096, 0)


# ----------------------------------------------------------------------- chains of constants (W6)


def test_weights_that_are_cut_and_joined_count_where_they_are_stored() -> None:
    found = totals("""g (float[5,1,6] x) => (float[5,1,1,3] y)
        <float[1,24,6] packed, float[1,12,3] r, int64[1] zero = {0}, int64[1] half = {12},
         int64[1] one = {1}, float[1,6,3] r1>
        { w = Slice (packed, zero, half, one) rr = Concat <axis = 1> (r1, r1)
          y, h, c = LSTM <hidden_size = 3> (x, w, rr) }""")
    assert found.params == 24 * 6 + 6 * 3
    assert found.dead == 12 * 3
    assert found.other == 3


def test_a_generated_vector_is_a_weight_in_arithmetic_and_a_generated_matrix_is_a_mask() -> None:
    found = totals("""g (float[2,8,3] x) => (float[2,8,3] y)
        <int64[1] channels = {8}, int64[2] all = {8, 3}, int64[1] axis = {1}, float[3,3] w>
        { v = ConstantOfShape (channels) s = Unsqueeze (v, axis) a = Mul (x, s)
          m = ConstantOfShape (all) b = Add (a, m) y = MatMul (b, w) }""")
    assert found.params == 8 + 9
    assert found.other == 24 + 1 + 2 + 1
    assert found.buffers == 0


def test_numbers_that_make_a_weight_up_are_none() -> None:
    found = totals("""g (float[1,3,8,8] x) => (float[1,8,6,6] y)
        <float[8,3,3,3] w, float[8,1,1,1] gain, float root = {0.2}, int64[3] axes = {1, 2, 3}>
        { m = ReduceMean (w, axes) c = Sub (w, m) s = Mul (gain, root) v = Mul (c, s)
          y = Conv (x, v) }""")
    assert (found.params, found.other, found.tied) == (216 + 8, 4, 0)


def test_what_is_only_asked_for_its_shape_is_no_weight() -> None:
    found = totals("""g (float[2,3] x) => (float[3,2] y) <float[3,2] like>
        { s = Shape (like) y = Reshape (x, s) }""")
    assert (found.params, found.other, found.dead) == (0, 6, 0)


def test_states_at_rest_are_no_weights() -> None:
    found = totals("""g (float[5,1,6] x) => (float[5,1,1,3] y)
        <float[1,12,6] w, float[1,12,3] r, float[1,1,3] h, float[1,1,3] c>
        { y, a, b = LSTM <hidden_size = 3> (x, w, r, , , h, c) }""")
    assert (found.params, found.other) == (12 * 9, 6)


# ------------------------------------------------------------------- how constants are stored


def test_constant_nodes_are_like_initializers() -> None:
    found = totals("""g (float[2,2] x) => (float[2] y)
        { w = Constant <value = float[2,2] {1., 2., 3., 4.}> ()
          f = Constant <value_floats = [1.0, 2.0]> () n = Constant <value_ints = [-1, 2]> ()
          a = MatMul (x, w) b = Mul (a, f) c = Reshape (b, n) y = ReduceSum <keepdims = 0> (c, n) }
        """)
    assert (found.params, found.other) == (4 + 2, 2)
    assert (found.weight_bytes, found.other_bytes) == (24, 16)


def test_quantized_weights_count_at_their_stored_type_and_their_scales_do_not() -> None:
    found = totals("""g (float[1,3,8,8] x) => (float[1,8,8,8] y)
        <int8[8,3,1,1] w, int32[8] b, float[8] scale, int8[8] zero, float[8] bias_scale>
        { v = DequantizeLinear <axis = 0> (w, scale, zero)
          c = DequantizeLinear <axis = 0> (b, bias_scale) y = Conv (x, v, c) }""")
    assert (found.params, found.weight_bytes) == (24 + 8, 24 + 32)
    assert (found.other, found.other_bytes) == (24, 32 + 8 + 32)
    assert found.by_dtype == {"int8": 24, "int32": 8}


def test_a_quantized_scalar_in_arithmetic_is_no_weight() -> None:
    found = totals("""g (float[8] x) => (float[8] y) <uint8 q, float s, uint8 z>
        { r = DequantizeLinear (q, s, z) y = Mul (x, r) }""")
    assert (found.params, found.other) == (0, 3)


def test_quantized_operators_take_weights_in_their_own_slots() -> None:
    found = totals("""g (uint8[1,3,8,8] x) => (uint8[1,8,8,8] y)
        <float a, uint8 b, int8[8,3,1,1] w, float[8] c, int8[8] d, float e, uint8 f, int32[8] bias>
        { y = QLinearConv (x, a, b, w, c, d, e, f, bias) }""")
    assert (found.params, found.other) == (24 + 8, 1 + 1 + 8 + 8 + 1 + 1)


def test_elements_below_a_byte_are_packed() -> None:
    parsed = model("g (float[2,5] x) => (float[2,3] y) <float[1] s> "
                   "{ v = DequantizeLinear (w, s) y = MatMul (x, v) }")  # fmt: skip
    parsed.graph.initializer.append(
        helper.make_tensor("w", T.INT4, [5, 3], bytes(8), raw=True)  # 15 of them in 8 bytes
    )
    found = weights(parsed).totals
    assert (found.params, found.weight_bytes) == (15, 8)
    assert found.by_dtype == {"int4": 15}


def test_matmulnbits_has_its_logical_weights_in_its_stored_bytes() -> None:
    found = totals("""g (float[2,20] x) => (float[2,10] y)
        <uint8[10,2,8] b, float[20] scales, uint8[10] zeros, float[10] bias>
        { y = com.microsoft.MatMulNBits <K = 20, N = 10, bits = 4, block_size = 16>
              (x, b, scales, zeros, , bias) }""")
    assert (found.params, found.weight_bytes) == (200 + 10, 160 + 40)
    assert (found.other, found.other_bytes) == (30, 80 + 10)
    assert found.by_dtype == {"uint4": 200, "fp32": 10}


def test_experts_of_qmoe_are_two_to_a_byte() -> None:
    found = totals("""g (float[3,8] x, float[3,4] router) => (float[3,8] y)
        <uint8[4,16,4] up, float[4,16] a, uint8[4,8,8] down, float[4,8] b>
        { y = com.microsoft.QMoE <k = 2, expert_weight_bits = 4>
              (x, router, up, a, , down, b) }""")
    assert (found.params, found.weight_bytes) == (4 * 16 * 8 + 4 * 8 * 16, 256 + 256)
    assert found.other == 64 + 32


def test_sparse_weights_have_a_logical_and_a_stored_size() -> None:
    parsed = model("g (float[2,8] x) => (float[2,4] y) { y = MatMul (x, w) }")
    values = helper.make_tensor("w", T.FLOAT, [3], [1.0, 2.0, 3.0])
    indices = helper.make_tensor("", T.INT64, [3], [0, 5, 9])
    parsed.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [8, 4]))
    found = weights(parsed).totals
    assert (found.params, found.sparse_stored) == (32, 3)
    assert found.weight_bytes == 3 * 4 + 3 * 8


def test_texts_take_the_bytes_that_they_have() -> None:
    parsed = model("g (string[1] x) => (bool[1] y) { y = Equal (x, words) }")
    parsed.graph.initializer.append(
        onnx.numpy_helper.from_array(np.array(["ab", "cde"], object), "words")
    )
    found = weights(parsed).totals
    assert (found.params, found.other, found.other_bytes) == (0, 2, 5)
    long = onnx.numpy_helper.from_array(np.array(["a" * 1000, "b" * 1000], object), "words")
    parsed.graph.initializer[0].CopyFrom(long)  # too long to be kept: its size is what is left
    assert weights(parsed).totals.other_bytes >= 2000


# ----------------------------------------------------------------------------- unused ones (W7)


def test_what_no_node_uses_is_dead() -> None:
    found = totals("""g (float[2,4] x) => (float[2,4] y)
        <float[4,4] w, float[100] old, float[3] cut>
        { y = MatMul (x, w) z = Neg (cut) }""")
    assert (found.params, found.dead, found.dead_bytes) == (16, 103, 412)


def test_initializers_that_are_listed_as_inputs_are_weights() -> None:
    parsed = model("g (float[2,4] x, float[4,4] w) => (float[2,4] y) { y = MatMul (x, w) }")
    parsed.ir_version = 3
    parsed.graph.initializer.append(zeros("w", T.FLOAT, [4, 4]))
    found = weights(parsed).totals
    assert (found.params, found.dead) == (16, 0)


def test_a_constant_that_is_returned_is_used() -> None:
    found = totals("g (float[4] x) => (float[4] y, float[6] w) <float[6] w> { y = Neg (x) }")
    assert (found.params, found.dead) == (6, 0)


def test_a_constant_of_unknown_size_is_named_as_such() -> None:
    parsed = model("""g (float[2,4] x) => (float[2,4] y) <float[2000] c>
        { s = NonZero (c) t = Squeeze (s) w = ConstantOfShape (t) y = custom.Odd (x, w) }""")
    found = weights(parsed).totals
    assert (found.params, found.unsized) == (0, 1)


# ------------------------------------------------------------------------------------ as a whole


def test_every_stored_element_is_counted_in_exactly_one_group() -> None:
    parsed = model("""g (float[1,3,8,8] x) => (float[1,8,8,8] y)
        <float[8,3,1,1] w, float[8] s, float[8] b, float[8] m, float[8] v, float[7] dead,
         int64[4] shape = {1, 8, 8, 8}>
        { c = Conv (x, w) n = BatchNormalization (c, s, b, m, v) y = Reshape (n, shape) }""")
    found = weights(parsed).totals
    stored = sum(math.prod(tensor.dims) for tensor in parsed.graph.initializer)
    assert found.params + found.buffers + found.other + found.dead == stored
    stored_bytes = sum(len(onnx.numpy_helper.to_array(each).tobytes())
                       for each in parsed.graph.initializer)  # fmt: skip
    in_groups = (found.weight_bytes, found.buffer_bytes, found.other_bytes, found.dead_bytes)
    assert sum(in_groups) == stored_bytes


@pytest.mark.timeout(30)
def test_a_chain_that_many_nodes_share_is_walked_twice_at_most() -> None:
    length = 5000
    chain = [helper.make_node("Neg", [f"w{index}"], [f"w{index + 1}"]) for index in range(length)]
    users = [
        helper.make_node("MatMul", [f"x{index}", f"w{length}"], [f"x{index + 1}"])
        for index in range(length)
    ]
    graph = helper.make_graph(
        chain + users,
        "g",
        [helper.make_tensor_value_info("x0", T.FLOAT, [2, 2])],
        [helper.make_tensor_value_info(f"x{length}", T.FLOAT, [2, 2])],
        [zeros("w0", T.FLOAT, [2, 2])],
    )
    found = weights(helper.make_model(graph)).totals  # 25 million steps would take minutes
    assert (found.params, found.tied) == (4, 1)
