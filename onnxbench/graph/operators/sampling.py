"""Interpolation: values between the elements of a map (S1).

Each result is a weighted sum over 2 taps per axis (linear) or 4 (cubic), two FLOPs each; the
nearest element is copied. Where a tap lies is found once per position, not per channel, and not
counted. With antialiasing a shrunk axis takes as many more taps as it shrinks.

fvcore (flop_count.py) counts aten::upsample_nearest2d 1 and upsample_bilinear2d 4 per output
element, aten::grid_sampler 4 in every mode; bicubic, antialiased and 1-D or 3-D ones are not in its
table. Paddle counts none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import ceil_div, maximum, product
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.operands import shape
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.rules import tally_per_output

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count, Dim
    from onnxbench.graph.network import Node

_CONTRIB = "com.microsoft"
_TAPS = {"nearest": 0, "linear": 2, "bilinear": 2, "cubic": 4, "bicubic": 4}
"""Taps per axis; 0 stands for a copy."""

_PER_TAP = 2
"""FLOPs: a product and a sum."""


def resize(node: Node) -> Cost:
    """2 FLOPs per tap: 2 (linear) or 4 (cubic) taps per resized axis; nearest 0 (S1)."""
    per_axis = _taps(node, node.attribute("mode", "nearest"))
    if not per_axis:
        return Cost()
    taps = product(_axis_taps(node, per_axis, *sizes) for sizes in _resized(node))
    return Cost(flops=node.output().elements * taps * _PER_TAP if taps != 1 else 0)


def grid_sample(node: Node) -> Cost:
    """2 FLOPs per tap: 2 (linear) or 4 (cubic) taps per spatial axis; nearest 0 (S1)."""
    per_axis = _taps(node, node.attribute("mode", "linear"))
    if not per_axis:
        return Cost()
    taps = per_axis ** (len(node.input(0).dims) - 2)
    return Cost(flops=node.output().elements * taps * _PER_TAP)


def region_align(node: Node) -> Cost:
    """8 FLOPs per sample, ``sampling_ratio``² samples per result (S1).

    A ratio of 0 lets the size of the region decide: at most as many as if it were the whole map.
    """
    results, ratio = node.output().elements, node.attribute("sampling_ratio", 0)
    if ratio > 0:
        return Cost(flops=results * ratio * ratio * 4 * _PER_TAP)
    height, width = shape(node.input(0), 4)[2:]
    rows, columns = shape(node.output(), 4)[2:]
    samples = ceil_div(height, rows) * ceil_div(width, columns)
    return Cost(
        flops=results * samples * 4 * _PER_TAP,
        least=(0, results * 4 * _PER_TAP),
        note="the size of the regions is data; none is taken to be larger than the map",
    )


def crop_and_resize(node: Node) -> Cost:
    """8 FLOPs per output element, nearest 0."""
    nearest = node.attribute("mode", "bilinear") == "nearest"
    return Cost(flops=0 if nearest else node.output().elements * 4 * _PER_TAP)


def fvcore_resize(node: Node) -> Count:
    """1 (nearest) or 4 (bilinear) per output element of 4-D maps (fvcore/nn/flop_count.py)."""
    if len(node.output().dims) != 4 or node.attribute("antialias", 0):
        return 0
    per_element = {"nearest": 1, "linear": 4}.get(node.attribute("mode", "nearest"), 0)
    return node.output().elements * per_element


def _taps(node: Node, mode: str) -> int:
    if mode not in _TAPS:
        raise Unknown(f"the mode {mode[:40]!r} of {node.op}")
    return _TAPS[mode]


def _resized(node: Node) -> list[tuple[Dim, Dim]]:
    """Return the sizes before and after of the axes that are interpolated."""
    before, after = node.input(0).dims, node.output().dims
    if len(before) != len(after):
        raise Unknown(f"{node.op} changes the number of axes")
    if node.attribute("coordinate_transformation_mode") == "tf_crop_and_resize":
        axes = node.attribute("axes") or range(len(before))
        return [(before[axis], after[axis]) for axis in axes]
    return [sizes for sizes in zip(before, after, strict=True) if sizes[0] != sizes[1]]


def _axis_taps(node: Node, taps: int, before: Dim, after: Dim) -> Count:
    if not node.attribute("antialias", 0):
        return taps
    return maximum(taps, ceil_div(before * taps, after))


_RESIZE = Operator("sampling", resize, fvcore=fvcore_resize)
_GRID_SAMPLE = Operator(
    "sampling",
    grid_sample,
    fvcore=tally_per_output(4, "aten::grid_sampler in fvcore/nn/flop_count.py"),
)

ROWS = {
    ("", "Resize"): _RESIZE,
    ("", "Upsample"): _RESIZE,
    ("", "GridSample"): _GRID_SAMPLE,
    ("", "RoiAlign"): Operator("sampling", region_align),
    (_CONTRIB, "GridSample"): _GRID_SAMPLE,
    (_CONTRIB, "CropAndResize"): Operator("sampling", crop_and_resize),
    ("com.microsoft.nchwc", "Upsample"): _RESIZE,
}
