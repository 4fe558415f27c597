"""Pooling: a window of each channel into one element.

A window costs one FLOP per element of it, padding counted, and a whole map one per input element
(P1); an Lp norm costs a power each and a root per result besides. Pooling over regions of interest
is bounded: how large the regions are is data.

fvcore (flop_count.py) counts aten::adaptive_avg_pool2d by its input elements and no other pooling.
Of exported operators GlobalAveragePool of a 4-D input is that; an AveragePool is, if the exporter
notes it, or if its windows are single elements, which is what adaptive pooling to the input's own
size is exported as. Paddle (hapi/dynamic_flops.py) counts AvgPool by its output elements, and
adaptive pooling by window + 1 for each; its exporter writes the latter as GlobalAveragePool where
one element is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import product
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.operands import shape
from onnxbench.graph.operators.origin import is_adaptive_pool
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.rules import copy, per_input, tally_per_output

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node

_CONTRIB = "com.microsoft"
_NCHWC = "com.microsoft.nchwc"
"""Where ONNX Runtime saves what its layout optimization made."""


def pool(node: Node) -> Cost:
    """prod(out) · prod(kernel) FLOPs (P1)."""
    return Cost(flops=node.output().elements * window(node))


def lp_pool(node: Node) -> Cost:
    """prod(out) · (2 · prod(kernel) + 1) FLOPs: powers, their sum, a root."""
    results = node.output().elements
    return Cost(flops=results * (window(node) * 2 + 1), transcendentals=results)


def global_lp_pool(node: Node) -> Cost:
    """2 FLOPs per input element, 1 per result: powers, their sum, a root."""
    results = node.output().elements
    return Cost(flops=node.input(0).elements * 2 + results, transcendentals=results)


def region_max_pool(node: Node) -> Cost:
    """At most R · C · (H + h - 1) · (W + w - 1) FLOPs, at least prod(out): the regions are data.

    The bins of a region that covers the whole map overlap by at most a row and a column each.
    """
    channels, height, width = shape(node.input(0), 4)[1:]
    regions, _, rows, columns = shape(node.output(), 4)
    most = regions * channels * (height + rows - 1) * (width + columns - 1)
    return Cost(
        flops=most, least=(0, node.output().elements), note="the size of the regions is data"
    )


def fvcore_average_pool(node: Node) -> Count:
    """0; 1 per input element if it stands for adaptive_avg_pool2d (fvcore/nn/flop_count.py)."""
    adaptive = is_adaptive_pool(node) or window(node) == 1
    data = node.input(0)
    return data.elements if adaptive and len(data.dims) == 4 else 0


def fvcore_global_pool(node: Node) -> Count:
    """1 per element of a 4-D input: adaptive_avg_pool2d (fvcore/nn/flop_count.py)."""
    data = node.input(0)
    return data.elements if len(data.dims) == 4 else 0


def paddle_global_pool(node: Node) -> Count:
    """prod(out) · (prod(window) + 1) (count_adap_avgpool in paddle/hapi/dynamic_flops.py)."""
    data = node.input(0)
    return data.elements + product(data.dims[:2])


def window(node: Node) -> int:
    """Return the number of elements in a pooling window. Raises Unknown."""
    kernel = node.attribute("kernel_shape")
    if not kernel or min(kernel) <= 0:
        raise Unknown(f"{node.op} lacks its attribute kernel_shape")
    size = product(kernel)
    assert isinstance(size, int)
    return size


_MAX = Operator("reduction", pool)
_GLOBAL_MAX = Operator("reduction", per_input(1))
_AVERAGE = Operator(
    "reduction",
    pool,
    fvcore=fvcore_average_pool,
    paddle=tally_per_output(1, "count_avgpool in paddle/hapi/dynamic_flops.py"),
)
_GLOBAL_AVERAGE = Operator(
    "reduction", per_input(1), fvcore=fvcore_global_pool, paddle=paddle_global_pool
)

ROWS = {
    ("", "MaxPool"): _MAX,
    ("", "AveragePool"): _AVERAGE,
    ("", "LpPool"): Operator("reduction", lp_pool),
    ("", "GlobalMaxPool"): _GLOBAL_MAX,
    ("", "GlobalAveragePool"): _GLOBAL_AVERAGE,
    ("", "GlobalLpPool"): Operator("reduction", global_lp_pool),
    ("", "MaxUnpool"): Operator("movement", copy),
    ("", "MaxRoiPool"): Operator("reduction", region_max_pool),
    (_CONTRIB, "MaxpoolWithMask"): _MAX,
    (_CONTRIB, "NhwcMaxPool"): _MAX,
    (_NCHWC, "MaxPool"): _MAX,
    (_NCHWC, "AveragePool"): _AVERAGE,
    (_NCHWC, "GlobalMaxPool"): _GLOBAL_MAX,
    (_NCHWC, "GlobalAveragePool"): _GLOBAL_AVERAGE,
}
