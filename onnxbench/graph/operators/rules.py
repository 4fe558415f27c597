"""Rules that many operators share: so many operations per element, a copy, a view, a look-up.

One operation on one element is one FLOP, whatever its type: a sum, a product, a quotient, a
comparison, a bit operation, and one evaluation of a transcendental function (N3 of the trap
table), which counts in ``Cost.transcendentals`` too. Choosing between two values is none.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.network import Unknown, packed_bytes
from onnxbench.graph.payloads import BITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node, Tensor
    from onnxbench.graph.operators.row import Rule, Tally


def per_output(flops: int, evaluations: int = 0, formula: str = "") -> Rule:
    """Return the rule "``flops`` per element of the first output".

    ``evaluations``: how many of them are of transcendental functions. ``formula``: what is
    computed, for the documentation.
    """

    def rule(node: Node) -> Cost:
        elements = node.output().elements
        return Cost(flops=elements * flops, transcendentals=elements * evaluations)

    rule.__doc__ = _described(flops, evaluations, "output", formula)
    return rule


def per_input(flops: int, evaluations: int = 0, formula: str = "") -> Rule:
    """Return the rule "``flops`` per element of the first input"."""

    def rule(node: Node) -> Cost:
        elements = node.input(0).elements
        return Cost(flops=elements * flops, transcendentals=elements * evaluations)

    rule.__doc__ = _described(flops, evaluations, "input", formula)
    return rule


def tally_per_input(times: int, source: str) -> Tally:
    """Return the tally "``times`` the elements of the first input"; ``source`` says whose."""

    def tally(node: Node) -> Count:
        return node.input(0).elements * times

    tally.__doc__ = f"{times} per input element ({source})."
    return tally


def tally_per_output(times: int, source: str) -> Tally:
    """Return the tally "``times`` the elements of the first output"; ``source`` says whose."""

    def tally(node: Node) -> Count:
        return node.output().elements * times

    tally.__doc__ = f"{times} per output element ({source})."
    return tally


_COPY = Cost()
_ALIAS = Cost(bytes_read=0, bytes_written=0)


def copy(_: Node) -> Cost:
    """No arithmetic: every input is read and every output is written."""
    return _COPY


def alias(_: Node) -> Cost:
    """No work at all: the same bytes under a new shape or name (V1)."""
    return _ALIAS


def uncounted(what: str) -> Rule:
    """Return a rule of no FLOPs that notes the work which is none: ``what`` is not counted."""

    def rule(_: Node) -> Cost:
        return Cost(note=f"{what} not counted")

    rule.__doc__ = f"0 FLOPs: {what} not counted."
    return rule


def moving(rule: Rule) -> Rule:
    """Return ``rule``, which counts bytes alone, for nodes whose bytes are not all known too.

    What is not known of bytes says nothing of arithmetic, of which there is none.
    """

    @wraps(rule)
    def of_known_bytes(node: Node) -> Cost:
        try:
            return rule(node)
        except Unknown as unknown:
            return Cost(note=f"how much is read or written is not known: {unknown}")

    return of_known_bytes


def touched(node: Node, tables: Mapping[int, Count]) -> Count:
    """Return the bytes read where of some inputs only a part is (G1).

    ``tables``: how many elements are read of the input at an index. Every other input is read
    whole, one that is connected twice once. Raises Unknown.
    """
    whole: dict[int, Tensor] = {}
    total: Count = 0
    for index, tensor in enumerate(node.inputs):
        if tensor is None:
            continue
        if index in tables:
            total = total + packed_bytes(tables[index], BITS.get(tensor.dtype, 8))
        else:
            whole[id(tensor)] = tensor
    for tensor in whole.values():
        total = total + tensor.bytes
    return total


def _described(flops: int, evaluations: int, side: str, formula: str) -> str:
    text = f"{flops} FLOP{'' if flops == 1 else 's'} per {side} element"
    if evaluations:
        text += f", {evaluations} transcendental"
    return f"{text}: {formula}." if formula else f"{text}."
