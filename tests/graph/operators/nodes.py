"""Makes single nodes with given shapes, so that a rule can be asked what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from onnxbench.graph.formulas import parse
from onnxbench.graph.network import Node, Tensor
from onnxbench.graph.operators.table import find

if TYPE_CHECKING:
    from onnxbench.graph.cost import Cost
    from onnxbench.graph.operators.row import Operator

FLOAT = onnx.TensorProto.FLOAT
INT8 = onnx.TensorProto.INT8
INT64 = onnx.TensorProto.INT64

Shape = tuple[int | str, ...]
"""Of a float tensor; text is a formula in names of dims."""


def tensor(shape: Shape | None, dtype: int = FLOAT, name: str = "t") -> Tensor:
    """Return a value that is computed."""
    if shape is None:
        return Tensor(name, dtype)
    return Tensor(name, dtype, tuple(parse(d) if isinstance(d, str) else d for d in shape))


def constant(value: Any) -> Tensor:
    """Return a constant whose elements are known."""
    array = np.asarray(value)
    dtype = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return Tensor("constant", dtype, array.shape, constant=True, value=array)


def node(
    op: str,
    inputs: list[Shape | Tensor | None],
    outputs: list[Shape | Tensor | None],
    *,
    domain: str = "",
    opset: int = 28,
    **attributes: Any,
) -> Node:
    """Return a node; a missing input or output is None."""
    proto = onnx.helper.make_node(op, [], [], domain=domain, **attributes)
    given = tuple(each if isinstance(each, Tensor | None) else tensor(each) for each in inputs)
    made = tuple(each if isinstance(each, Tensor | None) else tensor(each) for each in outputs)
    return Node(proto, op, domain, op, opset, given, made)


def row(of: Node) -> Operator:
    """Return the row of the operator of a node."""
    found = find(of.domain, of.op)
    assert found is not None, (of.domain, of.op)
    return found


def cost(op: str, *inputs: Shape | Tensor | None, out: Shape | Tensor, **options: Any) -> Cost:
    """Return what a node with one output costs."""
    of = node(op, list(inputs), [out], **options)
    return row(of).rule(of)
