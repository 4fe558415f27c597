"""Arithmetic, logic, activations: FLOPs per element, and what of them is transcendental."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxbench.graph.formulas import parse
from onnxbench.graph.network import Node, Tensor
from onnxbench.graph.operators.operands import activation
from onnxbench.graph.operators.table import find
from tests.graph.operators.nodes import constant, cost, node, row, tensor

SHAPE = (2, 3, 5)
N = 30


@pytest.mark.parametrize(
    "op", ["Add", "Sub", "Mul", "Div", "Mod", "BitwiseXor", "And", "Equal", "Less", "BitShift"]
)
def test_a_binary_operation_is_one_flop_per_output_element_however_it_broadcasts(op: str) -> None:
    found = cost(op, (2, 1, 5), (3, 1), out=SHAPE)
    assert (found.macs, found.flops, found.transcendentals) == (0, N, 0)


@pytest.mark.parametrize("op", ["Abs", "Neg", "Floor", "Round", "Reciprocal", "Not", "IsNaN"])
def test_a_unary_operation_is_one_flop_per_element(op: str) -> None:
    assert cost(op, SHAPE, out=SHAPE).flops == N
    assert cost(op, SHAPE, out=SHAPE).transcendentals == 0


@pytest.mark.parametrize("op", ["Exp", "Log", "Sqrt", "Erf", "Sin", "Atanh", "Sigmoid", "Tanh"])
def test_a_transcendental_function_is_one_flop_and_one_evaluation_per_element(op: str) -> None:
    found = cost(op, SHAPE, out=SHAPE)
    assert (found.flops, found.transcendentals) == (N, N)


def test_counts_keep_the_dims_that_a_file_leaves_open() -> None:
    assert cost("Add", ("B", "S", 8), (8,), out=("B", "S", 8)).flops == parse("8*B*S")
    assert cost("Softplus", ("B", 8), out=("B", 8)).transcendentals == parse("16*B")


@pytest.mark.parametrize(("op", "per_element"), [("Sum", 2), ("Max", 2), ("Min", 2), ("Mean", 3)])
def test_an_operation_on_three_inputs_folds_them(op: str, per_element: int) -> None:
    assert cost(op, SHAPE, SHAPE, (5,), out=SHAPE).flops == per_element * N


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [(2.0, (N, 0)), (3.0, (2 * N, 0)), (0.5, (N, N)), (-2.0, (N, N)), (None, (N, N))],
)
def test_a_power_is_products_where_the_exponent_is_known_to_be_two_or_three(
    exponent: float | None, expected: tuple[int, int]
) -> None:
    given = tensor(()) if exponent is None else constant(np.float32(exponent))
    found = cost("Pow", SHAPE, given, out=SHAPE)
    assert (found.flops, found.transcendentals) == expected


def test_clip_compares_with_the_bounds_that_it_has() -> None:
    assert cost("Clip", SHAPE, (), (), out=SHAPE).flops == 2 * N
    assert cost("Clip", SHAPE, None, (), out=SHAPE).flops == N
    assert cost("Clip", SHAPE, out=SHAPE).flops == 0
    assert cost("Clip", SHAPE, out=SHAPE, opset=6, min=0.0, max=6.0).flops == 2 * N
    assert cost("Clip", SHAPE, out=SHAPE, opset=6, min=0.0).flops == N


def test_choosing_is_no_arithmetic() -> None:
    assert cost("Where", SHAPE, SHAPE, SHAPE, out=SHAPE).flops == 0


def test_dropout_is_nothing_in_inference_and_bounded_if_an_input_decides() -> None:
    assert cost("Dropout", SHAPE, out=SHAPE).bytes_read == 0
    assert cost("Dropout", SHAPE, (), constant(np.array(False)), out=SHAPE).flops == 0
    assert cost("Dropout", SHAPE, (), constant(np.array(True)), out=SHAPE).flops == 3 * N
    open_ = cost("Dropout", SHAPE, (), (), out=SHAPE)
    assert (open_.flops, open_.least) == (3 * N, (0, 0))
    assert "training_mode" in open_.note


def test_fused_biases_and_residuals_count() -> None:
    options = {"domain": "com.microsoft"}
    assert cost("BiasDropout", SHAPE, (5,), SHAPE, out=SHAPE, **options).flops == 2 * N
    assert cost("BiasDropout", SHAPE, (5,), out=SHAPE, **options).flops == N
    assert cost("GatedAdd", SHAPE, SHAPE, (2, 3, 1), out=SHAPE, **options).flops == 2 * N
    assert cost("BiasAdd", SHAPE, (5,), SHAPE, out=SHAPE, **options).flops == 2 * N


def test_a_complex_product_is_six_flops() -> None:
    found = cost("ComplexMul", (4, 7, 2), (4, 7, 2), out=(4, 7, 2), domain="com.microsoft")
    assert found.flops == 4 * 7 * 6


# -------------------------------------------------------------------------------- activations


@pytest.mark.parametrize(
    ("op", "flops", "evaluations"),
    [("Relu", 1, 0), ("Gelu", 8, 1), ("Elu", 4, 1), ("HardSwish", 5, 0), ("Mish", 5, 3)],
)
def test_an_activation_has_its_stated_weight(op: str, flops: int, evaluations: int) -> None:
    found = cost(op, SHAPE, out=SHAPE)
    assert (found.flops, found.transcendentals) == (flops * N, evaluations * N)


@pytest.mark.parametrize(
    "op",
    ["Relu", "LeakyRelu", "PRelu", "ThresholdedRelu", "Shrink", "HardSigmoid", "HardSwish", "Elu",
     "Selu", "Celu", "Softplus", "Softsign", "Mish"],
)  # fmt: skip
def test_the_weight_of_an_activation_is_that_of_its_standard_definition(op: str) -> None:
    """Sum up the nodes of the function body that depend on the input."""
    body = onnx.defs.get_schema(op, 28).function_body
    values: dict[str, Tensor] = {name: tensor(SHAPE) for name in body.input}
    flops = evaluations = 0
    for proto in body.node:
        inputs = [values[name] for name in proto.input]
        # A constant that takes the input's type is still a constant.
        converts = proto.op_type == "CastLike" and inputs[0].constant
        computed = not converts and not all(each.constant for each in inputs)
        out = tensor(SHAPE) if computed else constant(np.float32(1.5))
        values[proto.output[0]] = out
        found = find("", proto.op_type)
        assert found is not None
        if computed:
            part = found.rule(Node(proto, proto.op_type, "", "", 28, tuple(inputs), (out,)))
            assert isinstance(part.flops, int)
            assert isinstance(part.transcendentals, int)
            flops += part.flops
            evaluations += part.transcendentals
    own = cost(op, *[SHAPE for _ in body.input], out=SHAPE)
    assert (own.flops, own.transcendentals) == (flops, evaluations)


@pytest.mark.parametrize(
    "op",
    ["Relu", "LeakyRelu", "ThresholdedRelu", "HardSigmoid", "HardSwish", "Elu", "Softplus",
     "Softsign", "Sigmoid", "Tanh", "Gelu", "Swish"],
)  # fmt: skip
def test_an_activation_costs_the_same_fused_and_alone(op: str) -> None:
    alone = cost(op, SHAPE, out=SHAPE)
    flops, evaluations = activation(op)
    assert (alone.flops, alone.transcendentals) == (flops * N, evaluations * N)


def test_gates_multiply_and_an_alpha_of_one_does_not() -> None:
    assert cost("Swish", SHAPE, out=SHAPE).flops == 2 * N
    assert cost("Swish", SHAPE, out=SHAPE, alpha=0.5).flops == 3 * N
    assert cost("SwiGLU", SHAPE, SHAPE, out=SHAPE).flops == 3 * N
    assert cost("QuickGelu", SHAPE, out=SHAPE, domain="com.microsoft").flops == 3 * N
    assert cost("QuickGelu", SHAPE, out=SHAPE, domain="com.microsoft", alpha=1.0).flops == 2 * N


def test_a_fused_gelu_adds_the_bias_that_it_has() -> None:
    assert cost("FastGelu", SHAPE, out=SHAPE, domain="com.microsoft").flops == 8 * N
    assert cost("BiasGelu", SHAPE, (5,), out=SHAPE, domain="com.microsoft").flops == 9 * N


def test_a_split_gelu_adds_a_bias_to_both_halves() -> None:
    # Per result: two sums, a Gelu of the right half, a product.
    found = cost("BiasSplitGelu", (2, 7, 10), (10,), out=(2, 7, 5), domain="com.microsoft")
    assert (found.flops, found.transcendentals) == (2 * 7 * 5 * 11, 2 * 7 * 5)


def test_a_linear_attention_gate_counts_decay_and_rate() -> None:
    options = {"domain": "com.microsoft"}
    head = (2, 6, 4)
    both = cost("LinearAttentionGate", head, (4,), (4,), head, out=head, **options)
    assert (both.flops, both.transcendentals) == (48 * 6, 48 * 3)
    decay = cost("LinearAttentionGate", head, (4,), (4,), out=head, **options)
    assert (decay.flops, decay.transcendentals) == (48 * 5, 48 * 2)


def test_paddle_counts_a_leaky_relu_and_no_other_activation() -> None:
    leaky = node("LeakyRelu", [SHAPE], [SHAPE])
    tally = row(leaky).paddle
    assert tally is not None
    assert tally(leaky) == N
    assert row(node("Relu", [SHAPE], [SHAPE])).paddle is None


@pytest.mark.parametrize("op", ["Add", "Relu", "Clip", "Exp", "BatchNormalization", "Softmax"])
def test_what_keeps_its_place_may_be_computed_in_place(op: str) -> None:
    assert row(node(op, [SHAPE], [SHAPE])).in_place


@pytest.mark.parametrize("op", ["Equal", "Where", "Transpose", "LayerNormalization", "Conv"])
def test_what_moves_or_changes_its_type_may_not(op: str) -> None:
    assert not row(node(op, [SHAPE], [SHAPE])).in_place
