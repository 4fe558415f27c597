"""Einsum: one pairwise contraction after the other (traps E1 and E2)."""

from __future__ import annotations

import string
from itertools import combinations
from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import product
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.operands import broadcast, paddle_nothing, times, type_name
from onnxbench.graph.operators.row import Operator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxbench.graph.dims import Count, Dim
    from onnxbench.graph.network import Node

    Labels = frozenset[str]

MAX_SEARCHED = 5
"""Operands up to which every order of contraction is tried: 3^5 splits at most."""


def einsum(node: Node) -> Cost:
    """Count the MACs of an Einsum, contracted from left to right.

    Two operands: the product of all distinct label sizes (E1), also where nothing is summed, as a
    MatMul of that shape would cost. More operands: after each step only labels remain that the
    output or a later operand has (E2); the note says what the cheapest order costs. One operand is
    no product: a sum over the labels that the output lacks, else a copy.
    """
    operands = [node.input(index) for index in range(len(node.inputs))]
    equation = node.attribute("equation")
    if not isinstance(equation, str):
        raise Unknown("Einsum lacks its equation")
    terms, out = _parsed(equation, [len(each.dims) for each in operands])
    sizes = _sizes(terms, [each.dims for each in operands])
    labels = [frozenset(term) for term in terms]
    kind = times(*(type_name(each) for each in operands))
    if len(operands) == 1:
        summed = labels[0] != frozenset(out)
        return Cost(flops=product(sizes[each] for each in labels[0]) if summed else 0)
    macs = _left_to_right(labels, frozenset(out), sizes)
    best = _cheapest(labels, frozenset(out), sizes)
    note = "" if best is None or best == macs else f"contracted in the best order: {best} MACs"
    return Cost(macs=macs, note=note, operands=kind)


def _parsed(equation: str, ranks: Sequence[int]) -> tuple[list[list[str]], list[str]]:
    """Return the labels of every operand and of the output; an ellipsis becomes ``.0 .1 …``.

    Numbers run from the right, so that operands whose ellipses differ in length broadcast. Raises
    Unknown: the equation does not fit the operands.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    written = left.split(",")
    if len(written) != len(ranks):
        raise Unknown(f"its equation names {len(written)} operands of {len(ranks)}")
    terms = [_term(text, rank) for text, rank in zip(written, ranks, strict=True)]
    dots = sorted({each for term in terms for each in term if each[0] == "."}, reverse=True)
    if arrow:
        before, ellipsis, after = right.partition("...")
        out = [*before, *(dots if ellipsis else ()), *after]
    else:
        letters = left.replace(".", "").replace(",", "")
        out = [*dots, *sorted(each for each in set(letters) if letters.count(each) == 1)]
    if not set(out) <= {each for term in terms for each in term}:
        raise Unknown("its equation puts out a label that no operand has")
    return terms, out


def _term(text: str, rank: int) -> list[str]:
    before, ellipsis, after = text.partition("...")
    open_axes = rank - len(before) - len(after) if ellipsis else 0
    labels = [*before, *(f".{index:02}" for index in reversed(range(open_axes))), *after]
    if len(labels) != rank or not set(before + after) <= set(string.ascii_letters):
        raise Unknown(f"its term {text[:40]!r} does not fit an operand with {rank} axes")
    return labels


def _sizes(terms: Sequence[Sequence[str]], shapes: Sequence[Sequence[Dim]]) -> Mapping[str, Dim]:
    sizes: dict[str, Dim] = {}
    for term, dims in zip(terms, shapes, strict=True):
        for label, dim in zip(term, dims, strict=True):
            sizes[label] = broadcast(sizes[label], dim) if label in sizes else dim
    return sizes


def _left_to_right(labels: Sequence[Labels], out: Labels, sizes: Mapping[str, Dim]) -> Count:
    wanted = [out]  # what the output and the operands behind each one have, from the last backwards
    for label in reversed(labels):
        wanted.append(wanted[-1] | label)
    macs: Count = 0
    kept = labels[0]
    for index, label in enumerate(labels[1:], 1):
        together = kept | label
        macs = macs + product(sizes[each] for each in sorted(together))
        kept = together & wanted[len(labels) - 1 - index]
    return macs


def _cheapest(labels: Sequence[Labels], out: Labels, sizes: Mapping[str, Dim]) -> int | None:
    """Return the MACs of the best order of pairwise contractions, by dynamic programming.

    None where a size is a symbol or there are too many operands to try every order.
    """
    known = {label: size for label, size in sizes.items() if isinstance(size, int)}
    if len(known) != len(sizes) or not 2 < len(labels) <= MAX_SEARCHED:
        return None
    everything = frozenset(range(len(labels)))
    kept: dict[frozenset[int], Labels] = {}
    best: dict[frozenset[int], int] = {}
    for count in range(1, len(labels) + 1):
        for chosen in map(frozenset, combinations(range(len(labels)), count)):
            outside = out.union(*(labels[each] for each in everything - chosen))
            if count == 1:
                kept[chosen], best[chosen] = labels[next(iter(chosen))], 0
                continue
            kept[chosen] = frozenset().union(*(labels[each] for each in chosen)) & outside
            best[chosen] = min(
                best[part] + best[chosen - part] + _pair(kept[part] | kept[chosen - part], known)
                for size in range(1, count // 2 + 1)
                for part in map(frozenset, combinations(chosen, size))
            )
    return best[everything]


def _pair(labels: Labels, sizes: Mapping[str, int]) -> int:
    macs = 1
    for each in labels:
        macs *= sizes[each]
    return macs


ROWS = {("", "Einsum"): Operator("contraction", einsum, paddle=paddle_nothing)}
