"""The bodies that the standard gives some operators, at the shapes of one call (rule F3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from onnxbench.graph.build import Builder
from onnxbench.graph.engines import schema_of
from onnxbench.graph.expansion import graphs_of
from onnxbench.graph.network import Graph, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from onnx import AttributeProto, FunctionProto, NodeProto

    from onnxbench.graph.engines import Reference
    from onnxbench.graph.network import Node


def body_of(node: Node, reference: Reference) -> Graph | None:
    """Return the body of a standard operator; shapes inside it are still unknown.

    Inputs of the graph are the inputs of the call. None if the operator has no body, or none for
    these inputs.
    """
    schema = schema_of(node)
    if schema is None or any(each and each.type for each in node.inputs):
        return None
    function = _function(node, schema, reference)
    if function is None:
        return None
    given = {each.name: each for each in node.proto.attribute}
    for name, attribute in schema.attributes.items():
        if attribute.default_value.name:
            given.setdefault(name, attribute.default_value)
    label = node.name or node.op
    graph = Graph(label, [], [], [], {})
    for name, tensor in zip(function.input, node.inputs, strict=False):
        if tensor is not None:
            graph.values[name] = tensor
    opset = {each.domain: each.version for each in function.opset_import}
    builder = Builder(opset, {}, {})
    present = set(graph.values)
    for index, inner in enumerate(function.node):
        bound = _bound(inner, given, set(function.input) - present)
        bound.name = f"{label}/{inner.name or f'{inner.op_type}_{index}'}"
        graph.nodes.append(builder.node(bound, graph))
    graph.inputs = [tensor for tensor in node.inputs if tensor is not None]
    # A body need not compute what the call leaves out.
    graph.outputs = [graph.values.get(name) or Tensor(name) for name in function.output]
    return graph


def _function(node: Node, schema: Any, reference: Reference) -> FunctionProto | None:
    """Return the function of ``node``, the one that its version of the operator set takes."""
    versions = schema.function_opset_versions
    in_context = schema.context_dependent_function_opset_versions
    try:
        if in_context:
            version = max(
                (each for each in in_context if each <= node.opset), default=in_context[0]
            )
            types = [b"" if each is None else reference.type_bytes(each) for each in node.inputs]
            data = schema.get_context_dependent_function_with_opset_version(
                version, node.proto.SerializeToString(), types
            )
        elif versions:
            version = max((each for each in versions if each <= node.opset), default=versions[0])
            data = schema.get_function_with_opset_version(version)
        else:
            return None
        function = onnx.FunctionProto.FromString(data)
    except Exception:  # noqa: BLE001 - builders of bodies raise all sorts of errors
        return None
    return function if function.node else None


def _bound(node: NodeProto, given: Mapping[str, AttributeProto], absent: set[str]) -> NodeProto:
    """Return ``node`` with the attributes of the call, and without inputs that it lacks."""
    bound = onnx.NodeProto()
    bound.CopyFrom(node)
    bound.input[:] = ["" if name in absent else name for name in node.input]
    kept = []
    for attribute in bound.attribute:
        if attribute.ref_attr_name:
            value = given.get(attribute.ref_attr_name)
            if value is None:
                continue
            name = attribute.name
            attribute.CopyFrom(value)
            attribute.name = name
        for graph in graphs_of(attribute):
            nodes = [_bound(inner, given, absent) for inner in graph.node]
            del graph.node[:]
            graph.node.extend(nodes)
        kept.append(attribute)
    if len(kept) != len(bound.attribute):
        del bound.attribute[:]
        bound.attribute.extend(kept)
    return bound
