"""Computes small tensors whose elements follow from shapes and constants: shape arithmetic.

Exporters write ``x.view(x.size(0), -1)`` as Shape, Gather, Unsqueeze and Concat. Such values are
kept on their `Tensor`: ``value`` when every element is a number, ``formulas`` when some are
formulas in open dims, elements that are not known being None. Sizes are bounded throughout; what a
value would take is known before it is made.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.graph.build import MAX_VALUE_ELEMENTS
from onnxbench.graph.dims import Expr, TooComplex, floor_div, maximum, minimum, modulo
from onnxbench.graph.network import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onnxbench.graph.network import Node, Tensor

    Array = np.ndarray[Any, np.dtype[Any]]
    Number = int | float | bool | Fraction | Expr | None
    Rule = Callable[[Node, list[Array]], Array | list[Array] | None]

MAX_REAL_ELEMENTS = 64
"""Longest list of reals that is computed: scales and sizes, never weights."""

NUMPY_TYPES: dict[int, Any] = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64,
    9: np.bool_, 10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64,
}  # fmt: skip
_INTEGERS = frozenset({2, 3, 4, 5, 6, 7, 12, 13})
_REALS = frozenset({1, 10, 11})


class _Unfit(Exception):
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


def fold(node: Node) -> None:
    """Give the outputs of ``node`` their elements, if they follow from those of its inputs.

    numpy's warnings about arithmetic are the caller's to turn off.
    """
    rule = RULES.get(node.op)
    output = node.outputs[0] if node.outputs else None
    if rule is None or node.domain or output is None or output.value is not None:
        return
    arrays: list[Array] = []
    for tensor in () if node.op in _OF_SHAPES else node.inputs:
        found = elements(tensor)
        if found is None and (tensor is not None or node.op != "Clip"):
            return
        if found is not None:
            arrays.append(found)
    try:
        made = rule(node, arrays)
        results = made if isinstance(made, list) else [made]
        for tensor, array in zip(node.outputs, results, strict=False):
            if tensor is not None and array is not None:
                _keep(tensor, np.asarray(array))
    except (Unknown, _Unfit, TooComplex, ArithmeticError, ValueError, TypeError, IndexError):
        return  # what a damaged graph would compute, or what has no formula


def _keep(tensor: Tensor, array: Array) -> None:
    limit = MAX_REAL_ELEMENTS if tensor.dtype in _REALS else MAX_VALUE_ELEMENTS
    as_type = NUMPY_TYPES.get(tensor.dtype)
    if array.size > limit or as_type is None:
        return
    if array.dtype != object or all(isinstance(each, int | Fraction) for each in array.flat):
        tensor.value = array.astype(as_type)
    elif any(each is not None for each in array.flat):
        tensor.formulas = array
    tensor.shape = array.shape


# --------------------------------------------------------------------------------------- elements


def _elementwise(of: Callable[..., Number], fast: Callable[..., Array] | None = None) -> Rule:
    """Return a rule that computes element by element, with numpy if there are only numbers."""

    def rule(node: Node, arrays: list[Array]) -> Array:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        if math.prod(shape) > MAX_VALUE_ELEMENTS:
            raise _Unfit
        symbolic = any(array.dtype == object for array in arrays)
        if fast is not None and not symbolic:
            return np.asarray(fast(*arrays))
        real = node.inputs[-1] is not None and node.inputs[-1].dtype in _REALS
        found = np.empty(shape, object)
        columns = [np.broadcast_to(array, shape).reshape(-1) for array in arrays]
        for index, row in enumerate(zip(*columns, strict=True)):
            exact = [_exact(each) for each in row]
            found.reshape(-1)[index] = _apply(of, exact, real=real)
        return found

    return rule


def _apply(of: Callable[..., Number], row: Sequence[Number], *, real: bool) -> Number:
    try:
        return of(*row) if of is not _divided else _divided(*row, real=real)
    except (TypeError, _Unfit, ArithmeticError):  # of None, or of what has no formula
        return None


def _exact(element: Any) -> Number:
    """Return an element as a number that loses nothing in arithmetic with formulas."""
    if isinstance(element, np.generic):
        element = element.item()
    if isinstance(element, float):
        return Fraction(element) if math.isfinite(element) else None
    found: Number = element
    return found


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
        raise _Unfit
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
            raise _Unfit
        return of(*(int(each) if isinstance(each, Fraction) else each for each in row))

    return compute


def _power(base: Any, exponent: Any) -> Number:
    if not isinstance(exponent, int | Fraction) or exponent != int(exponent):
        raise _Unfit
    if not 0 <= exponent <= 8:
        raise _Unfit
    found: Number = math.prod([base] * int(exponent))
    return found


# ------------------------------------------------------------------------------------- from shapes


def _shape(node: Node, _: list[Array]) -> Array | None:
    shape = node.input(0).shape
    if shape is None:
        return None
    start, end = node.attribute("start", 0), node.attribute("end")
    return _objects(shape[start:end])


def _size(node: Node, _: list[Array]) -> Array | None:
    shape = node.input(0).shape
    if shape is None or None in shape:
        return None
    return np.array(node.input(0).elements, object)


def _objects(of: Sequence[Any]) -> Array:
    found = np.empty(len(of), object)
    found[:] = of
    return found


# ---------------------------------------------------------------------------------------- movement


def _gather(node: Node, arrays: list[Array]) -> Array:
    data, indices = arrays
    if indices.dtype == object or indices.size * max(data.size, 1) > MAX_VALUE_ELEMENTS**2:
        raise _Unfit
    axis = node.attribute("axis", 0)
    width = data.size // max(data.shape[axis], 1)
    if indices.size * width > MAX_VALUE_ELEMENTS:
        raise _Unfit
    return np.take(data, indices, axis=axis)


def _slice(node: Node, arrays: list[Array]) -> Array:
    data = arrays[0]
    lists = [_numbers(array) for array in arrays[1:]]
    if node.opset < 10:
        lists = [node.attribute("starts"), node.attribute("ends")]
        lists += [node.attribute("axes")] if node.attribute("axes") else []
    starts, ends = lists[:2]
    axes = lists[2] if len(lists) > 2 else list(range(len(starts)))
    steps = lists[3] if len(lists) > 3 else [1] * len(starts)
    index: list[Any] = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        length = data.shape[axis]
        # A start or end below -length stands for the very beginning, as in Python, except that
        # going backwards an end of -length - 1 includes element 0.
        stop = None if step < 0 and end < -length else end
        index[axis] = slice(start, stop, step)
    found: Array = data[tuple(index)]
    return found


def _concat(node: Node, arrays: list[Array]) -> Array:
    if sum(array.size for array in arrays) > MAX_VALUE_ELEMENTS:
        raise _Unfit
    return np.concatenate(arrays, axis=node.attribute("axis", 1 if node.opset < 4 else 0))


def _axes(node: Node, arrays: list[Array]) -> list[int] | None:
    given = _numbers(arrays[1]) if len(arrays) > 1 else node.attribute("axes")
    return list(given) if given is not None else None


def _squeeze(node: Node, arrays: list[Array]) -> Array:
    axes = _axes(node, arrays)
    return np.squeeze(arrays[0], None if axes is None else tuple(axes))


def _unsqueeze(node: Node, arrays: list[Array]) -> Array:
    axes = _axes(node, arrays)
    if axes is None:
        raise _Unfit
    rank = arrays[0].ndim + len(axes)
    added = {axis % rank for axis in axes if -rank <= axis < rank}
    if len(added) != len(axes):
        raise _Unfit
    sizes = iter(arrays[0].shape)
    return arrays[0].reshape([1 if axis in added else next(sizes) for axis in range(rank)])


def _reshape(node: Node, arrays: list[Array]) -> Array:
    data = arrays[0]
    target = _numbers(arrays[1]) if len(arrays) > 1 else node.attribute("shape")
    if not node.attribute("allowzero", 0):
        target = [data.shape[axis] if size == 0 else size for axis, size in enumerate(target)]
    return data.reshape(target)


def _split(node: Node, arrays: list[Array]) -> list[Array]:
    axis = node.attribute("axis", 0)
    sizes = _numbers(arrays[1]) if len(arrays) > 1 else node.attribute("split")
    length = arrays[0].shape[axis]
    if sizes is None:
        step = -(-length // len(node.outputs))
        sizes = [step] * len(node.outputs)
    return np.split(arrays[0], np.cumsum(sizes)[:-1], axis)


def _expand(_: Node, arrays: list[Array]) -> Array:
    shape = np.broadcast_shapes(arrays[0].shape, tuple(_numbers(arrays[1])))
    if math.prod(shape) > MAX_VALUE_ELEMENTS:
        raise _Unfit
    return np.broadcast_to(arrays[0], shape)


def _constant_of_shape(node: Node, arrays: list[Array]) -> Array:
    shape = _numbers(arrays[0])
    if math.prod(shape) > MAX_VALUE_ELEMENTS or len(shape) > 32:
        raise _Unfit
    from onnx import numpy_helper  # noqa: PLC0415

    given = node.attribute("value")
    fill = 0 if given is None else numpy_helper.to_array(given).reshape(-1)[0]
    return np.full(shape, fill)


def _range(node: Node, arrays: list[Array]) -> Array:
    start, limit, delta = (array.reshape(-1)[0] for array in arrays)
    if any(array.dtype == object for array in arrays) or delta == 0:
        raise _Unfit
    count = max(0, math.ceil((limit.item() - start.item()) / delta.item()))
    if count > MAX_VALUE_ELEMENTS:
        raise _Unfit
    return np.asarray(start + np.arange(count) * delta, NUMPY_TYPES[node.input(0).dtype])


def _cast(node: Node, arrays: list[Array]) -> Array:
    to, source = node.output().dtype, node.input(0).dtype
    if to not in NUMPY_TYPES or source not in NUMPY_TYPES:
        raise _Unfit
    if arrays[0].dtype != object:
        return arrays[0].astype(NUMPY_TYPES[to])
    if to in _INTEGERS and source in _REALS:  # rounds towards zero, and sizes are not negative
        return _each(_floor, arrays[0])
    if to in _REALS or (to in _INTEGERS and source in _INTEGERS):
        return arrays[0]
    raise _Unfit


def _reduced(of: Callable[..., Any]) -> Rule:
    def rule(node: Node, arrays: list[Array]) -> Array:
        axes = _axes(node, arrays)
        if not axes:
            if node.attribute("noop_with_empty_axes", 0):
                return arrays[0]
            axes = list(range(arrays[0].ndim))
        keep = bool(node.attribute("keepdims", 1))
        data = arrays[0]
        if data.dtype == object and any(each is None for each in data.flat):
            raise _Unfit
        return np.asarray(of(data, axis=tuple(axes), keepdims=keep))

    return rule


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


def _each(of: Callable[[Any], Any], array: Array) -> Array:
    found = np.empty(array.shape, object)
    for index, element in enumerate(array.flat):
        found.reshape(-1)[index] = None if element is None else of(_exact(element))
    return found


def _numbers(array: Array) -> list[int]:
    """Return the elements of an array of numbers alone."""
    if array.dtype == object:
        raise _Unfit
    return [int(each) for each in array.reshape(-1)]


def _plain(array: Array) -> Array:
    if array.dtype == object:
        raise _Unfit
    return array


RULES: Mapping[str, Rule] = {
    "Shape": _shape,
    "Size": _size,
    "Identity": lambda _, arrays: arrays[0],
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Flatten": lambda node, arrays: arrays[0].reshape(
        math.prod(arrays[0].shape[: node.attribute("axis", 1)]), -1
    ),
    "Transpose": lambda node, arrays: np.transpose(arrays[0], node.attribute("perm")),
    "Split": _split,
    "Expand": _expand,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Cast": _cast,
    "CastLike": _cast,
    "NonZero": lambda _, arrays: np.array(np.nonzero(np.atleast_1d(_plain(arrays[0])))),
    "Add": _elementwise(lambda one, other: one + other, np.add),
    "Sub": _elementwise(lambda one, other: one - other, np.subtract),
    "Mul": _elementwise(lambda one, other: one * other, np.multiply),
    "Div": _elementwise(_divided, _integer_quotient),
    "Mod": _elementwise(_of_dims(modulo)),
    "Pow": _elementwise(_power, np.power),
    "Neg": _elementwise(lambda one: -one, np.negative),
    "Abs": _elementwise(lambda one: one if _sign(one, -1) == 1 else None, np.abs),
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
"""Operators of ai.onnx whose results may be shape arithmetic."""

_OF_SHAPES = frozenset({"Shape", "Size"})
