"""Shapes of convolutions, pooling and resizing, with open dims.

Formulas: the operators' pages in the ONNX standard.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from onnxbench.graph.dims import ceil_div, floor_div, maximum, minimum
from onnxbench.graph.network import Unknown
from onnxbench.graph.sizes import at_least, known_shape, sizes_of
from onnxbench.graph.values import elements, fraction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.graph.dims import Dim
    from onnxbench.graph.network import Node, Tensor
    from onnxbench.graph.sizes import Shape

_FIRST_RESIZE_WITH_ROI = 11


def conv(node: Node) -> Shape:
    """Conv, and the integer forms of it, whose weights are input 1 or 3."""
    data = known_shape(node.input(0))
    weights = known_shape(node.input(3 if node.op == "QLinearConv" else 1))
    kernel = list(node.attribute("kernel_shape") or weights[2:])
    return (data[0], weights[0], *_windows(node, data[2:], kernel))


def pool(node: Node) -> list[Shape]:
    """Return the shapes of both outputs of AveragePool, LpPool or MaxPool."""
    data = known_shape(node.input(0))
    kernel = node.attribute("kernel_shape")
    if kernel is None:
        raise Unknown("its kernel is not known")
    shape = (*data[:2], *_windows(node, data[2:], list(kernel)))
    return [shape] * len(node.outputs)


def _windows(node: Node, sizes: Shape, kernel: Sequence[Dim | None]) -> list[Dim | None]:
    """Return how many windows fit along each axis."""
    rank = len(sizes)
    strides = node.attribute("strides") or [1] * rank
    dilations = node.attribute("dilations") or [1] * rank
    pads = node.attribute("pads") or [0] * (2 * rank)
    auto_pad = node.attribute("auto_pad", "NOTSET")
    if not len(kernel) == len(strides) == len(dilations) == rank or len(pads) != 2 * rank:
        raise Unknown("its attributes do not fit its input")
    found: list[Dim | None] = []
    for axis, size in enumerate(sizes):
        width = kernel[axis]
        if size is None or width is None:
            found.append(None)
        elif auto_pad.startswith("SAME"):
            found.append(ceil_div(size, strides[axis]))
        else:
            padded = size if auto_pad == "VALID" else size + pads[axis] + pads[axis + rank]
            reach = (width - 1) * dilations[axis] + 1
            if not node.attribute("ceil_mode", 0):
                found.append(floor_div(padded - reach, strides[axis]) + 1)
                continue
            # A last window that would start in the padding behind the data is left out.
            count = ceil_div(padded - reach, strides[axis]) + 1
            if not at_least(reach - pads[axis + rank] - strides[axis], 0):
                starts = ceil_div(size + pads[axis], strides[axis])
                count = maximum(minimum(count, starts), count - 1)
            found.append(count)
    return found


def conv_transpose(node: Node) -> Shape:
    """ConvTranspose: the inverse of Conv, or of the size that ``output_shape`` says."""
    data, weights = known_shape(node.input(0)), known_shape(node.input(1))
    rank = len(data) - 2
    kernel = list(node.attribute("kernel_shape") or weights[2:])
    strides = node.attribute("strides") or [1] * rank
    dilations = node.attribute("dilations") or [1] * rank
    pads = node.attribute("pads") or [0] * (2 * rank)
    extra = node.attribute("output_padding") or [0] * rank
    given = node.attribute("output_shape")
    channels = None if weights[1] is None else weights[1] * node.attribute("group", 1)
    if not len(kernel) == len(strides) == len(dilations) == len(extra) == rank:
        raise Unknown("its attributes do not fit its input")
    found: list[Dim | None] = list(given[-rank:]) if given else []
    for axis, size in enumerate(() if given else data[2:]):
        width = kernel[axis]
        if size is None or width is None:
            found.append(None)
        elif node.attribute("auto_pad", "NOTSET").startswith("SAME"):
            found.append(size * strides[axis])
        else:
            reach = (width - 1) * dilations[axis] + 1
            grown = (size - 1) * strides[axis] + extra[axis] + reach
            found.append(grown - pads[axis] - pads[axis + rank])
    return (data[0], channels, *found)


def resize(node: Node) -> Shape:
    """Resize and Upsample, by scales or by sizes."""
    data = known_shape(node.input(0))
    first = 2 if node.op == "Resize" and node.opset >= _FIRST_RESIZE_WITH_ROI else 1
    axes = [axis % len(data) for axis in node.attribute("axes") or range(len(data))]
    sizes = sizes_of(node.optional(first + 1))
    scales = _scales(node, node.optional(first))
    result: list[Dim | None] = list(data)
    if sizes:
        policy = node.attribute("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            sizes = _kept_ratio([data[axis] for axis in axes], sizes, policy)
        if len(sizes) != len(axes):
            raise Unknown("its sizes do not fit its input")
        for axis, size in zip(axes, sizes, strict=True):
            result[axis] = size
    elif scales and len(scales) == len(axes):
        for axis, scale in zip(axes, scales, strict=True):
            size = data[axis]
            result[axis] = None if size is None else _scaled(size, scale)
    else:
        raise Unknown("its scales are not known")
    return tuple(result)


def _scales(node: Node, tensor: Tensor | None) -> list[Fraction]:
    given = elements(tensor)
    if given is None or given.dtype == object:
        return [fraction(each) for each in node.attribute("scales") or []]
    return [fraction(each.item()) for each in given.reshape(-1)]


def _scaled(size: Dim, scale: Fraction) -> Dim:
    return floor_div(size * scale.numerator, scale.denominator)


def _kept_ratio(
    data: Sequence[Dim | None], sizes: Sequence[Dim | None], policy: str
) -> list[Dim | None]:
    """Return the sizes that keep the proportions: the smallest or the greatest scale counts."""
    pairs = [
        (before, after)
        for before, after in zip(data, sizes, strict=True)
        if isinstance(before, int) and isinstance(after, int) and before
    ]
    if len(pairs) < len(data):
        raise Unknown("which axis decides depends on open dims")
    ratios = [Fraction(after, before) for before, after in pairs]
    ratio = min(ratios) if policy == "not_larger" else max(ratios)
    return [int(ratio * before + Fraction(1, 2)) for before, _ in pairs]  # rounded half up
