"""Counts the last node of a model by its row alone, at the shapes that the model declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.build import build
from onnxbench.graph.dims import parse
from onnxbench.graph.operators.table import find

if TYPE_CHECKING:
    from onnx import ModelProto

    from onnxbench.graph.cost import Cost
    from onnxbench.graph.network import Node
    from onnxbench.graph.operators.row import Operator


def last(model: ModelProto) -> tuple[Node, Operator]:
    """Return the last node of ``model`` and its row."""
    graph = model.graph
    written = {
        dim.dim_param
        for info in (*graph.input, *graph.output, *graph.value_info)
        for dim in info.type.tensor_type.shape.dim
        if dim.dim_param
    }
    node = build(model, {name: parse(name) for name in written}).nodes[-1]
    row = find(node.domain, node.op)
    assert row is not None
    return node, row


def count(model: ModelProto) -> Cost:
    """Return the cost of the last node of ``model``."""
    node, row = last(model)
    return row.rule(node)
