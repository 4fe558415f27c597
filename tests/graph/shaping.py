"""Models for the tests of shape inference, written in ONNX's own text format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx import ModelProto, parser

from onnxbench.graph.profile import Binding
from onnxbench.graph.reader import Stripped
from onnxbench.graph.shapes import infer

if TYPE_CHECKING:
    from onnxbench.graph.network import Graph, Node

OPSETS = '"" : 18, "com.microsoft" : 1, "local" : 1'


def model_of(graph: str, functions: str = "", opsets: str = OPSETS) -> ModelProto:
    """Return a model with the graph ``graph``, whose header is ``name (inputs) => (outputs)``."""
    return parser.parse_model(f"<ir_version: 10, opset_import: [{opsets}]> {graph} {functions}")


def infer_model(model: ModelProto, **binding: Any) -> Graph:
    """Return the graph of ``model`` with its shapes."""
    return infer(Stripped(model.SerializeToString(), {}), Binding(**binding))


def infer_text(graph: str, functions: str = "", opsets: str = OPSETS, **binding: Any) -> Graph:
    """Return the graph that `model_of` makes, with its shapes."""
    return infer_model(model_of(graph, functions, opsets), **binding)


def shape(graph: Graph, name: str) -> list[Any]:
    """Return the shape of a value, formulas as text."""
    value = graph.value(name)
    assert value is not None
    assert value.shape is not None
    return [dim if dim is None or isinstance(dim, int) else str(dim) for dim in value.shape]


def node_of(graph: Graph, op: str) -> Node:
    """Return the first node with the operator ``op``, also one inside a subgraph."""
    return next(node for each in graph.walk() for node in each.nodes if node.op == op)
