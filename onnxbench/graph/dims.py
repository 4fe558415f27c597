"""Dimensions and counts that may hold symbols: exact polynomials in the file's own dim names.

A dim of a static graph is a plain ``int``, and so is everything computed from such dims. A dim that
the file leaves open is an `Expr`: a polynomial with rational coefficients over atoms, where an atom
is a symbol (``batch``) or a call that is no polynomial (``floor((H - 1)/2)``). Both kinds add and
multiply, so a formula of a cost is written once. Whatever becomes constant turns back into ``int``.

sympy does all this and more, but its import alone takes longer than the analysis of a network.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
import warnings
from collections import Counter
from fractions import Fraction
from functools import lru_cache
from operator import index
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Number = int | Fraction

MAX_TERMS = 10_000
"""Terms of one polynomial; a hostile file could multiply sums without end."""

MAX_POWER = 64

MAX_SOURCE_LENGTH = 4096

MAX_DEPTH = 40
"""Parentheses and calls inside one another in a dim's name."""

_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_FUNCTIONS = frozenset({"floor", "ceil", "max", "min", "mod"})


class TooComplex(Exception):
    """An expression grew beyond what is of use to anybody; the value is unknown then."""


class _Call(NamedTuple):
    """An atom that is no symbol: ``floor``, ``ceil``, ``max``, ``min`` or ``mod`` of counts."""

    function: str
    arguments: tuple[Count, ...]


class Expr:
    """An immutable polynomial that is not constant. Made by `symbol`, `parse` and arithmetic."""

    __slots__ = ("_hash", "terms")

    def __init__(self, terms: Mapping[_Monomial, Number]) -> None:
        self.terms = dict(terms)
        self._hash: int | None = None

    def __add__(self, other: Count | Fraction) -> Count:
        terms = dict(self.terms)
        for monomial, coefficient in _terms(other):
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return _made(terms)

    def __mul__(self, other: Count | Fraction) -> Count:
        others = list(_terms(other))
        if len(self.terms) * len(others) > MAX_TERMS:
            raise TooComplex
        terms: dict[_Monomial, Number] = {}
        for left, by in self.terms.items():
            for right, factor in others:
                monomial = _product(left, right)
                terms[monomial] = terms.get(monomial, 0) + by * factor
        return _made(terms)

    def __neg__(self) -> Expr:
        return Expr({monomial: -coefficient for monomial, coefficient in self.terms.items()})

    def __sub__(self, other: Count | Fraction) -> Count:
        return self + other * -1

    def __rsub__(self, other: Count | Fraction) -> Count:
        return -self + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self.terms == other.terms

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __repr__(self) -> str:
        return f"Expr({self})"

    def __str__(self) -> str:
        """Return the formula in Python's notation: ``18432*B*S**2 + 123532032*B*S``."""
        return _written(self, "*", lambda power: f"**{power}")

    def pretty(self) -> str:
        """Return the formula as it is printed for people: ``18432·B·S² + 123532032·B·S``."""
        return _written(self, "·", lambda power: str(power).translate(_SUPERSCRIPT))


Count = int | Expr
"""A number of things: known, or a formula."""

Dim = int | Expr
"""The size of one axis."""

_Atom = str | _Call
_Monomial = tuple[tuple[_Atom, int], ...]
"""Atoms with their powers, sorted; () is the constant term."""


def symbol(name: str) -> Expr:
    """Return the open dim ``name``, which may be any Python identifier but a keyword.

    Raises ValueError otherwise.
    """
    if not _IDENTIFIER.fullmatch(name) or name in _FUNCTIONS or keyword.iskeyword(name):
        raise ValueError(f"{name[:100]!r} is no name of a symbol")
    return Expr({((name, 1),): 1})


def floor_div(dividend: Count, divisor: Count) -> Count:
    """Return ``dividend // divisor``. Raises ZeroDivisionError."""
    if isinstance(dividend, int) and isinstance(divisor, int):
        return dividend // divisor
    return _rounded("floor", _quotient(dividend, divisor))


def ceil_div(dividend: Count, divisor: Count) -> Count:
    """Return the quotient rounded up. Raises ZeroDivisionError."""
    if isinstance(dividend, int) and isinstance(divisor, int):
        return -(-dividend // divisor)
    return _rounded("ceil", _quotient(dividend, divisor))


def modulo(dividend: Count, divisor: Count) -> Count:
    """Return the remainder with the divisor's sign, as Python's ``%``. Raises ZeroDivisionError."""
    if isinstance(dividend, int) and isinstance(divisor, int):
        return dividend % divisor
    if divisor == 0:
        raise ZeroDivisionError
    return _atom(_Call("mod", (dividend, divisor)))


def maximum(*counts: Count) -> Count:
    """Return the greatest of ``counts``."""
    return _extreme("max", max, counts)


def minimum(*counts: Count) -> Count:
    """Return the smallest of ``counts``."""
    return _extreme("min", min, counts)


def product(counts: Iterable[Count]) -> Count:
    """Return the product of ``counts``; 1 of none."""
    total: Count = 1
    for count in counts:
        total = total * count
    return total


class Total:
    """A sum under way: many counts are added faster here than one after the other."""

    __slots__ = ("_constant", "_terms")

    def __init__(self) -> None:
        self._constant = 0
        self._terms: dict[_Monomial, Number] = {}

    def add(self, count: Count) -> None:
        """Add ``count``."""
        if isinstance(count, int):
            self._constant += count
            return
        terms = self._terms
        for monomial, coefficient in count.terms.items():
            terms[monomial] = terms.get(monomial, 0) + coefficient
        if len(terms) > MAX_TERMS:
            raise TooComplex

    def value(self) -> Count:
        """Return the sum so far."""
        return _made({**self._terms, (): self._terms.get((), 0) + self._constant})


def total(counts: Iterable[Count | None]) -> Count:
    """Return the sum of ``counts``, those that are None left out."""
    constant = 0
    terms = Total()
    for count in counts:
        if type(count) is int:  # nearly always
            constant += count
        elif count is not None:
            terms.add(count)
    return terms.value() + constant


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


# ---------------------------------------------------------------------------------- arithmetic


def _terms(count: Count | Fraction) -> Iterable[tuple[_Monomial, Number]]:
    if isinstance(count, Expr):
        return count.terms.items()
    # A list from a stranger's node would multiply too; NumPy's integers are welcome.
    return (((), count if isinstance(count, Fraction) else index(count)),)


def _made(terms: Mapping[_Monomial, Number]) -> Count:
    """Return the sum of ``terms``: an int if it is constant, which it must be in whole numbers."""
    kept = {monomial: _whole(coefficient) for monomial, coefficient in terms.items() if coefficient}
    if len(kept) > MAX_TERMS:
        raise TooComplex
    if not kept:
        return 0
    if len(kept) == 1 and () in kept:
        constant = kept[()]
        return constant if isinstance(constant, int) else Expr(kept)
    return Expr(kept)


def _whole(number: Number) -> Number:
    if isinstance(number, Fraction) and number.denominator == 1:
        return number.numerator
    return number


def _product(left: _Monomial, right: _Monomial) -> _Monomial:
    if not left or not right:
        return left or right
    powers: Counter[_Atom] = Counter()
    for atom, power in (*left, *right):
        powers[atom] += power
    if max(powers.values()) > MAX_POWER:
        raise TooComplex
    return tuple(sorted(powers.items(), key=_order))


def _order(item: tuple[_Atom, int]) -> tuple[bool, str]:
    return isinstance(item[0], _Call), _name(item[0])


def _atom(call: _Call) -> Expr:
    return Expr({((call, 1),): 1})


def _quotient(dividend: Count, divisor: Count) -> tuple[Count, Count]:
    """Return the fraction with what obviously divides both taken out."""
    if divisor == 0:
        raise ZeroDivisionError
    if dividend == 0:
        return 0, 1
    if isinstance(divisor, int):
        return dividend * Fraction(1, divisor) if isinstance(dividend, Expr) else dividend, (
            1 if isinstance(dividend, Expr) else divisor
        )
    if len(divisor.terms) == 1:
        ((below, by),) = divisor.terms.items()
        reduced: dict[_Monomial, Number] = {}
        for monomial, coefficient in _terms(dividend):
            left = dict(monomial)
            for atom, power in below:
                left[atom] = left.get(atom, 0) - power
                if left[atom] < 0:
                    return dividend, divisor
            key = tuple((atom, power) for atom, power in left.items() if power)
            reduced[key] = Fraction(coefficient) / by
        return _made(reduced), 1
    return (1, 1) if dividend == divisor else (dividend, divisor)


def _rounded(function: str, fraction: tuple[Count, Count]) -> Count:
    dividend, divisor = fraction
    if divisor != 1:
        return _atom(_Call(function, (dividend, divisor)))
    return _round_polynomial(function, dividend)


def _round_polynomial(function: str, value: Count) -> Count:
    """Round a polynomial: terms with whole coefficients are whole and stand outside."""
    if isinstance(value, int):
        return value
    outside = {key: number for key, number in value.terms.items() if isinstance(number, int)}
    inside = {key: number for key, number in value.terms.items() if key not in outside}
    if not inside:
        return value
    constant = inside.get((), 0)
    if set(inside) == {()}:
        whole = math.floor(constant) if function == "floor" else math.ceil(constant)
        return _made({**outside, (): outside.get((), 0) + whole})
    if isinstance(constant, Fraction):  # floor(H/2 + 3/2) = floor(H/2 + 1/2) + 1
        whole = math.floor(constant)
        inside[()] = constant - whole
        outside[()] = outside.get((), 0) + whole
    return _atom(_Call(function, (_made(inside),))) + _made(outside)


def _extreme(function: str, of: Callable[[Iterable[int]], int], counts: tuple[Count, ...]) -> Count:
    flat: dict[Count, None] = {}
    for count in counts:
        call = _only_call(count, function)
        flat.update(dict.fromkeys(call.arguments if call is not None else (count,)))
    opposite = "min" if function == "max" else "max"
    for count in list(flat):  # max(S, min(S, 64)) is S
        call = _only_call(count, opposite)
        if call is not None and any(each in flat for each in call.arguments):
            del flat[count]
    numbers = [count for count in flat if isinstance(count, int)]
    others = sorted((count for count in flat if not isinstance(count, int)), key=str)
    if numbers:
        best = of(numbers)
        # A dim is at least 0 (and whatever is known about it here is only that).
        others_or_best: list[Count] = [*others, best] if others else [best]
    else:
        others_or_best = list(others)
    if len(others_or_best) == 1:
        return others_or_best[0]
    return _atom(_Call(function, tuple(others_or_best)))


def _only_call(count: Count, function: str) -> _Call | None:
    if isinstance(count, Expr) and len(count.terms) == 1:
        ((monomial, coefficient),) = count.terms.items()
        if coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1:
            atom = monomial[0][0]
            if isinstance(atom, _Call) and atom.function == function:
                return atom
    return None


def _value(atom: _Atom, values: Mapping[str, Count]) -> Count:
    if isinstance(atom, str):
        found = values.get(atom)
        return symbol(atom) if found is None else found
    return _called(atom.function, [_as_count(_evaluated(each, values)) for each in atom.arguments])


def _called(function: str, arguments: list[Count]) -> Count:
    if function in {"floor", "ceil"}:
        if len(arguments) == 1:
            return _rounded(function, (arguments[0], 1))
        return (floor_div if function == "floor" else ceil_div)(*arguments)
    if function == "mod":
        return modulo(*arguments)
    return (maximum if function == "max" else minimum)(*arguments)


def _symbols_of(atom: _Atom) -> frozenset[str]:
    if isinstance(atom, str):
        return frozenset({atom})
    return frozenset().union(*(symbols(each) for each in atom.arguments))


# ------------------------------------------------------------------------------------- writing


def _name(atom: _Atom) -> str:
    if isinstance(atom, str):
        return atom
    if len(atom.arguments) == 2 and atom.function in {"floor", "ceil"}:
        above, below = atom.arguments
        return f"{atom.function}(({above})/({below}))"
    return f"{atom.function}({', '.join(str(each) for each in atom.arguments)})"


def _written(expr: Expr, times: str, raised: Callable[[int], str]) -> str:
    text = ""
    for monomial, coefficient in sorted(expr.terms.items(), key=_rank):
        size = abs(coefficient)
        number = f"{size.numerator}" if isinstance(size, Fraction) else f"{size}"
        factors = [] if number == "1" and monomial else [number]
        factors += [_name(atom) + (raised(power) if power > 1 else "") for atom, power in monomial]
        term = times.join(factors)
        if isinstance(size, Fraction):
            term += f"/{size.denominator}"
        sign = "-" if coefficient < 0 else "+"
        text += (f" {sign} " if text else sign.strip("+")) + term
    return text


def _rank(item: tuple[_Monomial, Number]) -> tuple[int, list[tuple[bool, str]]]:
    """Order terms by falling degree, then by name."""
    monomial = item[0]
    return -sum(power for _, power in monomial), [_order(each) for each in monomial]


# ------------------------------------------------------------------------------------- parsing


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
        if function in _FUNCTIONS and len(arguments) == needed:
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
            above, below = _quotient(_as_count(left), right)
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
    return _made(value.terms) if isinstance(value, Expr) else value
