"""Arithmetic on small tensors of numbers and formulas, element by element."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.graph.dims import Expr, floor_div, maximum, minimum, modulo
from onnxbench.graph.values import (
    INTEGERS,
    MAX_ELEMENTS,
    NUMPY_TYPES,
    REALS,
    Unfit,
    axes_of,
    elements,
    exact,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onnxbench.graph.network import Node
    from onnxbench.graph.values import Array, FoldRule, Number


def _elementwise(of: Callable[..., Number], fast: Callable[..., Array] | None = None) -> FoldRule:
    """Return a rule that computes element by element, with numpy if there are only numbers."""

    def rule(node: Node, arrays: list[Array]) -> Array:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        if math.prod(shape) > MAX_ELEMENTS:
            raise Unfit
        symbolic = any(array.dtype == object for array in arrays)
        if fast is not None and not symbolic:
            return np.asarray(fast(*arrays))
        real = node.inputs[-1] is not None and node.inputs[-1].dtype in REALS
        found = np.empty(shape, object)
        columns = [np.broadcast_to(array, shape).reshape(-1) for array in arrays]
        for index, row in enumerate(zip(*columns, strict=True)):
            found.reshape(-1)[index] = _apply(of, [exact(each) for each in row], real=real)
        return found

    return rule


def _apply(of: Callable[..., Number], row: Sequence[Number], *, real: bool) -> Number:
    try:
        return of(*row) if of is not _divided else _divided(*row, real=real)
    except (TypeError, Unfit, ArithmeticError):  # of None, or of what has no formula
        return None


def _divided(one: Any, other: Any, *, real: bool) -> Number:
    if other == 0:
        return None
    if not real:
        return floor_div(one, other)  # of sizes, which are not negative
    if isinstance(other, Expr):
        quotient = floor_div(one, other)
        return quotient if quotient * other == one else None
    found: Number = one * (1 / Fraction(other))
    return found


def _integer_quotient(one: Array, other: Array) -> Array:
    if one.dtype.kind == "f":
        return np.asarray(one / other)
    if np.any(other == 0):
        raise Unfit
    quotient = np.abs(one) // np.abs(other)  # rounds towards zero
    return np.asarray(quotient * np.sign(one) * np.sign(other))


def _floor(one: Any) -> Number:
    return math.floor(one) if isinstance(one, int | Fraction) else floor_div(one, 1)


def _ceil(one: Any) -> Number:
    return math.ceil(one) if isinstance(one, int | Fraction) else floor_div(one * -1, 1) * -1


def _sign(one: Any, other: Any) -> int | None:
    """Return the sign of ``one - other`` where it is the same for all sizes of open dims."""
    difference = one - other
    if isinstance(difference, int | Fraction):
        return (difference > 0) - (difference < 0)
    constant = difference.terms.get((), 0)
    for sign in (1, -1):  # open dims are at least 0
        if constant * sign > 0 and all(each * sign > 0 for each in difference.terms.values()):
            return sign
    return None


def _absolute(one: Any) -> Number:
    found: Number = one * _sign(one, 0) if _sign(one, 0) is not None else None
    return found


def _compared(holds: Callable[[int], bool]) -> Callable[..., Number]:
    def compare(one: Any, other: Any) -> Number:
        sign = _sign(one, other)
        return None if sign is None else holds(sign)

    return compare


def _chosen(condition: Any, one: Any, other: Any) -> Number:
    if condition is None:
        condition = one == other or None
    found: Number = None if condition is None else one if condition else other
    return found


def _of_dims(of: Callable[..., Number]) -> Callable[..., Number]:
    """Return a function that is for sizes, which are whole."""

    def compute(*row: Any) -> Number:
        if any(isinstance(each, Fraction) and each.denominator != 1 for each in row):
            raise Unfit
        return of(*(int(each) if isinstance(each, Fraction) else each for each in row))

    return compute


def _power(base: Any, exponent: Any) -> Number:
    if not isinstance(exponent, int | Fraction) or exponent != int(exponent):
        raise Unfit
    if not 0 <= exponent <= 8:
        raise Unfit
    found: Number = math.prod([base] * int(exponent))
    return found


def _clip(node: Node, arrays: list[Array]) -> Array:
    found = arrays[0]
    for index, name, limit in ((1, "min", maximum), (2, "max", minimum)):
        bound = elements(node.optional(index))
        if bound is None and node.attribute(name) is not None:
            bound = np.array(node.attribute(name))
        if bound is not None:
            fast = np.maximum if limit is maximum else np.minimum
            clipped = _elementwise(_of_dims(limit), fast)(node, [found, bound])
            found = np.asarray(clipped)
    return found


def _cast(node: Node, arrays: list[Array]) -> Array:
    to, source = node.output().dtype, node.input(0).dtype
    if to not in NUMPY_TYPES or source not in NUMPY_TYPES:
        raise Unfit
    if arrays[0].dtype != object:
        return arrays[0].astype(NUMPY_TYPES[to])
    if to in INTEGERS and source in REALS:  # rounds towards zero, and sizes are not negative
        return _each(_floor, arrays[0])
    if to in REALS or (to in INTEGERS and source in INTEGERS):
        return arrays[0]
    raise Unfit


def _reduced(of: Callable[..., Any]) -> FoldRule:
    def rule(node: Node, arrays: list[Array]) -> Array:
        axes = axes_of(node, arrays)
        if not axes:
            if node.attribute("noop_with_empty_axes", 0):
                return arrays[0]
            axes = list(range(arrays[0].ndim))
        keep = bool(node.attribute("keepdims", 1))
        data = arrays[0]
        if data.dtype == object and any(each is None for each in data.flat):
            raise Unfit
        return np.asarray(of(data, axis=tuple(axes), keepdims=keep))

    return rule


def _each(of: Callable[[Any], Any], array: Array) -> Array:
    found = np.empty(array.shape, object)
    for index, element in enumerate(array.flat):
        found.reshape(-1)[index] = None if element is None else of(exact(element))
    return found


ARITHMETIC: Mapping[str, FoldRule] = {
    "Cast": _cast,
    "CastLike": _cast,
    "Add": _elementwise(lambda one, other: one + other, np.add),
    "Sub": _elementwise(lambda one, other: one - other, np.subtract),
    "Mul": _elementwise(lambda one, other: one * other, np.multiply),
    "Div": _elementwise(_divided, _integer_quotient),
    "Mod": _elementwise(_of_dims(modulo)),
    "Pow": _elementwise(_power, np.power),
    "Neg": _elementwise(lambda one: -one, np.negative),
    "Abs": _elementwise(_absolute, np.abs),
    "Floor": _elementwise(_floor, np.floor),
    "Ceil": _elementwise(_ceil, np.ceil),
    "Min": _elementwise(_of_dims(minimum), lambda *arrays: reduce(np.minimum, arrays)),
    "Max": _elementwise(_of_dims(maximum), lambda *arrays: reduce(np.maximum, arrays)),
    "Equal": _elementwise(_compared(lambda sign: sign == 0), np.equal),
    "Less": _elementwise(_compared(lambda sign: sign < 0), np.less),
    "LessOrEqual": _elementwise(_compared(lambda sign: sign <= 0), np.less_equal),
    "Greater": _elementwise(_compared(lambda sign: sign > 0), np.greater),
    "GreaterOrEqual": _elementwise(_compared(lambda sign: sign >= 0), np.greater_equal),
    "Not": _elementwise(lambda one: None if one is None else not one, np.logical_not),
    "And": _elementwise(lambda one, other: one and other, np.logical_and),
    "Or": _elementwise(lambda one, other: one or other, np.logical_or),
    "Clip": _clip,
    "Where": _elementwise(_chosen, np.where),
    "Sqrt": _elementwise(lambda _: None, np.sqrt),
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min),
}
