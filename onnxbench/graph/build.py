"""Builds a `Graph` from a model whose values carry their inferred types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxbench.errors import RefusedInput
from onnxbench.graph.dims import parse, symbol
from onnxbench.graph.network import Graph, Node, Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TypeProto

    from onnxbench.graph.dims import Dim

MAX_VALUE_ELEMENTS = 1024
"""Constants up to this size are looked at."""

_RANDOM = frozenset({
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike",
})  # fmt: skip
_INTEGERS = frozenset({2, 3, 4, 5, 6, 7, 9, 12, 13})


def build(model: ModelProto) -> Graph:
    """Return the main graph of ``model``, with the types that its value_info gives."""
    opset = {entry.domain or "": entry.version for entry in model.opset_import}
    opset.setdefault("", opset.get("ai.onnx", 1))
    return _graph(model.graph, None, opset)


def _graph(proto: GraphProto, outer: Graph | None, opset: Mapping[str, int]) -> Graph:
    graph = Graph(proto.name, [], [], [], {}, outer)
    values = graph.values
    for info in proto.value_info:
        values[info.name] = _typed(info.name, info.type)
    for info in (*proto.output, *proto.input):
        values[info.name] = _typed(info.name, info.type)
    noted = {info.name: info.metadata_props for info in proto.value_info if info.metadata_props}
    for tensor in proto.initializer:
        stored = values[tensor.name] = _constant(tensor)
        if tensor.name in noted:
            stored.metadata = {entry.key: entry.value for entry in noted[tensor.name]}
    for sparse in proto.sparse_initializer:
        name, dims = sparse.values.name, tuple(sparse.dims)
        values[name] = Tensor(name, sparse.values.data_type, dims, constant=True, proto=sparse)
    for node in sorted_nodes(proto.node):
        graph.nodes.append(_node(node, graph, opset))
    graph.inputs = [values[info.name] for info in proto.input if not values[info.name].constant]
    graph.outputs = [found for info in proto.output if (found := graph.value(info.name))]
    return graph


def sorted_nodes(nodes: Iterable[NodeProto]) -> Iterable[NodeProto]:
    """Return the nodes in an order in which they can run."""
    return nodes


def _node(proto: NodeProto, graph: Graph, opset: Mapping[str, int]) -> Node:
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    inputs = tuple(graph.value(name) if name else None for name in proto.input)
    outputs = []
    for name in proto.output:
        outputs.append(graph.values.setdefault(name, Tensor(name)) if name else None)
    node = Node(
        proto, proto.op_type, domain, proto.name, opset.get(domain, 1), inputs, tuple(outputs)
    )
    for attribute in proto.attribute:
        if attribute.type == attribute.GRAPH:
            node.graphs[attribute.name] = _graph(attribute.g, graph, opset)
    for output in outputs:
        if output is not None:
            output.producer = node
    if proto.op_type == "Constant" and domain == "":
        _fill_constant(node)
    elif inputs and not node.graphs and proto.op_type not in _RANDOM:
        if all(each is None or each.constant for each in inputs):
            for output in outputs:
                if output is not None:
                    output.constant = True
    return node


def _fill_constant(node: Node) -> None:
    import numpy as np  # noqa: PLC0415

    output = node.output()
    for attribute in node.proto.attribute:
        if attribute.name == "value":
            found = _constant(attribute.t)
            output.proto, output.value = attribute.t, found.value
            output.dtype, output.shape = found.dtype, found.shape
        elif attribute.name == "sparse_value":
            output.proto = attribute.sparse_tensor
            output.dtype = attribute.sparse_tensor.values.data_type
            output.shape = tuple(attribute.sparse_tensor.dims)
        elif attribute.name in {"value_int", "value_ints"}:
            given = attribute.i if attribute.name == "value_int" else list(attribute.ints)
            output.value = np.array(given, np.int64)
            output.dtype, output.shape = 7, output.value.shape
        elif attribute.name in {"value_float", "value_floats"}:
            given_floats = attribute.f if attribute.name == "value_float" else attribute.floats
            output.value = np.array(given_floats, np.float32)
            output.dtype, output.shape = 1, output.value.shape
    output.constant = True


def _constant(tensor: TensorProto) -> Tensor:
    return Tensor(
        tensor.name, tensor.data_type, tuple(tensor.dims), True, _elements(tensor), tensor
    )


def _elements(tensor: TensorProto) -> Any:
    """Return the elements of a small constant, None of others and of those left in the file."""
    import numpy as np  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415

    if tensor.HasField("segment") or tensor.data_location == tensor.EXTERNAL:
        return None
    if np.prod(tensor.dims, dtype=float) > MAX_VALUE_ELEMENTS:
        return None
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        raise RefusedInput("tensor-size", f"{tensor.name!r} cannot be read: {error}") from None


def _typed(name: str, of: TypeProto) -> Tensor:
    if of.WhichOneof("value") != "tensor_type":
        return Tensor(name)
    found = of.tensor_type
    if not found.HasField("shape"):
        return Tensor(name, found.elem_type)
    return Tensor(name, found.elem_type, tuple(_dim(dim) for dim in found.shape.dim))


def _dim(dim: Any) -> Dim | None:
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    if not dim.dim_param:
        return None
    try:
        return parse(dim.dim_param)
    except ValueError:
        return symbol("_unnamed")
