"""Recurrent networks (trap R1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import maximum, minimum
from onnxbench.graph.operators.operands import (
    activation,
    fvcore_nothing,
    multiplied,
    numbers,
    paddle_nothing,
    shape,
    times,
    type_name,
)
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.totals import Total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.graph.dims import Count, Dim
    from onnxbench.graph.network import Node

_DEFAULTS = {
    "RNN": ("Tanh",),
    "GRU": ("Sigmoid", "Tanh"),
    "LSTM": ("Sigmoid", "Tanh", "Tanh"),
}
_USES = {"RNN": (1,), "GRU": (2, 1), "LSTM": (3, 1, 1)}
"""How often a step applies each activation: f to the gates, g to the candidate, h to the cell."""

_COMBINING = {"RNN": 0, "GRU": 5, "LSTM": 4}
"""FLOPs per hidden unit that put gates and states together.

GRU: r ⊙ h, then (1 - z) ⊙ h' + z ⊙ h. LSTM: f ⊙ c + i ⊙ c', then o ⊙ h(c).
"""

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def lstm(node: Node) -> Cost:
    """Count an LSTM: G = 4 gates; W is [directions, 4H, I]."""
    return _recurrent(node, "LSTM")


def gru(node: Node) -> Cost:
    """Count a GRU: G = 3 gates; W is [directions, 3H, I]."""
    return _recurrent(node, "GRU")


def rnn(node: Node) -> Cost:
    """Count a plain RNN: G = 1; W is [directions, H, I]."""
    return _recurrent(node, "RNN")


def dynamic_quantize_lstm(node: Node) -> Cost:
    """Count an LSTM with int8 weights W [directions, I, 4H] and R [directions, H, 4H].

    What is multiplied with them is quantized to uint8 step by step: four FLOPs per element.
    """
    cost = _recurrent(node, "LSTM", inputs_axis=1)
    directions, hidden, _ = shape(node.input(2), 3)
    inputs = shape(node.input(0), 3)[2]
    quantized = directions * _steps(node) * (inputs + hidden) * 4
    return Cost(
        macs=cost.macs,
        flops=cost.flops + quantized,
        transcendentals=cost.transcendentals,
        least=cost.least,
        note=cost.note,
        operands=times("uint8", type_name(node.input(1))),
    )


def attn_lstm(node: Node) -> Cost:
    """Count an LSTM in a Bahdanau attention wrapper, whose output is an input of the next step.

    Per step: the query's projection, V · tanh(keys + query), the context, and the attention layer
    AW where there is one. Once: the keys, memory · MW.
    """
    directions, _, hidden = shape(node.input(2), 3)
    wrapped = _recurrent(node, "LSTM")
    _, depth, attention = shape(node.input(9), 3)
    batch, memory, _ = shape(node.input(11), 3)
    per_step = hidden * attention + memory * attention + memory * depth
    if node.optional(13) is not None:
        per_step = per_step + (depth + hidden) * shape(node.input(13), 3)[2]
    once = directions * batch * memory * depth * attention
    steps = directions * _steps(node)
    cut = node.optional(4) is not None or node.optional(12) is not None
    return Cost(
        macs=wrapped.macs + once + steps * per_step,
        flops=wrapped.flops + steps * memory * (2 * attention + 5),
        transcendentals=wrapped.transcendentals + steps * memory * (attention + 1),
        least=(0, 0) if cut else None,
        note="the lengths of its sequences are an input; taken in full" if cut else "",
        operands=multiplied(node.input(0), node.input(1)),
    )


def _recurrent(node: Node, cell: str, *, inputs_axis: int = 2) -> Cost:
    """Count directions · T · B · G · H · (I + H) MACs (R1).

    H and I come from the weights, for the attributes are optional; layout 1 swaps T and B, whose
    product it is. Gate arithmetic is elementwise: activations, biases (one sum per gate), peepholes
    and the states.
    ``sequence_lens`` that are an input leave the number of steps open: T is the most.
    """
    gates = _GATES[cell]
    directions, first, second = shape(node.input(2), 3)
    hidden = second if inputs_axis == 2 else first
    inputs = shape(node.input(1), 3)[inputs_axis]
    steps, note = _steps(node), ""
    if node.optional(4) is not None:
        known = numbers(node.optional(4))
        if known is None:
            note = "the lengths of its sequences are an input; taken in full"
        else:
            steps = _sum(known)
    flops, transcendentals = _unit(node, cell, directions)
    units = steps * hidden
    macs = directions * units * gates * (inputs + hidden)
    return Cost(
        macs=macs,
        flops=units * flops,
        transcendentals=units * transcendentals,
        least=(0, 0) if note else None,
        note=note,
        operands=multiplied(node.input(0), node.input(1)),
    )


def _unit(node: Node, cell: str, directions: Dim) -> tuple[Count, Count]:
    """Return (FLOPs, transcendentals) of one hidden unit in one step, over all directions."""
    given: Sequence[str] = node.attribute("activations") or _DEFAULTS[cell]
    own = len(_DEFAULTS[cell])
    ways = [given[:own], given[own:] or given[:own]]  # a second direction has its own list
    fixed = _COMBINING[cell]
    if node.optional(3) is not None:
        fixed += _GATES[cell] + int(cell == "GRU" and bool(node.attribute("linear_before_reset")))
    if cell == "LSTM" and node.optional(7) is not None:
        fixed += 6  # three peepholes, each a product and a sum
    flops: Count = fixed * directions
    transcendentals: Count = 0
    for index, names in enumerate(ways):
        present = minimum(maximum(directions - index, 0), 1)
        for name, uses in zip(names, _USES[cell], strict=False):
            each, curved = activation(name)
            flops = flops + present * (each * uses)
            transcendentals = transcendentals + present * (curved * uses)
    return flops, transcendentals


def _steps(node: Node) -> Count:
    first, second, _ = shape(node.input(0), 3)
    return first * second


def _sum(counts: Sequence[Count]) -> Count:
    total = Total()
    for each in counts:
        total.add(each)
    return total.value()


ROWS = {
    ("", "LSTM"): Operator("contraction", lstm, fvcore=fvcore_nothing, paddle=paddle_nothing),
    ("", "GRU"): Operator("contraction", gru, fvcore=fvcore_nothing, paddle=paddle_nothing),
    ("", "RNN"): Operator("contraction", rnn, fvcore=fvcore_nothing, paddle=paddle_nothing),
    ("com.microsoft", "DynamicQuantizeLSTM"): Operator("contraction", dynamic_quantize_lstm),
    ("com.microsoft", "AttnLSTM"): Operator("contraction", attn_lstm),
}
