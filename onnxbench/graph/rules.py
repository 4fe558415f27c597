"""Shapes of outputs where the engines are wrong, blind, or slow on open dims.

- ONNX's inference (1.23.2) is wrong on STFT, and on Attention when dims are open; it finds nothing
  for the window operators, for MelWeightMatrix and for some ranges of constants.
- It does no arithmetic on names of dims, and onnx-shape-inference (0.4.0) takes the first of two
  different names when it broadcasts, which is wrong where that one is 1. The
  operators that most networks need have a rule, which also saves them the import of sympy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from onnxbench.graph.dims import Expr, ceil_div, floor_div, maximum, product
from onnxbench.graph.network import Unknown
from onnxbench.graph.sizes import broadcast, known_shape, sizes_of
from onnxbench.graph.slicing import cut, pad, split
from onnxbench.graph.spatial import conv, conv_transpose, pool, resize
from onnxbench.graph.values import elements, integers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onnxbench.graph.dims import Dim
    from onnxbench.graph.network import Node
    from onnxbench.graph.sizes import Shape

    Rule = Callable[[Node], Shape | list[Shape]]

CORRECTED = frozenset({"Attention", "STFT"})
"""Operators of ai.onnx on which ONNX's inference is wrong."""


def _elementwise(node: Node) -> Shape:
    if node.opset < 7 and node.op not in _VARIADIC:  # the second input fits into the first
        return known_shape(node.input(0))
    shapes = [known_shape(tensor) for tensor in node.inputs if tensor is not None]
    return broadcast(*shapes)


def _matmul(node: Node) -> Shape:
    one, other = known_shape(node.input(0)), known_shape(node.input(1))
    if not one or not other:
        raise Unknown("a scalar has no product")
    rows = one[-2:-1]
    columns = other[-1:] if len(other) > 1 else ()
    return (*broadcast(one[:-2], other[:-2]), *rows, *columns)


def _reshape(node: Node) -> Shape:
    source = known_shape(node.input(0))
    target = sizes_of(node.optional(1))
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


def _expand(node: Node) -> Shape:
    target = sizes_of(node.optional(1))
    if target is None:
        raise Unknown("the new shape is not known")
    return broadcast(known_shape(node.input(0)), tuple(target))


def _of_sizes(node: Node) -> Shape:
    """ConstantOfShape."""
    sizes = sizes_of(node.optional(0))
    if sizes is None:
        raise Unknown("the shape is not known")
    return tuple(sizes)


def _concat(node: Node) -> Shape:
    shapes = [known_shape(tensor) for tensor in node.inputs]
    axis = _axis(node.attribute("axis", 1 if node.opset < 4 else 0), len(shapes[0]))
    total: Dim | None = 0
    for shape in shapes:
        if len(shape) != len(shapes[0]):
            raise Unknown("its inputs have different ranks")
        size = shape[axis]
        total = None if total is None or size is None else total + size
    merged = [
        next(
            (dim for dim in column if isinstance(dim, int)),
            next((dim for dim in column if dim is not None), None),
        )
        for column in zip(*shapes, strict=True)
    ]
    merged[axis] = total
    return tuple(merged)


def _flatten(node: Node) -> Shape:
    shape = known_shape(node.input(0))
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
    sizes = sizes_of(node.optional(0))
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
    signal = known_shape(node.input(0))
    step, frame = sizes_of(node.optional(1)), sizes_of(node.optional(3))
    size = frame[0] if frame else known_shape(node.optional(2))[0]
    if not step or step[0] is None or size is None or len(signal) < 2 or signal[1] is None:
        raise Unknown("the step or the length of a frame is not known")
    frames = floor_div(signal[1] - size, step[0]) + 1
    onesided = node.attribute("onesided", 1)
    return (signal[0], frames, floor_div(size, 2) + 1 if onesided else size, 2)


def _attention(node: Node) -> list[Shape]:
    """Return the shapes of the result, the present keys and values, and the scores."""
    query, key, value = (known_shape(node.input(index)) for index in range(3))
    if len(query) == 3:
        heads, kv_heads = node.attribute("q_num_heads"), node.attribute("kv_num_heads")
        if not heads or not kv_heads:
            raise Unknown("the number of heads is not given")
        query = _by_head(query, heads)
        key, value = _by_head(key, kv_heads), _by_head(value, kv_heads)
        flat = True
    else:
        flat = False
    if not len(query) == len(key) == len(value) == 4:
        raise Unknown("its inputs have the wrong ranks")
    past = node.optional(4)
    length = key[2]
    if past is not None:
        before = known_shape(past)[2]
        length = None if length is None or before is None else length + before
    batch, heads, rows, _ = query
    width = value[3]
    result: Shape = (batch, heads, rows, width)
    if flat:
        result = (batch, rows, None if width is None or heads is None else heads * width)
    present = (key[0], key[1], length, key[3])
    present_value = (value[0], value[1], length, width)
    return [result, present, present_value, (batch, heads, rows, length)][: len(node.outputs)]


def _by_head(shape: Shape, heads: int) -> Shape:
    batch, rows, columns = shape
    return (batch, heads, rows, None if columns is None else floor_div(columns, heads))


_COMPARING = frozenset({
    "And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Or", "Xor",
})  # fmt: skip
_VARIADIC = frozenset({"Max", "Mean", "Min", "Sum"})
_WINDOWS = frozenset({"BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix"})

_FLOAT, _INT64, _BOOL = 1, 7, 9


def dtype_of(node: Node, index: int) -> int:
    """Return the element type of an output of a node that has a rule; 0 if it is not known."""
    if node.op in _COMPARING:
        return _BOOL
    if node.op in _WINDOWS:
        return int(node.attribute("output_datatype", _FLOAT))
    if node.op == "ConstantOfShape":
        fill = node.attribute("value")
        return _FLOAT if fill is None else int(fill.data_type)
    if node.op == "MaxPool" and index:
        return _INT64
    if node.op == "Dropout" and index and node.opset >= 10:
        return _BOOL
    source = node.optional(1 if node.op == "Where" else 0)
    return 0 if source is None else source.dtype


_BROADCASTING = (
    "Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater",
    "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "Pow",
    "Sub", "Sum", "Where", "Xor",
)  # fmt: skip


def _global_pool(node: Node) -> Shape:
    shape = known_shape(node.input(0))
    if node.attribute("channels_last", 0):
        return (shape[0], *[1] * (len(shape) - 2), shape[-1])
    return (*shape[:2], *[1] * (len(shape) - 2))


def _quantized_pool(node: Node) -> Shape:
    if node.attribute("channels_last", 0):
        raise Unknown("windows over channels in the last axis")
    return pool(node)[0]


def _quantized_mean(node: Node) -> Shape:
    shape = known_shape(node.input(0))
    axes = {axis % len(shape) for axis in node.attribute("axes") or range(len(shape))}
    keep = node.attribute("keepdims", 1)
    return tuple(
        1 if axis in axes else dim for axis, dim in enumerate(shape) if keep or axis not in axes
    )


def _fused_matmul(node: Node) -> Shape:
    """``transBatch`` moves the first axis behind the batch axes, ``trans`` swaps the last two."""
    operands = []
    for index, side in enumerate("AB"):
        dims = list(known_shape(node.input(index)))
        if len(dims) < 2:
            raise Unknown("a vector, which no transposition changes")
        if node.attribute(f"transBatch{side}", 0):
            dims = [*dims[1:-1], dims[0], dims[-1]]
        if node.attribute(f"trans{side}", 0):
            dims[-2:] = dims[:-3:-1]
        operands.append(dims)
    one, other = operands
    return (*broadcast(tuple(one[:-2]), tuple(other[:-2])), one[-2], other[-1])


CONTRIB_RULES: Mapping[str, Rule] = {
    "FusedMatMul": _fused_matmul,
    "QLinearAveragePool": _quantized_pool,
    "QLinearGlobalAveragePool": _global_pool,
    "QLinearReduceMean": _quantized_mean,
}
"""Of com.microsoft: operators on which onnx-shape-inference (0.4) is wrong; it is not asked."""

DOUBTFUL: Mapping[tuple[str, str], frozenset[int]] = {
    ("com.microsoft", "MultiHeadAttention"): frozenset({2}),
}
"""Outputs on which onnx-shape-inference is wrong: it takes values to be as wide as keys."""

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
    "Attention": _attention,
    "Dropout": lambda node: [known_shape(node.input(0))] * len(node.outputs),
    "Slice": cut,
    "Split": split,
    "Pad": pad,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "AveragePool": pool,
    "LpPool": pool,
    "MaxPool": pool,
    "Resize": resize,
    "Upsample": resize,
}
"""Shapes of the outputs, by operator of ai.onnx. They raise Unknown if they cannot tell."""
