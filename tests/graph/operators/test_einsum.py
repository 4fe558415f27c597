from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from onnx import ModelProto

from onnxbench.graph.formulas import parse
from onnxbench.graph.network import Unknown
from tests.graph.operators.counting import count, last
from tests.graph.operators.probing import Shape, model, node


def einsum(equation: str, *shapes: Shape) -> ModelProto:
    names = [f"x{index}" for index in range(len(shapes))]
    made = node("Einsum", " ".join(names), equation=equation)
    return model(made, dict(zip(names, shapes, strict=True)), None, {"y": ()})


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("ij,jk->ik", ((3, 4), (4, 5)), 60),
        (" i j , j k -> i k ", ((3, 4), (4, 5)), 60),
        ("ij,ij->ij", ((3, 4), (3, 4)), 12),
        ("i,j->ij", ((3,), (4,)), 12),
        ("i,i", ((4,), (4,)), 4),
        ("bij,bjk", ((2, 3, 4), (2, 4, 5)), 120),
        ("...ij,jk", ((2, 7, 3, 4), (4, 5)), 14 * 60),
        ("...ij,...jk->...ik", ((7, 2, 3, 4), (2, 4, 5)), 14 * 60),
        ("i...,j...->ij...", ((3, 6, 7), (4, 1, 7)), 12 * 42),
        ("...,...->...", ((6, 7), (6, 7)), 42),
        ("Ab,bA->A", ((3, 4), (4, 3)), 12),
        ("ab,bc,cd->ad", ((2, 3), (3, 4), (4, 5)), 2 * 3 * 4 + 2 * 4 * 5),
        ("ab,b,a->", ((2, 3), (3,), (2,)), 6 + 2),
        ("a,b,c->abc", ((2,), (3,), (4,)), 6 + 24),
        ("ab,bc,cd,de->ae", ((2, 3), (3, 4), (4, 5), (5, 6)), 24 + 40 + 60),
    ],
)
def test_macs_by_hand(equation: str, shapes: tuple[tuple[int, ...], ...], macs: int) -> None:
    np.einsum(equation.replace(" ", ""), *(np.zeros(shape) for shape in shapes))
    assert count(einsum(equation, *shapes)).macs == macs


@pytest.mark.parametrize(
    ("equation", "shape", "flops"),
    [("ij->ji", (3, 4), 0), ("...->...", (3, 4), 0), ("ij", (3, 4), 0), ("ii->i", (4, 4), 0),
     ("ij->", (3, 4), 12), ("ii", (4, 4), 4), ("...j->...", (2, 3, 4), 24)],
)  # fmt: skip
def test_one_operand_is_no_product(equation: str, shape: tuple[int, ...], flops: int) -> None:
    cost = count(einsum(equation, shape))
    assert (cost.macs, cost.flops) == (0, flops)


def test_open_sizes_stay_in_the_formula() -> None:
    cost = count(einsum("bqd,bkd->bqk", ("B", "S", 64), ("B", "S", 64)))
    assert cost.macs == parse("64*B*S**2")


def by_hand(labels: list[frozenset[str]], out: frozenset[str], sizes: dict[str, int]) -> int:
    """Return the least MACs by trying every order of pairs."""
    if len(labels) == 1:
        return 0
    best = None
    for one, other in combinations(range(len(labels)), 2):
        rest = [each for index, each in enumerate(labels) if index not in {one, other}]
        joined = labels[one] | labels[other]
        kept = joined & out.union(*rest)
        macs = int(np.prod([sizes[each] for each in joined]))
        total = macs + by_hand([*rest, kept], out, sizes)
        best = total if best is None else min(best, total)
    assert best is not None
    return best


@pytest.mark.parametrize(
    "equation", ["ab,bc,cd->ad", "ab,bc,cd,de->ae", "ab,ac,ad->bcd", "abc,bd,cd,a->", "a,b,c,ab->c"]
)
def test_the_note_names_the_best_order_where_the_left_is_not(equation: str) -> None:
    sizes = {"a": 2, "b": 30, "c": 4, "d": 50, "e": 3}
    left, _, out = equation.partition("->")
    terms = left.split(",")
    cost = count(einsum(equation, *(tuple(sizes[each] for each in term) for term in terms)))
    labels = [frozenset(term) for term in terms]
    best = by_hand(labels, frozenset(out), sizes)
    assert isinstance(cost.macs, int)
    assert best <= cost.macs
    assert cost.note == ("" if best == cost.macs else f"contracted in the best order: {best} MACs")


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [("ij,jk->ik", ((3, 4),)), ("ij->i", ((3,),)), ("ij,jk->iz", ((3, 4), (4, 5))),
     ("ij,jk->ik", ((3, 4), (5, 6))), ("i1->i", ((3, 4),)), ("i..->i", ((3, 4, 5),))],
)  # fmt: skip
def test_an_equation_that_does_not_fit_is_unknown(
    equation: str, shapes: tuple[tuple[int, ...], ...]
) -> None:
    with pytest.raises(Unknown):
        count(einsum(equation, *shapes))


def test_many_operands_are_not_searched_for_ever() -> None:
    chain = "abcdefghijklmnopqrst"
    equation = ",".join(f"{one}{other}" for one, other in pairwise(chain))
    cost = count(einsum(f"{equation}->at", *[(2, 2)] * 19))
    assert (cost.macs, cost.note) == (18 * 8, "")


def test_paddle_has_no_hook_for_it() -> None:
    found, row = last(einsum("ij,jk->ik", (3, 4), (4, 5)))
    assert row.paddle is not None
    assert row.paddle(found) == 0


@pytest.mark.timeout(20)
def test_thousands_of_operands_take_linear_time() -> None:
    equation = ",".join(["ab"] * 5000)
    assert count(einsum(f"{equation}->ab", *[(2, 3)] * 5000)).macs == 4999 * 6
