"""Computes small tensors whose elements follow from shapes and constants: shape arithmetic.

Exporters write ``x.view(x.size(0), -1)`` as Shape, Gather, Unsqueeze and Concat. Such values are
kept on their `Tensor`: ``value`` when every element is a number, ``formulas`` when some are
formulas in open dims, elements that are not known being None. Sizes are bounded throughout; what a
value would take is known before it is made.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from onnxbench.graph.arithmetic import ARITHMETIC
from onnxbench.graph.dims import TooComplex
from onnxbench.graph.network import Unknown
from onnxbench.graph.rearranging import MOVEMENT
from onnxbench.graph.values import (
    MAX_ELEMENTS,
    MAX_REAL_ELEMENTS,
    NUMPY_TYPES,
    REALS,
    Unfit,
    elements,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.graph.network import Node, Tensor
    from onnxbench.graph.values import Array, FoldRule

RULES: Mapping[str, FoldRule] = {**ARITHMETIC, **MOVEMENT}
"""Operators of ai.onnx whose results may be shape arithmetic."""

_OF_SHAPES = frozenset({"Shape", "Size"})


def fold(node: Node) -> None:
    """Give the outputs of ``node`` their elements, if they follow from those of its inputs.

    numpy's warnings about arithmetic are the caller's to turn off.
    """
    arrays = operands(node)
    if arrays is None:
        return
    try:
        made = RULES[node.op](node, arrays)
        results = made if isinstance(made, list) else [made]
        for tensor, array in zip(node.outputs, results, strict=False):
            if tensor is not None and array is not None:
                _keep(tensor, np.asarray(array))
    except (Unknown, Unfit, TooComplex, ArithmeticError, ValueError, TypeError, IndexError):
        return  # what a damaged graph would compute, or what has no formula


def operands(node: Node) -> list[Array] | None:
    """Return the elements that ``node`` would compute with; None if nothing can be computed."""
    if node.op not in RULES or node.domain or not node.outputs:
        return None
    output = node.outputs[0]
    if output is None or output.value is not None:
        return None
    arrays: list[Array] = []
    for tensor in () if node.op in _OF_SHAPES else node.inputs:
        found = elements(tensor)
        if found is not None:
            arrays.append(found)
        elif tensor is not None or node.op != "Clip":
            return None
    return arrays


def _keep(tensor: Tensor, array: Array) -> None:
    limit = MAX_REAL_ELEMENTS if tensor.dtype in REALS else MAX_ELEMENTS
    as_type = NUMPY_TYPES.get(tensor.dtype)
    if array.size > limit or as_type is None:
        return
    if array.dtype != object or all(isinstance(each, int | Fraction) for each in array.flat):
        tensor.value = array.astype(as_type)
    elif any(each is not None for each in array.flat):
        tensor.formulas = array
    tensor.shape = array.shape
