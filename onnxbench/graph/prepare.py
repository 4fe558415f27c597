"""Makes a model ready for shape inference: only the inputs may say what its sizes are.

Files carry the types that an exporter once inferred, and somebody may have changed the batch of an
input since. An engine that is shown both would keep the old ones, so what is declared of values
that are computed is taken away first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxbench.graph.expansion import graphs_of
from onnxbench.graph.functions import Inlined, inline

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto

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
    return Prepared(inlined, dims, flat=not _clear(graph))


def inputs_of(graph: GraphProto) -> list[ValueInfoProto]:
    """Return the inputs that a caller gives: those without an initializer."""
    constants = {tensor.name for tensor in graph.initializer}
    constants.update(sparse.values.name for sparse in graph.sparse_initializer)
    return [value for value in graph.input if value.name not in constants]


def _clear(graph: GraphProto) -> bool:
    """Take away what is declared of computed values; keep notes about initializers.

    Tells whether the graph has subgraphs.
    """
    has_subgraphs = False
    constants = {tensor.name for tensor in graph.initializer}
    noted = [each for each in graph.value_info if each.metadata_props and each.name in constants]
    del graph.value_info[:]
    for value in noted:
        value.ClearField("type")
    graph.value_info.extend(noted)
    for value in graph.output:
        value.ClearField("type")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type in {attribute.GRAPH, attribute.GRAPHS}:
                has_subgraphs = True
                for inner in graphs_of(attribute):
                    _clear(inner)
                    for value in inner.input:
                        if value.type.HasField("tensor_type"):
                            value.type.tensor_type.ClearField("shape")
    return has_subgraphs
