"""Shapes of what is cut, split and padded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxbench.graph.dims import ceil_div, floor_div, maximum, minimum
from onnxbench.graph.network import Unknown
from onnxbench.graph.sizes import at_least, known_shape, sizes_of
from onnxbench.graph.values import integers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.graph.dims import Dim
    from onnxbench.graph.network import Node, Tensor
    from onnxbench.graph.sizes import Shape

_FAR_BEFORE = -(1 << 30)
_FAR_BEHIND = 1 << 30
"""Ends that stand for "all of it": exporters write the greatest integer of 32 or 64 bits."""


def pad(node: Node) -> Shape:
    """Pad: each axis grows by what is added before and behind it."""
    data = known_shape(node.input(0))
    given: list[Any] | None = sizes_of(node.optional(1))
    if given is None:
        given = node.attribute("pads") or node.attribute("paddings")
    axes = list(range(len(data)))
    if node.optional(3) is not None:
        chosen = integers(node.optional(3))
        if chosen is None:
            raise Unknown("the padded axes are not known")
        axes = [axis % len(data) for axis in chosen]
    if given is None or len(given) != 2 * len(axes):
        raise Unknown("the padding is not known")
    result: list[Dim | None] = list(data)
    for index, axis in enumerate(axes):
        size, before, after = data[axis], given[index], given[index + len(axes)]
        result[axis] = None if None in (size, before, after) else size + before + after
    return tuple(result)


def cut(node: Node) -> Shape:
    """Slice: bounds count from the end if negative, and never reach beyond it."""
    data = known_shape(node.input(0))
    lists: list[Any]
    if node.opset < 10:
        lists = [node.attribute("starts"), node.attribute("ends"), node.attribute("axes"), None]
    else:
        lists = [sizes_of(node.optional(index)) for index in (1, 2)]
        lists += [_given(node.optional(index)) for index in (3, 4)]
    starts, ends, axes, steps = lists
    if starts is None or ends is None:
        raise Unknown("the bounds are not known")
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    result: list[Dim | None] = list(data)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        result[axis] = _cut_size(data[axis], start, end, step)
    return tuple(result)


def _given(tensor: Tensor | None) -> list[int] | None:
    if tensor is None:
        return None
    found = integers(tensor)
    if found is None:
        raise Unknown("the axes or steps are not known")
    return found


def _cut_size(size: Dim | None, start: Dim | None, end: Dim | None, step: int) -> Dim | None:
    if size is None or start is None or end is None or not step:
        return None
    if isinstance(size, int) and isinstance(start, int) and isinstance(end, int):
        # Going backwards, an end before the first element includes it.
        stop = None if step < 0 and end < -size else end
        return len(range(*slice(start, stop, step).indices(size)))
    if step < 0:
        whole = start == -1 and isinstance(end, int) and end <= _FAR_BEFORE
        return ceil_div(size, -step) if whole else None
    first, last = _bound(size, start), _bound(size, end)
    length = last - first
    if not at_least(length, 0):
        length = maximum(length, 0)
    return length if step == 1 else ceil_div(length, step)


def _bound(size: Dim, at: Dim) -> Dim:
    """Return where a bound lies, which is inside an axis of ``size``."""
    if isinstance(at, int) and at < 0:
        if at <= _FAR_BEFORE:
            return 0
        return size + at if at_least(size + at, 0) else maximum(size + at, 0)
    if isinstance(at, int) and at >= _FAR_BEHIND:
        return size
    if at in (0, size) or at_least(size - at, 0):
        return at
    return size if at_least(at - size, 0) else minimum(at, size)


def split(node: Node) -> list[Shape]:
    """Split: sizes that are given, or equal ones, of which the last may be shorter."""
    data = known_shape(node.input(0))
    axis = node.attribute("axis", 0)
    axis += len(data) if axis < 0 else 0
    size, count = data[axis], len(node.outputs)
    sizes: Sequence[Dim | None] | None = node.attribute("split")
    if node.optional(1) is not None:
        sizes = sizes_of(node.optional(1))
        if sizes is None:
            raise Unknown("the sizes of the parts are not known")
    if sizes is None:
        part = None if size is None else ceil_div(size, count)
        if part is None or size is None or node.attribute("num_outputs") is None:
            # Without num_outputs the parts are equal.
            sizes = [None if size is None else floor_div(size, count)] * count
        else:
            sizes = [*[part] * (count - 1), size - part * (count - 1)]
    return [(*data[:axis], each, *data[axis + 1 :]) for each in sizes]
