"""What a paddle network executes, read from its static program.

The program that paddle traces at a fixed shape lists every operator with the shapes of its
operands, functional ones too, before any conversion to ONNX.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxbench.sources import SourceCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CONVOLUTIONS = frozenset({"conv2d", "depthwise_conv2d"})
_PRODUCTS = frozenset({"matmul", "bmm", "mm"})
_UNCOUNTED = re.compile(
    r"conv\d|einsum|attention|attn|fused|^linear|^fc$|addmm|baddbmm|^if$|^while$"
)
"""Operators that multiply too, or hide operators: with one of them the sum would be wrong."""


@dataclass(frozen=True, slots=True)
class Executed:
    """Names of the parameters that a program reads, and its cost: None if that cannot be told."""

    parameters: frozenset[str]
    counts: SourceCounts | None


def examine(program: Any) -> Executed:
    """Return what a static program executes whose every dim is known.

    A convolution costs one multiply-add per output element and weight of its filter, a matrix
    product one per output element and length of the summed dim.
    """
    operators = program.global_block().ops
    parameters = frozenset(
        operator.attrs()["parameter_name"]
        for operator in operators
        if operator.name() == "builtin.parameter" and not operator.results()[0].use_empty()
    )
    return Executed(parameters, _count(operators))


def _count(operators: Iterable[Any]) -> SourceCounts | None:
    macs = convolutions = matmuls = 0
    for operator in operators:
        name = operator.name().removeprefix("pd_op.")
        if name in _CONVOLUTIONS:
            convolutions += 1
            _, weights = _shapes(operator.operands_source()[:2])
            per_element = math.prod(weights[1:])
        elif name in _PRODUCTS:
            matmuls += 1
            left, _ = _shapes(operator.operands_source()[:2])
            transposed = operator.attrs().get("transpose_x", False) and len(left) > 1
            per_element = left[-2] if transposed else left[-1]
        elif _UNCOUNTED.search(name):
            return None
        else:
            continue
        (output,) = _shapes(operator.results()[:1])
        if min((*output, per_element)) < 0:
            return None
        macs += math.prod(output) * per_element
    return SourceCounts(macs, convolutions, matmuls)


def _shapes(values: Sequence[Any]) -> list[tuple[int, ...]]:
    return [tuple(value.shape) for value in values]
