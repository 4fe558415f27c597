from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from onnxbench.graph.formulas import parse
from onnxbench.graph.network import Unknown
from tests.graph.operators.counting import count, last, microsoft
from tests.graph.operators.probing import INT32, Shape, ints, model, node, zeros

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def cell(
    op: str, names: str = "x w r", x: Shape = (5, 2, 3), directions: int = 1, **more: Any
) -> ModelProto:
    """T=5, B=2, I=3, H=4."""
    rows = GATES[op] * 4
    weights = {
        "w": zeros(directions, rows, 3), "r": zeros(directions, rows, 4),
        "b": zeros(directions, 2 * rows), "p": zeros(directions, 12), "c": zeros(directions, 2, 4),
        "l": ints(5, 2, dtype=np.int32),
    }  # fmt: skip
    used = {name: weights[name] for name in names.split() if name in weights}
    inputs = {"x": x} | ({"o": ((2,), INT32)} if " o" in names else {})
    return model(node(op, names, **more), inputs, used, {"y": ()}, opset=22)


@pytest.mark.parametrize(("op", "units"), [("RNN", 1), ("GRU", 8), ("LSTM", 9)])
def test_gates_are_macs_and_the_rest_of_a_unit_is_elementwise(op: str, units: int) -> None:
    cost = count(cell(op))
    assert cost.macs == 5 * 2 * GATES[op] * 4 * (3 + 4)
    assert cost.flops == 40 * units
    assert cost.transcendentals == 40 * {"RNN": 1, "GRU": 3, "LSTM": 5}[op]


def test_biases_and_peepholes_are_elementwise() -> None:
    assert count(cell("LSTM", "x w r b")).flops == 40 * 13
    assert count(cell("LSTM", "x w r b - - - p")).flops == 40 * 19
    assert count(cell("GRU", "x w r b")).flops == 40 * 11
    assert count(cell("GRU", "x w r b", linear_before_reset=1)).flops == 40 * 12


def test_activations_may_be_given_for_each_direction() -> None:
    plain = count(cell("RNN", directions=2, direction="bidirectional"))
    assert (plain.flops, plain.transcendentals) == (80, 80)
    given = ["Relu", "Softplus"]
    mixed = count(cell("RNN", directions=2, direction="bidirectional", activations=given))
    assert (mixed.flops, mixed.transcendentals) == (40 * 1 + 40 * 3, 40 * 2)
    with pytest.raises(Unknown, match="Wobble"):
        count(cell("RNN", activations=["Wobble"]))


def test_a_second_list_of_activations_means_nothing_to_one_direction() -> None:
    given = ["Relu", "Tanh"]
    assert count(cell("RNN", activations=given)).transcendentals == 0


def test_known_lengths_cut_the_sequences() -> None:
    cost = count(cell("LSTM", "x w r - l"))
    assert (cost.macs, cost.least) == (7 * 16 * 7, None)
    unknown = count(cell("LSTM", "x w r - o"))
    assert (unknown.macs, unknown.least) == (10 * 16 * 7, (0, 0))
    assert "lengths" in unknown.note


def test_open_lengths_and_batches_stay_in_the_formula() -> None:
    assert count(cell("LSTM", x=("T", "B", 3))).macs == parse("112*B*T")
    batch_first = count(cell("LSTM", x=("B", "T", 3), layout=1))
    assert batch_first.macs == parse("112*B*T")


def test_attributes_are_not_needed() -> None:
    assert count(cell("GRU")).macs == count(cell("GRU", hidden_size=4)).macs


def test_other_tools_count_nothing() -> None:
    found, row = last(cell("LSTM"))
    assert row.fvcore is not None
    assert row.paddle is not None
    assert (row.fvcore(found), row.paddle(found)) == (0, 0)


def test_quantized_weights_stand_the_other_way_round() -> None:
    weights = {"w": zeros(1, 3, 16, dtype=np.int8), "r": zeros(1, 4, 16, dtype=np.int8),
               "s": zeros(1), "z": zeros(1, dtype=np.int8)}  # fmt: skip
    made = microsoft("DynamicQuantizeLSTM", "x w r - - - - - s z s z", {"x": (5, 2, 3)}, weights)
    cost = count(made)
    assert (cost.macs, cost.operands) == (10 * 16 * 7, "uint8×int8")
    assert cost.flops == 40 * 9 + 10 * 7 * 4


def test_an_attention_wrapper_scores_its_memory_at_every_step() -> None:
    """T=5, B=2, I=3, H=4, attention 6, memory of 7 steps 8 wide, attention layer 9 wide."""
    weights = {
        "w": zeros(1, 16, 3 + 9), "r": zeros(1, 16, 4), "q": zeros(1, 4, 6), "m": zeros(1, 8, 6),
        "v": zeros(1, 6), "a": zeros(1, 12, 9),
    }  # fmt: skip
    inputs: dict[str, Any] = {"x": (5, 2, 3), "memory": (2, 7, 8)}
    made = microsoft("AttnLSTM", "x w r - - - - - q m v memory - a", inputs, weights)
    lstm = 10 * 16 * (12 + 4)
    attention = 10 * (4 * 6 + 7 * 6 + 7 * 8 + 12 * 9)
    cost = count(made)
    assert (cost.macs, cost.least) == (lstm + 2 * 7 * 8 * 6 + attention, None)
    inputs["l"] = ((2,), INT32)
    bounded = count(microsoft("AttnLSTM", "x w r - - - - - q m v memory l a", inputs, weights))
    assert (bounded.macs, bounded.least) == (cost.macs, (0, 0))
