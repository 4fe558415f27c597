"""Small tensors that are made of shapes, or of the elements of others in another order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.graph.values import MAX_ELEMENTS, NUMPY_TYPES, Unfit, axes_of, numbers, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxbench.graph.network import Node
    from onnxbench.graph.values import Array, FoldRule


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


def _gather(node: Node, arrays: list[Array]) -> Array:
    data, indices = arrays
    if indices.dtype == object or indices.size * max(data.size, 1) > MAX_ELEMENTS**2:
        raise Unfit
    axis = node.attribute("axis", 0)
    width = data.size // max(data.shape[axis], 1)
    if indices.size * width > MAX_ELEMENTS:
        raise Unfit
    return np.take(data, indices, axis=axis)


def _slice(node: Node, arrays: list[Array]) -> Array:
    data = arrays[0]
    lists = [numbers(array) for array in arrays[1:]]
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
    if sum(array.size for array in arrays) > MAX_ELEMENTS:
        raise Unfit
    return np.concatenate(arrays, axis=node.attribute("axis", 1 if node.opset < 4 else 0))


def _squeeze(node: Node, arrays: list[Array]) -> Array:
    axes = axes_of(node, arrays)
    return np.squeeze(arrays[0], None if axes is None else tuple(axes))


def _unsqueeze(node: Node, arrays: list[Array]) -> Array:
    axes = axes_of(node, arrays)
    if axes is None:
        raise Unfit
    rank = arrays[0].ndim + len(axes)
    added = {axis % rank for axis in axes if -rank <= axis < rank}
    if len(added) != len(axes):
        raise Unfit
    sizes = iter(arrays[0].shape)
    return arrays[0].reshape([1 if axis in added else next(sizes) for axis in range(rank)])


def _reshape(node: Node, arrays: list[Array]) -> Array:
    data = arrays[0]
    target = numbers(arrays[1]) if len(arrays) > 1 else node.attribute("shape")
    if not node.attribute("allowzero", 0):
        target = [data.shape[axis] if size == 0 else size for axis, size in enumerate(target)]
    return data.reshape(target)


def _split(node: Node, arrays: list[Array]) -> list[Array]:
    axis = node.attribute("axis", 0)
    sizes = numbers(arrays[1]) if len(arrays) > 1 else node.attribute("split")
    length = arrays[0].shape[axis]
    if sizes is None:
        step = -(-length // len(node.outputs))
        sizes = [step] * len(node.outputs)
    return np.split(arrays[0], np.cumsum(sizes)[:-1], axis)


def _expand(_: Node, arrays: list[Array]) -> Array:
    shape = np.broadcast_shapes(arrays[0].shape, tuple(numbers(arrays[1])))
    if math.prod(shape) > MAX_ELEMENTS:
        raise Unfit
    return np.broadcast_to(arrays[0], shape)


def _constant_of_shape(node: Node, arrays: list[Array]) -> Array:
    shape = numbers(arrays[0])
    if math.prod(shape) > MAX_ELEMENTS or len(shape) > 32:
        raise Unfit
    from onnx import numpy_helper  # noqa: PLC0415

    given = node.attribute("value")
    fill = 0 if given is None else numpy_helper.to_array(given).reshape(-1)[0]
    return np.full(shape, fill)


def _range(node: Node, arrays: list[Array]) -> Array:
    start, limit, delta = (array.reshape(-1)[0] for array in arrays)
    if any(array.dtype == object for array in arrays) or delta == 0:
        raise Unfit
    count = max(0, math.ceil((limit.item() - start.item()) / delta.item()))
    if count > MAX_ELEMENTS:
        raise Unfit
    return np.asarray(start + np.arange(count) * delta, NUMPY_TYPES[node.input(0).dtype])


MOVEMENT: Mapping[str, FoldRule] = {
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
    "NonZero": lambda _, arrays: np.array(np.nonzero(np.atleast_1d(plain(arrays[0])))),
}
