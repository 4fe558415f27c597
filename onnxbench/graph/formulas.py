"""Counts as text, and what they come to: formulas read, and their symbols replaced."""

from __future__ import annotations

import ast
import warnings
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from onnxbench.graph.dims import (
    FUNCTIONS,
    MAX_POWER,
    Expr,
    TooComplex,
    ceil_div,
    floor_div,
    made,
    maximum,
    minimum,
    modulo,
    product,
    quotient,
    rounded,
    symbol,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.graph.dims import Atom, Count

MAX_SOURCE_LENGTH = 4096

MAX_DEPTH = 40
"""Parentheses and calls inside one another in a dim's name."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Count:
    """Return the formula ``text``: numbers, names, ``+ - * / // % **``, floor, ceil, max, min, mod.

    sympy's names for these functions are understood. Raises ValueError: it is no such formula.
    """
    if len(text) > MAX_SOURCE_LENGTH:
        raise ValueError(f"a formula of {len(text):,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SyntaxWarning)  # of "1if", which is no name either
            tree = ast.parse(text.strip(), mode="eval")
        return _integral(_parsed(tree.body, 0))
    except (SyntaxError, TooComplex, RecursionError, MemoryError, ZeroDivisionError) as error:
        raise ValueError(f"{text[:100]!r} is no formula: {type(error).__name__}") from None


def symbols(count: Count) -> frozenset[str]:
    """Return the names that ``count`` depends on."""
    if isinstance(count, int):
        return frozenset()
    return frozenset().union(*(_symbols_of(atom) for key in count.terms for atom, _ in key))


def evaluate(count: Count, values: Mapping[str, Count]) -> Count:
    """Return ``count`` with the named symbols replaced: an ``int`` once none is left.

    Raises ZeroDivisionError.
    """
    return _integral(_evaluated(count, values))


def _evaluated(count: Count, values: Mapping[str, Count]) -> Count | Fraction:
    """Return the value of a formula, which need not be whole inside a floor."""
    if isinstance(count, int):
        return count
    total: Count | Fraction = 0
    for monomial, coefficient in count.terms.items():
        term: Count | Fraction = coefficient
        for atom, power in monomial:
            found = _value(atom, values)
            if isinstance(found, int):
                term = term * found**power
            else:
                for _ in range(power):
                    term = found * term
        # Fractions of a polynomial sum up to whole numbers only at the end.
        total = term + total
    return total


def _value(atom: Atom, values: Mapping[str, Count]) -> Count:
    if isinstance(atom, str):
        found = values.get(atom)
        return symbol(atom) if found is None else found
    return _called(atom.function, [_as_count(_evaluated(each, values)) for each in atom.arguments])


def _called(function: str, arguments: list[Count]) -> Count:
    if function in {"floor", "ceil"}:
        if len(arguments) == 1:
            return rounded(function, (arguments[0], 1))
        return (floor_div if function == "floor" else ceil_div)(*arguments)
    if function == "mod":
        return modulo(*arguments)
    return (maximum if function == "max" else minimum)(*arguments)


def _symbols_of(atom: Atom) -> frozenset[str]:
    if isinstance(atom, str):
        return frozenset({atom})
    return frozenset().union(*(symbols(each) for each in atom.arguments))


def _parsed(node: ast.expr, depth: int) -> Count | Fraction:
    if depth > MAX_DEPTH:
        raise TooComplex
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name):
        return symbol(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _parsed(node.operand, depth + 1) * -1
    if isinstance(node, ast.BinOp):
        return _combined(node, depth)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        function = {"ceiling": "ceil", "Max": "max", "Min": "min", "Mod": "mod"}.get(
            node.func.id, node.func.id
        )
        first = node.args[0] if function in {"floor", "ceil"} and len(node.args) == 1 else None
        if isinstance(first, ast.BinOp) and isinstance(first.op, ast.Div):
            return _rounded_quotient(function, first, depth + 1)
        arguments = [_parsed(each, depth + 1) for each in node.args]
        needed = {"floor": 1, "ceil": 1, "mod": 2}.get(function, len(arguments) or 1)
        if function in FUNCTIONS and len(arguments) == needed:
            return _called(function, [_as_count(each) for each in arguments])
    raise ValueError(f"{ast.unparse(node)[:100]!r} has no place in the formula of a dim")


def _rounded_quotient(function: str, node: ast.BinOp, depth: int) -> Count:
    """Read what is rounded: there a quotient may be none of whole numbers."""
    above, below = _parsed(node.left, depth + 1), _parsed(node.right, depth + 1)
    if isinstance(below, Fraction):
        above, below = above * (1 / below), 1
    return (floor_div if function == "floor" else ceil_div)(_as_count(above), below)


def _combined(node: ast.BinOp, depth: int) -> Count | Fraction:
    left, right = _parsed(node.left, depth + 1), _parsed(node.right, depth + 1)
    if isinstance(node.op, ast.Add):
        return left + right
    if isinstance(node.op, ast.Sub):
        return left - right
    if isinstance(node.op, ast.Mult):
        return left * right
    if isinstance(node.op, ast.FloorDiv):
        return floor_div(_as_count(left), _as_count(right))
    if isinstance(node.op, ast.Mod):
        return modulo(_as_count(left), _as_count(right))
    if isinstance(node.op, ast.Pow) and isinstance(right, int) and 0 <= right <= MAX_POWER:
        return product([_as_count(left)] * right)
    if isinstance(node.op, ast.Div):
        if isinstance(right, Expr):
            above, below = quotient(_as_count(left), right)
            if below != 1:
                raise ValueError("a quotient of symbols is no whole number")
            return above
        return left * (1 / Fraction(right))
    raise ValueError(f"{type(node.op).__name__} has no place in the formula of a dim")


def _as_count(value: Count | Fraction) -> Count:
    """Return ``value``; a fraction becomes a polynomial that is constant, until it is rounded."""
    return Expr({(): value}) if isinstance(value, Fraction) else value


def _integral(value: Count | Fraction) -> Count:
    if isinstance(value, Fraction):
        if value.denominator != 1:
            raise ValueError(f"{value} is no whole number")
        return value.numerator
    return made(value.terms) if isinstance(value, Expr) else value
