"""The elements of small tensors: numbers where all are known, else numbers and formulas."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.graph.dims import Expr
    from onnxbench.graph.network import Node, Tensor

    Array = np.ndarray[Any, np.dtype[Any]]
    Number = int | float | bool | Fraction | Expr | None
    FoldRule = Callable[[Node, list[Array]], Array | list[Array] | None]

MAX_ELEMENTS = 1024
"""Longest tensor whose elements are looked at."""

MAX_REAL_ELEMENTS = 64
"""Longest list of reals that is computed: scales and sizes, never weights."""

NUMPY_TYPES: dict[int, Any] = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64,
    9: np.bool_, 10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64,
}  # fmt: skip
INTEGERS = frozenset({2, 3, 4, 5, 6, 7, 12, 13})
REALS = frozenset({1, 10, 11})

_MAX_DENOMINATOR = 4096


class Unfit(Exception):
    """The elements cannot be told, or there would be too many."""


def elements(tensor: Tensor | None) -> Array | None:
    """Return the known elements of a value; those that are formulas make it an array of objects."""
    if tensor is None:
        return None
    return tensor.formulas if tensor.value is None else tensor.value


def integers(tensor: Tensor | None) -> list[int] | None:
    """Return the elements of a list of integers (or of one integer), all of them numbers."""
    if tensor is None or tensor.value is None or tensor.value.dtype.kind not in "iu":
        return None
    return [int(each) for each in tensor.value.reshape(-1)]


def numbers(array: Array) -> list[int]:
    """Return the elements of an array of numbers alone. Raises Unfit."""
    return [int(each) for each in plain(array).reshape(-1)]


def plain(array: Array) -> Array:
    """Return ``array`` if all of its elements are numbers. Raises Unfit."""
    if array.dtype == object:
        raise Unfit
    return array


def exact(element: Any) -> Number:
    """Return an element as a number that loses nothing in arithmetic with formulas."""
    if isinstance(element, np.generic):
        element = element.item()
    if isinstance(element, float):
        return fraction(element) if math.isfinite(element) else None
    found: Number = element
    return found


def fraction(real: float) -> Fraction:
    """Return the fraction that a 32-bit real stands for.

    0.7 is 7/10: ten times 0.7 is 7 in 32 bits, although the nearest real is a bit smaller than 0.7.
    """
    found = Fraction(real)
    simple = found.limit_denominator(_MAX_DENOMINATOR)
    return simple if abs(simple - found) <= abs(simple) / (1 << 22) else found


def axes_of(node: Node, arrays: list[Array]) -> list[int] | None:
    """Return the axes of a reduction or a squeeze, an input since opset 13."""
    given = numbers(arrays[1]) if len(arrays) > 1 else node.attribute("axes")
    return list(given) if given is not None else None
