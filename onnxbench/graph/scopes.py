"""All the places of a model where nodes and tensors are: graphs, subgraphs, functions, training.

Tensors hide in attributes, in sparse tensors and in the default attributes of functions; whoever
checks a model must see every one of them, whatever an attribute's declared type says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.foreign import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onnx import (
        AttributeProto,
        FunctionProto,
        GraphProto,
        ModelProto,
        NodeProto,
        SparseTensorProto,
        TensorProto,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """One graph or one function body: a list of nodes and the names that are defined there.

    ``where``: how to call it in a message. ``outer``: the scope whose names are visible too.
    ``inference``: False for training graphs, which no runtime executes here. ``attributes``: of the
    nodes, each with its own, then the scope's defaults, which have none.
    """

    nodes: Sequence[NodeProto]
    graph: GraphProto | None
    function: FunctionProto | None
    where: str
    outer: Scope | None = None
    inference: bool = True
    attributes: list[tuple[AttributeProto, NodeProto | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Find the attributes once: most of 100,000 nodes have none."""
        for node in self.nodes:
            attributes = node.attribute
            if attributes:
                self.attributes.extend([(each, node) for each in attributes])
        if self.function is not None:
            self.attributes.extend([(each, None) for each in self.function.attribute_proto])

    @property
    def inputs(self) -> list[str]:
        """Names of the scope's inputs."""
        if self.graph is not None:
            return [value.name for value in self.graph.input]
        return list(self.function.input) if self.function is not None else []

    @property
    def outputs(self) -> list[str]:
        """Names of the scope's outputs."""
        if self.graph is not None:
            return [value.name for value in self.graph.output]
        return list(self.function.output) if self.function is not None else []

    @property
    def initializers(self) -> list[str]:
        """Names of the constants that the scope holds, dense and sparse."""
        if self.graph is None:
            return []
        dense = [tensor.name for tensor in self.graph.initializer]
        return dense + [sparse.values.name for sparse in self.graph.sparse_initializer]


class FoundTensor(NamedTuple):
    """A tensor and how to call it in a message."""

    proto: TensorProto
    where: str
    inference: bool


def scopes(model: ModelProto) -> Iterator[Scope]:
    """Yield every scope of ``model``, an outer one before those inside it."""
    stack = [Scope(model.graph.node, model.graph, None, "the graph")]
    for function in model.functions:
        where = f"function {shown(function.name)}"
        stack.append(Scope(function.node, None, function, where))
    for training in model.training_info:
        stack += [
            Scope(graph.node, graph, None, "a training graph", inference=False)
            for graph in (training.initialization, training.algorithm)
        ]
    while stack:
        scope = stack.pop()
        yield scope
        for attribute, _ in scope.attributes:
            graphs = [attribute.g] if attribute.HasField("g") else []
            for graph in (*graphs, *attribute.graphs):
                where = f"subgraph {shown(graph.name)}"
                stack.append(Scope(graph.node, graph, None, where, scope, scope.inference))


def tensors(scope: Scope) -> Iterator[FoundTensor]:
    """Yield every tensor that ``scope`` itself holds, not those of the scopes inside it."""
    if scope.graph is not None:
        for tensor in scope.graph.initializer:
            yield FoundTensor(tensor, f"initializer {shown(tensor.name)}", scope.inference)
        for sparse in scope.graph.sparse_initializer:
            yield from _sparse(sparse, "sparse initializer", scope.inference)
    for attribute, node in scope.attributes:
        if not (
            attribute.HasField("t")
            or attribute.tensors
            or attribute.HasField("sparse_tensor")
            or attribute.sparse_tensors
        ):
            continue
        owner = scope.where if node is None else f"node {shown(node.name or node.op_type)}"
        where = f"attribute {shown(attribute.name)} of {owner}"
        if attribute.HasField("t"):
            yield FoundTensor(attribute.t, where, scope.inference)
        for tensor in attribute.tensors:
            yield FoundTensor(tensor, where, scope.inference)
        if attribute.HasField("sparse_tensor"):
            yield from _sparse(attribute.sparse_tensor, where, scope.inference)
        for sparse in attribute.sparse_tensors:
            yield from _sparse(sparse, where, scope.inference)


def _sparse(sparse: SparseTensorProto, where: str, inference: bool) -> Iterator[FoundTensor]:
    where = f"{where} {shown(sparse.values.name)}"
    yield FoundTensor(sparse.values, where + " (values)", inference)
    yield FoundTensor(sparse.indices, where + " (indices)", inference)
