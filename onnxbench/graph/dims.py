"""Dimensions and counts that may hold symbols: exact polynomials in the file's own dim names.

A dim of a static graph is a plain ``int``, and so is everything computed from such dims. A dim that
the file leaves open is an `Expr`: a polynomial with rational coefficients over atoms, where an atom
is a symbol (``batch``) or a call that is no polynomial (``floor((H - 1)/2)``). Both kinds add and
multiply, so a formula of a cost is written once. Whatever becomes constant turns back into ``int``.

sympy does all this and more, but its import alone takes longer than the analysis of a network.
"""

from __future__ import annotations

import keyword
import math
import re
from collections import Counter
from fractions import Fraction
from operator import index
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Number = int | Fraction

MAX_TERMS = 10_000
"""Terms of one polynomial; a hostile file could multiply sums without end."""

MAX_POWER = 64

_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
FUNCTIONS = frozenset({"floor", "ceil", "max", "min", "mod"})


class TooComplex(Exception):
    """An expression grew beyond what is of use to anybody; the value is unknown then."""


class Call(NamedTuple):
    """An atom that is no symbol: ``floor``, ``ceil``, ``max``, ``min`` or ``mod`` of counts."""

    function: str
    arguments: tuple[Count, ...]


class Expr:
    """An immutable polynomial that is not constant.

    Made by `symbol`, by arithmetic and from text by `onnxbench.graph.formulas`.
    """

    __slots__ = ("_hash", "terms")

    def __init__(self, terms: Mapping[Monomial, Number]) -> None:
        self.terms = dict(terms)
        self._hash: int | None = None

    def __add__(self, other: Count | Fraction) -> Count:
        terms = dict(self.terms)
        for monomial, coefficient in _terms(other):
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return made(terms)

    def __mul__(self, other: Count | Fraction) -> Count:
        others = list(_terms(other))
        if len(self.terms) * len(others) > MAX_TERMS:
            raise TooComplex
        terms: dict[Monomial, Number] = {}
        for left, by in self.terms.items():
            for right, factor in others:
                monomial = _product(left, right)
                terms[monomial] = terms.get(monomial, 0) + by * factor
        return made(terms)

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

Atom = str | Call
Monomial = tuple[tuple[Atom, int], ...]
"""Atoms with their powers, sorted; () is the constant term."""


def symbol(name: str) -> Expr:
    """Return the open dim ``name``, which may be any Python identifier but a keyword.

    Raises ValueError otherwise.
    """
    if not _IDENTIFIER.fullmatch(name) or name in FUNCTIONS or keyword.iskeyword(name):
        raise ValueError(f"{name[:100]!r} is no name of a symbol")
    return Expr({((name, 1),): 1})


def floor_div(dividend: Count, divisor: Count) -> Count:
    """Return ``dividend // divisor``. Raises ZeroDivisionError."""
    if isinstance(dividend, int) and isinstance(divisor, int):
        return dividend // divisor
    return rounded("floor", quotient(dividend, divisor))


def ceil_div(dividend: Count, divisor: Count) -> Count:
    """Return the quotient rounded up. Raises ZeroDivisionError."""
    if isinstance(dividend, int) and isinstance(divisor, int):
        return -(-dividend // divisor)
    return rounded("ceil", quotient(dividend, divisor))


def modulo(dividend: Count, divisor: Count) -> Count:
    """Return the remainder with the divisor's sign, as Python's ``%``. Raises ZeroDivisionError."""
    if isinstance(dividend, int) and isinstance(divisor, int):
        return dividend % divisor
    if divisor == 0:
        raise ZeroDivisionError
    return _atom(Call("mod", (dividend, divisor)))


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


# ---------------------------------------------------------------------------------- arithmetic


def _terms(count: Count | Fraction) -> Iterable[tuple[Monomial, Number]]:
    if isinstance(count, Expr):
        return count.terms.items()
    # A list from a stranger's node would multiply too; NumPy's integers are welcome.
    return (((), count if isinstance(count, Fraction) else index(count)),)


def made(terms: Mapping[Monomial, Number]) -> Count:
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


def _product(left: Monomial, right: Monomial) -> Monomial:
    if not left or not right:
        return left or right
    powers: Counter[Atom] = Counter()
    for atom, power in (*left, *right):
        powers[atom] += power
    if max(powers.values()) > MAX_POWER:
        raise TooComplex
    return tuple(sorted(powers.items(), key=_order))


def _order(item: tuple[Atom, int]) -> tuple[bool, str]:
    return isinstance(item[0], Call), _name(item[0])


def _atom(call: Call) -> Expr:
    return Expr({((call, 1),): 1})


def quotient(dividend: Count, divisor: Count) -> tuple[Count, Count]:
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
        reduced: dict[Monomial, Number] = {}
        for monomial, coefficient in _terms(dividend):
            left = dict(monomial)
            for atom, power in below:
                left[atom] = left.get(atom, 0) - power
                if left[atom] < 0:
                    return dividend, divisor
            key = tuple((atom, power) for atom, power in left.items() if power)
            reduced[key] = Fraction(coefficient) / by
        return made(reduced), 1
    return (1, 1) if dividend == divisor else (dividend, divisor)


def rounded(function: str, fraction: tuple[Count, Count]) -> Count:
    """Return a dividend by a divisor, rounded by ``function``: ``floor`` or ``ceil``."""
    dividend, divisor = fraction
    if divisor != 1:
        return _atom(Call(function, (dividend, divisor)))
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
        return made({**outside, (): outside.get((), 0) + whole})
    if isinstance(constant, Fraction):  # floor(H/2 + 3/2) = floor(H/2 + 1/2) + 1
        whole = math.floor(constant)
        inside[()] = constant - whole
        outside[()] = outside.get((), 0) + whole
    return _atom(Call(function, (made(inside),))) + made(outside)


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
    return _atom(Call(function, tuple(others_or_best)))


def _only_call(count: Count, function: str) -> Call | None:
    if isinstance(count, Expr) and len(count.terms) == 1:
        ((monomial, coefficient),) = count.terms.items()
        if coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1:
            atom = monomial[0][0]
            if isinstance(atom, Call) and atom.function == function:
                return atom
    return None


# ------------------------------------------------------------------------------------- writing


def _name(atom: Atom) -> str:
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


def _rank(item: tuple[Monomial, Number]) -> tuple[int, list[tuple[bool, str]]]:
    """Order terms by falling degree, then by name."""
    monomial = item[0]
    return -sum(power for _, power in monomial), [_order(each) for each in monomial]
