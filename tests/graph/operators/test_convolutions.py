from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from onnxbench.graph.dims import Count
from onnxbench.graph.formulas import parse
from onnxbench.graph.network import Unknown
from tests.graph.operators.counting import count, last
from tests.graph.operators.probing import INT32, MS, UINT8, Typed, model, node, zeros


def conv(op: str = "Conv", bias: int = 0, domain: str = "", **more: Any) -> ModelProto:
    """A Conv, or a ConvTranspose of stride 2, whose weights are [8, 4, 3, 3]."""
    transposed = op.startswith("ConvTranspose")
    weights = {"w": zeros(8, 4, 3, 3)} | ({"b": zeros(bias)} if bias else {})
    x, y = ((1, 8, 5, 5), (1, 4, 11, 11)) if transposed else ((1, 4, 6, 6), (1, 8, 4, 4))
    made = node(op, "x w b" if bias else "x w", domain=domain, **more)
    return model(made, {"x": x}, weights, {"y": y})


@pytest.mark.parametrize(
    ("activation", "flops", "transcendentals"),
    [("Relu", 1, 0), ("LeakyRelu", 2, 0), ("Sigmoid", 1, 1), ("HardSigmoid", 4, 0)],
)
def test_a_fused_activation_costs_what_it_costs_alone(
    activation: str, flops: int, transcendentals: int
) -> None:
    cost = count(conv("FusedConv", domain=MS, activation=activation))
    assert cost.macs == 8 * 16 * 36
    assert cost.flops == 128 * flops
    assert cost.transcendentals == 128 * transcendentals


def test_an_activation_that_nobody_knows_is_unknown_not_free() -> None:
    with pytest.raises(Unknown, match="Wobble"):
        count(conv("FusedConv", domain=MS, activation="Wobble"))


def test_a_kernel_without_channels_is_unknown() -> None:
    made = model(node("Conv", "x w"), {"x": (1, 4, 6, 6), "w": (8,)}, None, {"y": (1, 8, 4, 4)})
    with pytest.raises(Unknown, match="kernel"):
        count(made)


def test_an_open_output_is_unknown() -> None:
    made = model(node("Conv", "x w"), {"x": (1, 4, 6, 6)}, {"w": zeros(8, 4, 3, 3)})
    made.graph.output[0].type.tensor_type.ClearField("shape")
    with pytest.raises(Unknown, match="'y'"):
        count(made)


def test_open_sizes_of_an_image_stay_in_the_formula() -> None:
    made = model(node("Conv", "x w", pads=[1, 1, 1, 1]), {"x": ("B", 4, "H", "W")},
                 {"w": zeros(8, 4, 3, 3)}, {"y": ("B", 8, "H", "W")})  # fmt: skip
    assert count(made).macs == parse("288*B*H*W")


def test_a_transposed_convolution_needs_no_output_shape_without_a_bias() -> None:
    made = conv("ConvTranspose", strides=[2, 2])
    made.graph.output[0].type.tensor_type.ClearField("shape")
    assert count(made).macs == 8 * 25 * 36


def test_deformable_sampling_in_three_dims_takes_eight_neighbours() -> None:
    inputs: dict[str, Typed] = {"x": (1, 2, 4, 4, 4), "o": (1, 24, 3, 3, 3)}
    made = model(node("DeformConv", "x w o"), inputs, {"w": zeros(3, 2, 2, 2, 2)},
                 {"y": (1, 3, 3, 3, 3)}, opset=19)  # fmt: skip
    cost = count(made)
    assert cost.macs == 3 * 27 * 16
    assert cost.flops == 2 * 8 * 27 * 2 * 8


def test_a_causal_convolution_over_packed_sequences() -> None:
    made = model(
        node("VarlenCausalConvWithState", "x w c b s", "y t", MS, activation="silu"),
        {"x": ("T", 6), "c": ((3,), INT32), "s": (2, 6, 3)},
        {"w": zeros(6, 1, 4), "b": zeros(6)},
        {"y": ("T", 6), "t": (2, 6, 3)},
    )
    cost = count(made)
    assert (cost.macs, cost.flops) == (parse("24*T"), parse("18*T"))


def test_an_embedding_of_words_slides_over_their_characters() -> None:
    made = model(
        node("WordConvEmbedding", "s w b c", domain=MS),
        {"s": ((5, 7), INT32)},
        {"w": zeros(4, 1, 3, 6), "b": zeros(4), "c": zeros(30, 6)},
        {"y": (5, 4)},
    )
    assert count(made).macs == 5 * (7 - 3 + 1) * 4 * 3 * 6


def test_the_layout_that_onnx_runtime_saves_is_counted_as_it_runs() -> None:
    made = model(node("Conv", "x w", domain="com.microsoft.nchwc", activation="Relu"),
                 {"x": (1, 8, 6, 6)}, {"w": zeros(8, 8, 3, 3)}, {"y": (1, 8, 4, 4)})  # fmt: skip
    assert (count(made).macs, count(made).flops) == (8 * 16 * 72, 128)


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (conv(), 8 * 16 * 36),
        (conv(bias=8), 8 * 16 * 37),
        (conv("ConvTranspose", bias=4, strides=[2, 2]), 4 * 121 * (8 * 9 + 1)),
        (conv("ConvTranspose", strides=[2, 2], group=2), 4 * 121 * 4 * 9),
    ],
)
def test_paddle_counts_biases_and_takes_transposed_convolutions_for_plain(
    made: ModelProto, wanted: Count
) -> None:
    found, row = last(made)
    assert row.paddle is not None
    assert row.paddle(found) == wanted


def test_types_are_those_that_are_multiplied() -> None:
    weights = {"w": zeros(8, 4, 3, 3, dtype=np.uint8)}
    made = model(node("ConvInteger", "x w"), {"x": ((1, 4, 6, 6), UINT8)}, weights)
    assert count(made).operands == "uint8"


def test_a_dequantized_pair_is_labelled_by_what_is_stored() -> None:
    nodes = [
        node("DequantizeLinear", "xq s", "x"), node("DequantizeLinear", "wq s", "v"),
        node("Reshape", "v n", "w"), node("Conv", "x w"),
    ]  # fmt: skip
    weights = {"s": np.array(0.5, np.float32), "wq": zeros(288, dtype=np.int8),
               "n": np.array([8, 4, 3, 3])}  # fmt: skip
    made = model(nodes, {"xq": ((1, 4, 6, 6), UINT8)}, weights)
    assert count(made).operands == "fp32 (qdq uint8×int8)"


def test_one_side_alone_that_is_dequantized_is_multiplied_as_float() -> None:
    weights = {"s": np.array(0.5, np.float32), "wq": zeros(8, 4, 3, 3, dtype=np.int8)}
    nodes = [node("DequantizeLinear", "wq s", "w"), node("Conv", "x w")]
    assert count(model(nodes, {"x": (1, 4, 6, 6)}, weights)).operands == "fp32"
    nodes = [node("DequantizeLinear", "xq s", "x"), node("Conv", "x w")]
    inputs: dict[str, Typed] = {"xq": ((1, 4, 6, 6), UINT8), "w": (8, 4, 3, 3)}
    assert count(model(nodes, inputs, {"s": weights["s"]})).operands == "fp32"
