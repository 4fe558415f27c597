"""Transforms of signals and matrices: Fourier, windows, determinants, distances.

A Fourier transform of N points costs 5 · N · log2(N) FLOPs where N is a power of two, which is what
radix-2 takes on complex numbers, else N² (S2): real input and one-sided output are not discounted,
for libraries differ in what they make of them. Its sines are tables, so nothing is transcendental.
Determinant and inverse are those by elimination.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import floor_div, product
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.operands import integer, number, shape
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.rules import per_input, per_output

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count, Dim
    from onnxbench.graph.network import Node

_CONTRIB = "com.microsoft"
_FIRST_OPSET_WITH_AXIS_AS_INPUT = 20
_DISTANCES = {"sqeuclidean": 0, "euclidean": 1}
"""Roots per distance."""


def dft(node: Node) -> Cost:
    """5 · N · log2(N) FLOPs per transform of N points, N² if N is no power of two (S2)."""
    signal, spectrum = node.input(0).dims, node.output().dims
    axis = _axis(node, len(signal))
    length: Count | None = spectrum[axis]
    if node.attribute("onesided", 0) and not node.attribute("inverse", 0):
        length = number(node.optional(1)) or signal[axis]
    transforms = product((*spectrum[:axis], *spectrum[axis + 1 : -1]))
    return Cost(flops=transforms * _fourier(length))


def stft(node: Node) -> Cost:
    """One transform of the frame's length per frame (S2), and a product with the window."""
    batch, frames = shape(node.output(), 4)[:2]
    window = node.optional(2)
    length = number(node.optional(3))
    if window is not None:
        (length,) = shape(window, 1)
    weighted = length if window is not None and length is not None else 0
    return Cost(flops=batch * frames * (_fourier(length) + weighted))


def rfft(node: Node) -> Cost:
    """5 · N · log2(N) FLOPs per transform of N real points, else N²."""
    return _real_fourier(node, node.input(0).dims)


def irfft(node: Node) -> Cost:
    """5 · N · log2(N) FLOPs per transform into N real points, else N²."""
    return _real_fourier(node, node.output().dims)


def determinant(node: Node) -> Cost:
    """(n - 1) · n · (4n + 1) / 6 FLOPs of elimination and n - 1 products for an n × n matrix."""
    *batch, _, size = _square(node)
    elimination = floor_div((size - 1) * size * (size * 4 + 1), 6)
    return Cost(flops=product(batch) * (elimination + size - 1))


def inverse(node: Node) -> Cost:
    """2 · n³ FLOPs of elimination for an n × n matrix."""
    *batch, _, size = _square(node)
    return Cost(flops=product(batch) * size * size * size * 2)


def pairwise_distances(node: Node) -> Cost:
    """3 FLOPs per pair of rows and coordinate: a difference, its square, a sum."""
    metric = node.attribute("metric", "sqeuclidean")
    if metric not in _DISTANCES:
        raise Unknown(f"the metric {str(metric)[:40]!r}")
    pairs, coordinates = node.output().elements, shape(node.input(0), 2)[1]
    roots = pairs * _DISTANCES[metric]
    return Cost(flops=pairs * coordinates * 3 + roots, transcendentals=roots)


def _axis(node: Node, rank: int) -> int:
    """Return the axis of a DFT; the last one of all holds real and imaginary parts."""
    if node.opset < _FIRST_OPSET_WITH_AXIS_AS_INPUT:
        axis: Count | None = node.attribute("axis", 1)
    else:
        axis = -2 if node.optional(2) is None else number(node.optional(2))
    if not isinstance(axis, int) or not -rank <= axis < rank - 1:
        raise Unknown(f"the axis of {node.op} is not known")
    return axis % rank


def _fourier(length: Count | None) -> int:
    """Return the FLOPs of one transform. Raises Unknown: the formula needs a number."""
    if not isinstance(length, int):
        raise Unknown("the length of the transform is not known")
    if length & (length - 1):
        return length * length
    return 5 * length * (length.bit_length() - 1) if length else 0


def _real_fourier(node: Node, points: tuple[Dim, ...]) -> Cost:
    count = integer(node, "signal_ndim")
    if count > len(points):
        raise Unknown(f"the signal of {node.op} has fewer than {count} axes")
    split = len(points) - count
    return Cost(flops=product(points[:split]) * _fourier(product(points[split:])))


def _square(node: Node) -> tuple[Dim, ...]:
    dims = node.input(0).dims
    if len(dims) < 2 or dims[-1] != dims[-2]:
        raise Unknown(f"{node.op} of what is no square matrix")
    return dims


_COSINE_WINDOW = Operator("transform", per_output(4, 1, "a - b · cos(c · n)"))

ROWS = {
    ("", "DFT"): Operator("transform", dft),
    ("", "STFT"): Operator("transform", stft),
    ("", "HannWindow"): _COSINE_WINDOW,
    ("", "HammingWindow"): _COSINE_WINDOW,
    ("", "BlackmanWindow"): Operator("transform", per_output(8, 2, "a window of two cosines")),
    ("", "MelWeightMatrix"): Operator("transform", per_output(2, formula="a slope each")),
    ("", "Det"): Operator("transform", determinant),
    ("", "Col2Im"): Operator("transform", per_input(1, formula="overlapping blocks are summed")),
    (_CONTRIB, "Rfft"): Operator("transform", rfft),
    (_CONTRIB, "Irfft"): Operator("transform", irfft),
    (_CONTRIB, "Inverse"): Operator("transform", inverse),
    (_CONTRIB, "CDist"): Operator("transform", pairwise_distances),
    (_CONTRIB, "DynamicTimeWarping"): Operator(
        "transform", per_input(3, formula="a sum and the minimum of three ways")
    ),
}
