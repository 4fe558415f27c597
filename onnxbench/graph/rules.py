"""Shapes of outputs where the engines are wrong, blind, or slow on open dims.

- ONNX's inference (1.23.2) is wrong on STFT and finds nothing for the window operators, for
  MelWeightMatrix and for some ranges although their inputs are constants.
- It does no arithmetic on names of dims, and onnx-shape-inference (0.4.0) takes the first of two
  different names when it broadcasts, which is wrong where that one is 1. Broadcasting, Reshape and
  Concat are most of what a transformer needs, so their rules also save the import of sympy.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from onnxbench.graph.dims import Expr, ceil_div, floor_div, maximum, product
from onnxbench.graph.fold import elements, integers
from onnxbench.graph.network import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onnxbench.graph.dims import Dim
    from onnxbench.graph.network import Node, Tensor

    Shape = tuple[Dim | None, ...]
    Rule = Callable[[Node], Shape]

CORRECTED = frozenset({"STFT"})
"""Operators of ai.onnx for which no engine is asked."""


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape to which ``shapes`` broadcast; where two names meet, the greater counts."""
    rank = max((len(shape) for shape in shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(_joined(column) for column in zip(*padded, strict=True))


def _joined(column: Sequence[Dim | None]) -> Dim | None:
    sizes = {dim for dim in column if dim != 1}
    numbers = {dim for dim in sizes if isinstance(dim, int)}
    if len(numbers) > 1:
        raise Unknown("its inputs do not broadcast")
    if numbers:  # an open dim next to it is 1 or the same
        return numbers.pop()
    known = [dim for dim in sizes if dim is not None]
    if len(known) < len(sizes):
        return None
    return maximum(*known) if known else 1


def _elementwise(node: Node) -> Shape:
    if node.opset < 7 and node.op not in _VARIADIC:  # the second input fits into the first
        return _shape(node.input(0))
    shapes = [_shape(tensor) for tensor in node.inputs if tensor is not None]
    return broadcast(*shapes)


def _shape(tensor: Tensor | None) -> Shape:
    if tensor is None or tensor.shape is None:
        raise Unknown("the shape of an input is not known")
    return tensor.shape


def _matmul(node: Node) -> Shape:
    one, other = _shape(node.input(0)), _shape(node.input(1))
    if not one or not other:
        raise Unknown("a scalar has no product")
    rows = one[-2:-1]
    columns = other[-1:] if len(other) > 1 else ()
    return (*broadcast(one[:-2], other[:-2]), *rows, *columns)


def _reshape(node: Node) -> Shape:
    source = _shape(node.input(0))
    target = _targets(node.optional(1))
    if target is None:
        raise Unknown("the new shape is not known")
    zero_is_zero = bool(node.attribute("allowzero", 0))
    kept: list[Dim | None] = []
    for axis, size in enumerate(target):
        if size == 0 and not zero_is_zero:
            if axis >= len(source):
                raise Unknown("a 0 in the new shape stands for no axis")
            size = source[axis]  # noqa: PLW2901
        kept.append(size)
    if -1 in kept:
        rest = [size for size in kept if size != -1]
        kept[kept.index(-1)] = _quotient(source, rest)
    if any(isinstance(size, int) and size < 0 for size in kept):
        raise Unknown("the new shape has two sizes to be found out")
    return tuple(kept)


def _quotient(source: Shape, rest: Sequence[Dim | None]) -> Dim | None:
    """Return the size that -1 stands for; what is in both shapes needs not be known."""
    above, below = list(source), list(rest)
    for size in source:
        if size is not None and size in below:
            above.remove(size)
            below.remove(size)
    if None in above or None in below:
        return None
    divisor = product(size for size in below if size is not None)
    if divisor == 0:
        return 0
    return floor_div(product(size for size in above if size is not None), divisor)


def _targets(tensor: Tensor | None) -> list[Dim | None] | None:
    """Return the elements of a list of sizes."""
    found = elements(tensor)
    if found is None:
        return None
    return [_size(each) for each in found.reshape(-1)]


def _size(element: Any) -> Dim | None:
    if element is None or isinstance(element, Expr):
        return element
    if isinstance(element, Fraction):
        return int(element) if element.denominator == 1 else None
    return int(element)


def _expand(node: Node) -> Shape:
    target = _targets(node.optional(1))
    if target is None:
        raise Unknown("the new shape is not known")
    return broadcast(_shape(node.input(0)), tuple(target))


def _of_sizes(node: Node) -> Shape:
    """ConstantOfShape."""
    sizes = _targets(node.optional(0))
    if sizes is None:
        raise Unknown("the shape is not known")
    return tuple(sizes)


def _concat(node: Node) -> Shape:
    shapes = [_shape(tensor) for tensor in node.inputs]
    axis = _axis(node.attribute("axis", 1 if node.opset < 4 else 0), len(shapes[0]))
    total: Dim | None = 0
    for shape in shapes:
        if len(shape) != len(shapes[0]):
            raise Unknown("its inputs have different ranks")
        size = shape[axis]
        total = None if total is None or size is None else total + size
    merged = [
        next((dim for dim in column if isinstance(dim, int)), column[0])
        for column in zip(*shapes, strict=True)
    ]
    merged[axis] = total
    return tuple(merged)


def _flatten(node: Node) -> Shape:
    shape = _shape(node.input(0))
    axis = node.attribute("axis", 1)
    axis += len(shape) if axis < 0 else 0
    parts = shape[:axis], shape[axis:]
    return tuple(
        None if None in part else product(dim for dim in part if dim is not None) for part in parts
    )


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise Unknown(f"axis {axis} of {rank}")
    return axis % rank


def _range(node: Node) -> Shape:
    found = [elements(tensor) for tensor in node.inputs]
    if len(found) != 3 or any(each is None or each.size != 1 for each in found):
        raise Unknown("the limits are not known")
    start, limit, delta = (each.reshape(-1)[0] for each in found if each is not None)
    if any(isinstance(each, Expr) for each in (start, limit, delta)):
        length = limit + start * -1
        if not isinstance(delta, Expr) and delta > 0:
            steps = length if delta == 1 else ceil_div(length, int(delta))
            # A range from 0 to an open dim has as many elements; others may be empty.
            return (steps if start == 0 else maximum(steps, 0),)
        raise Unknown("the step is not known")
    if delta == 0:
        raise Unknown("the step is 0")
    return (max(0, math.ceil((float(limit) - float(start)) / float(delta))),)


def _window(node: Node) -> Shape:
    sizes = _targets(node.optional(0))
    if sizes is None or len(sizes) != 1:
        raise Unknown("the size of the window is not known")
    return (sizes[0],)


def _mel_weights(node: Node) -> Shape:
    bins, length = integers(node.optional(0)), integers(node.optional(1))
    if not bins or not length:
        raise Unknown("the number of bins is not known")
    return (length[0] // 2 + 1, bins[0])


def _stft(node: Node) -> Shape:
    """Frames are whole: floor((length - frame) / step) + 1 of them, [batch, frames, bins, 2]."""
    signal = _shape(node.input(0))
    step, frame = _targets(node.optional(1)), _targets(node.optional(3))
    window = node.optional(2)
    size = frame[0] if frame else _shape(window)[0]
    if not step or step[0] is None or size is None or len(signal) < 2 or signal[1] is None:
        raise Unknown("the step or the length of a frame is not known")
    frames = floor_div(signal[1] - size, step[0]) + 1
    onesided = node.attribute("onesided", 1)
    return (signal[0], frames, floor_div(size, 2) + 1 if onesided else size, 2)


_COMPARING = frozenset({
    "And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Or", "Xor",
})  # fmt: skip
_VARIADIC = frozenset({"Max", "Mean", "Min", "Sum"})
_WINDOWS = frozenset({"BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix"})

_FLOAT, _BOOL = 1, 9


def dtype_of(node: Node) -> int:
    """Return the element type of the output of a node that has a rule; 0 if it is not known."""
    if node.op in _COMPARING:
        return _BOOL
    if node.op in _WINDOWS:
        return int(node.attribute("output_datatype", _FLOAT))
    if node.op == "ConstantOfShape":
        fill = node.attribute("value")
        return _FLOAT if fill is None else int(fill.data_type)
    source = node.optional(1 if node.op == "Where" else 0)
    return 0 if source is None else source.dtype


_BROADCASTING = (
    "Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater",
    "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "Pow",
    "Sub", "Sum", "Where", "Xor",
)  # fmt: skip

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_BROADCASTING, _elementwise),
    "MatMul": _matmul,
    "Reshape": _reshape,
    "Expand": _expand,
    "ConstantOfShape": _of_sizes,
    "Concat": _concat,
    "Flatten": _flatten,
    "Range": _range,
    "BlackmanWindow": _window,
    "HammingWindow": _window,
    "HannWindow": _window,
    "MelWeightMatrix": _mel_weights,
    "STFT": _stft,
}
"""The shape of the only output, by operator of ai.onnx. Raise Unknown if they cannot tell."""
