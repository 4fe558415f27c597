"""Makes a model ready for shape inference: only the inputs may say what its sizes are.

Files carry the types that an exporter once inferred, and somebody may have changed the batch of an
input since. An engine that is shown both would keep the old ones, so what is declared of values
that are computed is taken away first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnxbench.graph.expansion import domain_of, graphs_of
from onnxbench.graph.functions import FOREIGN_OPSET, Inlined, inline
from onnxbench.graph.unsafe import is_fatal, wants_types

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

    from onnxbench.graph.dims import Dim
    from onnxbench.graph.naming import Names
    from onnxbench.graph.profile import Binding


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of a model.

    ``dims``: the meaning of the names of dims that it now has. ``flat``: it has no subgraphs.
    """

    inlined: Inlined
    dims: dict[str, Dim]
    flat: bool


def prepare(model: ModelProto, names: Names, binding: Binding) -> Prepared:
    """Change ``model`` so that functions are inlined and only inputs have shapes, those bound.

    Raises UsageError if ``binding`` does not fit.
    """
    del model.training_info[:]
    graph = model.graph
    inputs = inputs_of(graph)
    shapes = names.bind(binding, [each.name for each in inputs], names.declare(inputs))
    dims: dict[str, Dim] = {}
    for value, shape in zip(inputs, shapes, strict=True):
        if shape is None or value.type.WhichOneof("value") not in {"tensor_type", None}:
            continue
        kept = value.type.tensor_type.shape
        del kept.dim[:]
        kept.SetInParent()
        for dim in shape:
            if isinstance(dim, int):
                kept.dim.add(dim_value=dim)
            elif dim is None:
                kept.dim.add()
            else:
                kept.dim.add(dim_param=str(dim))
                dims[str(dim)] = dim
    inlined = inline(model)
    seen = _Seen()
    _clear(graph, seen)
    _hide(model, seen.hidden)
    return Prepared(inlined, dims, flat=not seen.subgraphs)


def inputs_of(graph: GraphProto) -> list[ValueInfoProto]:
    """Return the inputs that a caller gives: those without an initializer."""
    constants = {tensor.name for tensor in graph.initializer}
    constants.update(sparse.values.name for sparse in graph.sparse_initializer)
    return [value for value in graph.input if value.name not in constants]


@dataclass(slots=True)
class _Seen:
    """What one walk over all nodes of a model finds."""

    subgraphs: bool = False
    hidden: list[NodeProto] = field(default_factory=list)


def _clear(graph: GraphProto, seen: _Seen) -> None:
    """Take away what is declared of computed values; keep notes about initializers."""
    constants = {tensor.name for tensor in graph.initializer}
    noted = [each for each in graph.value_info if each.metadata_props and each.name in constants]
    del graph.value_info[:]
    for value in noted:
        value.ClearField("type")
    graph.value_info.extend(noted)
    for value in graph.output:
        value.ClearField("type")
    for node in graph.node:
        if is_fatal(node) or wants_types(node):
            seen.hidden.append(node)
        attributes = node.attribute
        for attribute in attributes or ():  # to ask is faster than to go through
            if attribute.type in {attribute.GRAPH, attribute.GRAPHS}:
                seen.subgraphs = True
                for inner in graphs_of(attribute):
                    _clear(inner, seen)
                    for value in inner.input:
                        if value.type.HasField("tensor_type"):
                            value.type.tensor_type.ClearField("shape")


def _hide(model: ModelProto, nodes: Iterable[NodeProto]) -> None:
    """Keep ONNX's inference from looking at ``nodes``; `build` shows them again."""
    versions = {domain_of(each.domain): each.version for each in model.opset_import}
    for node in nodes:
        if FOREIGN_OPSET in node.domain:
            continue
        domain = domain_of(node.domain)
        node.domain = f"{domain}{FOREIGN_OPSET}{versions.get(domain, 1)}"
        if node.domain not in versions:
            versions[node.domain] = 1
            model.opset_import.add(domain=node.domain, version=1)
