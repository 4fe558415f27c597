"""Sums of many counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.dims import MAX_TERMS, TooComplex, made

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnxbench.graph.dims import Count, Monomial, Number


class Total:
    """A sum under way: many counts are added faster here than one after the other."""

    __slots__ = ("_constant", "_terms")

    def __init__(self) -> None:
        self._constant = 0
        self._terms: dict[Monomial, Number] = {}

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
        return made({**self._terms, (): self._terms.get((), 0) + self._constant})


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
