"""Counts the last node of a model by its row alone, at the shapes that the model declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.build import build
from onnxbench.graph.formulas import parse
from onnxbench.graph.operators.table import find
from tests.graph.operators.probing import MS, model, node

if TYPE_CHECKING:
    from typing import Any

    from onnx import ModelProto

    from onnxbench.graph.cost import Cost
    from onnxbench.graph.network import Node
    from onnxbench.graph.operators.row import Operator


def last(made: ModelProto) -> tuple[Node, Operator]:
    """Return the last node of ``made`` and its row."""
    graph = made.graph
    written = {
        dim.dim_param
        for info in (*graph.input, *graph.output, *graph.value_info)
        for dim in info.type.tensor_type.shape.dim
        if dim.dim_param
    }
    found = build(made, {name: parse(name) for name in written}).nodes[-1]
    row = find(found.domain, found.op)
    assert row is not None
    return found, row


def count(made: ModelProto) -> Cost:
    """Return the cost of the last node of ``made``."""
    found, row = last(made)
    return row.rule(found)


def microsoft(
    op: str,
    names: str,
    inputs: dict[str, Any],
    weights: dict[str, Any] | None = None,
    outputs: dict[str, Any] | None = None,
    **more: Any,
) -> ModelProto:
    """Return a model of one com.microsoft operator; its output has no axes unless given."""
    made = outputs or {"y": ()}
    return model(node(op, names, " ".join(made), MS, **more), inputs, weights, made)
