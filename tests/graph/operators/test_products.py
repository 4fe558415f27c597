from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper

from onnxbench.graph.dims import Count
from onnxbench.graph.formulas import evaluate, parse
from onnxbench.graph.network import Unknown
from tests.graph.operators.counting import count, last
from tests.graph.operators.probing import HALF, INT8, MS, Shape, model, node, zeros

FP8 = 17


def product(a: Shape, b: Shape, op: str = "MatMul", domain: str = "", **more: Any) -> ModelProto:
    return model(node(op, "a b", domain=domain, **more), {"a": a, "b": b}, None, {"y": ()})


def fused(a: Shape, b: Shape, **more: Any) -> ModelProto:
    return product(a, b, "FusedMatMul", MS, **more)


@pytest.mark.parametrize(
    ("a", "b"),
    [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((7, 1, 3, 4), (2, 4, 5)), ((1, 3, 4), (6, 4, 1)),
     ((4,), (4,)), ((4,), (4, 5)), ((3, 4), (4,)), ((2, 3, 4), (4,)), ((4,), (2, 4, 5)),
     ((5, 1, 1, 4), (1, 6, 4, 1)), ((0, 3, 4), (4, 5))],
)  # fmt: skip
def test_macs_are_the_elements_that_numpy_puts_out_times_the_depth(
    a: tuple[int, ...], b: tuple[int, ...]
) -> None:
    out = np.matmul(np.zeros(a), np.zeros(b))
    assert count(product(a, b)).macs == out.size * a[-1]


def test_two_open_batches_are_equal_or_one_of_them_is_one() -> None:
    macs = count(product(("A", 3, 4), ("B", 4, 5))).macs
    for one, other in ((6, 6), (1, 6), (6, 1)):
        assert evaluate(macs, {"A": one, "B": other}) == 6 * 60


def test_a_number_tells_more_of_the_depth_than_a_symbol() -> None:
    assert count(product((3, "K"), (4, 5))).macs == 60


@pytest.mark.parametrize(("a", "b"), [((3, 4), (5, 6)), ((2, 3, 4), (3, 4, 5)), ((), (4, 5))])
def test_operands_that_do_not_fit_are_unknown(a: Shape, b: Shape) -> None:
    with pytest.raises(Unknown):
        count(product(a, b))


@pytest.mark.parametrize(
    ("a", "b", "attributes", "macs"),
    [
        ((4, 3), (4, 5), {"transA": 1}, 60),
        ((3, 2, 4, 5), (2, 4, 5, 6), {"transBatchA": 1}, 2 * 4 * 3 * 5 * 6),
        ((5, 2, 4), (2, 3, 4), {"transBatchA": 1, "transB": 1}, 2 * 5 * 4 * 3),
        ((3, 4, 5), (4, 3, 6), {"transBatchA": 1, "transA": 1}, 4 * 5 * 3 * 6),
        ((3, 4, 5), (5, 4, 6), {"transBatchA": 1, "transBatchB": 1}, 4 * 3 * 5 * 6),
        ((4,), (4, 6), {"transA": 1}, 24),
    ],
)
def test_fused_products_transpose_as_onnx_runtime_does(
    a: Shape, b: Shape, attributes: dict[str, int], macs: int
) -> None:
    assert count(fused(a, b, **attributes)).macs == macs


def test_fused_products_have_a_scale_and_an_activation() -> None:
    made = product((3, 4), (4, 5), "FusedMatMulActivation", MS, activation="Tanh", alpha=0.5)
    cost = count(made)
    assert (cost.macs, cost.flops, cost.transcendentals) == (60, 30, 15)
    assert count(product((4, 3), (4, 5), "TransposeMatMul", MS, transA=1)).flops == 0


def float8(**more: Any) -> ModelProto:
    made = node("GemmFloat8", "a b c", domain=MS, transB=1, **more)
    return model(made, {"a": ((3, 4), FP8), "b": ((5, 4), FP8), "c": (5,)}, None, {"y": (3, 5)})


def test_products_of_eight_bit_floats() -> None:
    cost = count(float8(beta=1.0, activation="RELU"))
    assert (cost.macs, cost.flops, cost.operands) == (60, 30, "fp8e4m3fn")


def test_beta_of_eight_bit_floats_is_zero_unless_given() -> None:
    assert count(float8()).flops == 0


def test_ordered_products_add_a_bias_or_a_scaled_matrix() -> None:
    inputs = {"a": ((2, 3, 4), INT8), "s": (), "b": ((4, 5), INT8), "c": (5,)}
    made = node("QOrderedMatMul", "a s b s s c", domain=MS, order_A=1, order_B=0, order_Y=1)
    cost = count(model(made, inputs, None, {"y": ((2, 3, 5), INT8)}))  # type: ignore[arg-type]
    assert (cost.macs, cost.flops, cost.operands) == (120, 30 * 3, "int8")


def test_a_sparse_constant_multiplies_only_what_it_stores() -> None:
    values = onnx.numpy_helper.from_array(np.ones(5, np.float32), "a")
    indices = onnx.numpy_helper.from_array(np.arange(5), "i")
    sparse = helper.make_sparse_tensor(values, indices, [3, 4])
    made = model(node("SparseToDenseMatMul", "a b", domain=MS), {"b": (4, 7)}, None,
                 {"y": (3, 7)}, sparse=[sparse])  # fmt: skip
    assert count(made).macs == 5 * 7
    assert count(made).least is None


def test_a_sparse_input_is_bounded_by_the_dense_product() -> None:
    cost = count(product((3, 4), (4, 7), "SparseToDenseMatMul", MS))
    assert (cost.macs, cost.least) == (84, (0, 0))
    assert "sparse" in cost.note


def packed(op: str, weights: dict[str, Any], names: str, **more: Any) -> ModelProto:
    made = node(op, names, domain=MS, **more)
    return model(made, {"a": (("B", 6, 32), HALF)}, weights, {"y": (("B", 6, 8), HALF)})


def test_four_bit_weights_in_one_blob_tell_their_dims_by_an_input() -> None:
    blob = {"b": zeros(200, dtype=np.uint8), "d": np.array([32, 8])}
    cost = count(packed("MatMulFpQ4", blob, "a b d"))
    assert (cost.macs, cost.operands) == (parse("1536*B"), "int4×fp16")
    with pytest.raises(Unknown, match="packed"):
        count(packed("MatMulFpQ4", {"b": blob["b"]}, "a b a"))


def test_bitsandbytes_weights_may_be_used_backwards() -> None:
    blob = {"b": zeros(128, dtype=np.uint8), "s": zeros(16)}
    sizes = {"N": 32, "K": 8, "block_size": 16, "quant_type": 0}
    cost = count(packed("MatMulBnb4", blob, "a b s", transB=0, **sizes))
    assert (cost.macs, cost.operands) == (parse("1536*B"), "fp4×fp16")


def test_packed_weights_of_another_depth_are_unknown() -> None:
    blob = {"b": zeros(8, 2, 8, dtype=np.uint8), "s": zeros(16)}
    with pytest.raises(Unknown, match="32 and 64"):
        count(packed("MatMulNBits", blob, "a b s", N=8, K=64, bits=4, block_size=16))
    with pytest.raises(Unknown, match="lacks its attribute K"):
        count(packed("MatMulNBits", blob, "a b s", N=8, bits=4, block_size=16))


def test_block_scaled_floats() -> None:
    half = {"b": zeros(8, 16, dtype=np.uint8), "s": zeros(8, 2, dtype=np.uint8), "t": zeros(1)}
    cost = count(packed("MatMulBlockQuantizedFp4Weight", half, "a b s t"))
    assert (cost.macs, cost.operands) == (parse("1536*B"), "fp4e2m1×fp16")
    whole = {"b": zeros(8, 32, dtype=np.uint8), "s": zeros(8, 1), "t": zeros(1)}
    cost = count(packed("MatMulBlockQuantizedFp8Weight", whole, "a b s"))
    assert (cost.macs, cost.flops, cost.operands) == (parse("1536*B"), 0, "fp8e4m3fn×fp16")
    cost = count(packed("MatMulBlockQuantizedFp8Weight", whole, "a b s t"))
    assert (cost.flops, cost.operands) == (parse("384*B"), "fp8e4m3fn")


@pytest.mark.parametrize(
    ("a", "b", "fvcore"),
    [((3, 4), (4, 5), 60), ((8, 1, 3, 4), (4, 4, 5), 8 * 60), ((4,), (4, 5), 20)],
)
def test_fvcore_is_blind_to_a_batch_that_only_the_right_side_has(
    a: Shape, b: Shape, fvcore: Count
) -> None:
    found, row = last(product(a, b))
    assert row.fvcore is not None
    assert row.fvcore(found) == fvcore


def test_paddle_counts_products_with_weights_alone() -> None:
    with_weight = model(node("MatMul", "a b"), {"a": (3, 4)}, {"b": zeros(4, 5)})
    layer = model(node("Gemm", "a b c", transB=1), {"a": (3, 4)}, {"b": zeros(5, 4), "c": zeros(5)})
    for made, wanted in ((with_weight, 60), (layer, 60), (product((3, 4), (4, 5)), 0)):
        found, row = last(made)
        assert row.paddle is not None
        assert row.paddle(found) == wanted


def test_quantized_gemm_may_stay_integer() -> None:
    weights = {"s": zeros(1), "z": zeros(1, dtype=np.int8), "b": zeros(4, 5, dtype=np.int8)}
    made = node("QGemm", "a s z b s z - s z", domain=MS)
    cost = count(model(made, {"a": ((3, 4), INT8)}, weights, {"y": ((3, 5), INT8)}))
    assert (cost.macs, cost.flops) == (60, 30)


def test_labels_put_fewer_bits_first_and_equal_types_once() -> None:
    made = model(node("MatMulIntegerToFloat", "a b s s", domain=MS), {"a": ((3, 4), INT8)},
                 {"b": zeros(4, 5, dtype=np.uint8), "s": zeros(1)}, {"y": (3, 5)})  # fmt: skip
    assert count(made).operands == "int8×uint8"
    assert count(product((3, 4), (4, 5))).operands == "fp32"
