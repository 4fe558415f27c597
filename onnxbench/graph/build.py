"""Builds a `Graph` from a model whose values carry their inferred types."""

from __future__ import annotations

import heapq
import sys
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.errors import RefusedInput
from onnxbench.graph.functions import FOREIGN_OPSET
from onnxbench.graph.network import Graph, Node, Tensor
from onnxbench.graph.values import MAX_ELEMENTS, NUMPY_TYPES

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto

    from onnxbench.graph.dims import Dim

_RANDOM = frozenset({
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike",
})  # fmt: skip
_INT64, _FLOAT, _STRING = 7, 1, 8


def build(
    model: ModelProto,
    dims: Mapping[str, Dim],
    stored: Mapping[str, Hashable] | None = None,
    *,
    flat: bool = False,
    in_order: bool = False,
) -> Graph:
    """Return the main graph of ``model``, with the types that its value_info gives.

    ``dims``: what the names of dims mean; a name that is not there is a dim that is not known.
    ``stored``: identity of constants by the name of their value, see `Tensor`. ``flat``: no node
    has a subgraph, so that none is looked for. ``in_order``: they can run in their own order.
    """
    opset = {entry.domain or "": entry.version for entry in model.opset_import}
    opset.setdefault("", opset.get("ai.onnx", 1))
    builder = Builder(opset, dims, stored or {}, flat=flat, in_order=in_order)
    return builder.graph(model.graph, None)


class Builder:
    """Builds graphs of one model."""

    def __init__(
        self,
        opset: Mapping[str, int],
        dims: Mapping[str, Dim],
        stored: Mapping[str, Hashable],
        *,
        flat: bool = False,
        in_order: bool = False,
    ) -> None:
        self._opset = opset
        self._dims = dims
        self._stored = stored
        self._flat = flat
        self._in_order = in_order
        self._types: dict[bytes, tuple[int, tuple[Dim | None, ...] | None]] = {}
        self._captured: list[Tensor] = []
        self._random_nodes = 0
        self._versions: dict[str, tuple[str, int]] = {}

    def graph(self, proto: GraphProto, outer: Graph | None) -> Graph:
        """Return ``proto`` as a graph inside ``outer``."""
        graph = Graph(proto.name, [], [], [], {}, outer)
        values = graph.values
        initializers = {tensor.name: tensor for tensor in proto.initializer}
        noted = {}
        for info in proto.value_info:
            name = info.name
            values[name] = self.typed(name, info.type)
            if name in initializers and info.metadata_props:
                noted[name] = {entry.key: entry.value for entry in info.metadata_props}
        for info in (*proto.output, *proto.input):
            values[info.name] = self.typed(info.name, info.type)
        for name, tensor in initializers.items():
            kept = values[name] = constant_of(name, tensor)
            kept.metadata = noted.get(name)
            kept.stored = self._stored.get(name)
        for sparse in proto.sparse_initializer:
            name, dims = sparse.values.name, tuple(sparse.dims)
            values[name] = Tensor(name, sparse.values.data_type, dims, constant=True, proto=sparse)
            values[name].stored = self._stored.get(name)
        if outer is not None:  # what a subgraph hands on of the graph around it is not its own
            made = {name for node in proto.node for name in node.output}
            made.update(info.name for info in proto.input)
            for info in proto.output:
                if info.name not in made and not values[info.name].constant:
                    del values[info.name]
        nodes = proto.node if self._in_order else sorted_nodes(proto.node, flat=self._flat)
        graph.nodes = [self.node(node, graph) for node in nodes]
        graph.inputs = [values[info.name] for info in proto.input if not values[info.name].constant]
        graph.outputs = [found for info in proto.output if (found := graph.value(info.name))]
        return graph

    def node(self, proto: NodeProto, graph: Graph) -> Node:
        """Return ``proto`` as a node of ``graph``, which has its inputs by now."""
        values = graph.values
        # A slice of a repeated field is a list, and made faster than by going through the field.
        names = proto.input[:]
        inputs = [values.get(name) if name else None for name in names]
        if None in inputs and graph.outer is not None:
            inputs = [self._captured_from(graph.outer, name) if found is None else found
                      for name, found in zip(names, inputs, strict=True)]  # fmt: skip
        outputs: list[Tensor | None] = []
        for name in proto.output[:]:
            made = None
            if name:
                made = values.get(name)
                if made is None:
                    made = values[name] = Tensor(name)
            outputs.append(made)
        op = sys.intern(proto.op_type)  # one of a few, looked up in tables again and again
        domain, version = self._versions.get(proto.domain) or self._domain(proto)
        node = Node(proto, op, domain, proto.name, version, tuple(inputs), tuple(outputs))
        for output in outputs:
            if output is not None:
                output.producer = node
        if op == "Constant" and not domain:
            self._fill_constant(node)
        elif self._is_constant(node, graph):
            for output in outputs:
                if output is not None:
                    output.constant = True
        return node

    def _captured_from(self, outer: Graph, name: str) -> Tensor | None:
        """Return the value ``name`` of the graphs around, and note that it was asked for."""
        found = outer.value(name) if name else None
        if found is not None:
            self._captured.append(found)
        return found

    def _domain(self, proto: NodeProto) -> tuple[str, int]:
        """Return domain and version; a node from a function may have a version of its own."""
        domain = proto.domain
        if FOREIGN_OPSET in domain:
            own, _, version = domain.rpartition(FOREIGN_OPSET)
            if version.isdecimal() and version.isascii() and len(version) < 10:
                proto.domain = own
                return own, int(version)
        own = "" if domain == "ai.onnx" else domain
        self._versions[domain] = own, self._opset.get(own, 1)
        return self._versions[domain]

    def _is_constant(self, node: Node, graph: Graph) -> bool:
        """Build the subgraphs of ``node``; tell whether it computes a constant (W6)."""
        first = node.inputs[0] if node.inputs else None
        if self._flat and first is not None and not first.constant:
            return False  # as nearly always
        captured, random_nodes = len(self._captured), self._random_nodes
        if not self._flat:
            for attribute in node.proto.attribute:
                if attribute.type in {attribute.GRAPH, attribute.GRAPHS}:
                    for name, inner in _subgraphs(attribute):
                        node.graphs[name] = self.graph(inner, graph)
            if _is_random(node.op):
                self._random_nodes += 1
        for each in node.inputs:
            if each is not None and not each.constant:
                return False
        if _is_random(node.op):
            return False
        read = self._captured[captured:]
        if graph.outer is None:
            del self._captured[:]
        if not (read or node.graphs or any(each is not None for each in node.inputs)):
            return False
        return all(each.constant for each in read) and self._random_nodes == random_nodes

    def _fill_constant(self, node: Node) -> None:
        output = node.outputs[0] if node.outputs else None
        if output is None:
            return
        found = Tensor(output.name)
        for attribute in node.proto.attribute:
            found = _constant_attribute(output.name, attribute) or found
        output.dtype = found.dtype or output.dtype
        output.shape = found.shape if found.shape is not None else output.shape
        output.value, output.proto, output.constant = found.value, found.proto, True
        output.stored = self._stored.get(output.name)

    def typed(self, name: str, of: TypeProto) -> Tensor:
        """Return a value with the type ``of``."""
        key = of.SerializeToString()
        known = self._types.get(key)
        if known is None:
            if of.WhichOneof("value") != "tensor_type":
                return Tensor(name, type=of if of.WhichOneof("value") else None)
            found = of.tensor_type
            shape = None
            if found.HasField("shape"):
                shape = tuple([self._dim(dim) for dim in found.shape.dim])
            known = self._types[key] = (found.elem_type, shape)
        return Tensor(name, *known)

    def _dim(self, dim: Any) -> Dim | None:
        size: int = dim.dim_value
        if size > 0:  # the usual case, seen without a look at which field is there
            return size
        if dim.HasField("dim_value"):
            return None if size else 0
        return self._dims.get(dim.dim_param) if dim.dim_param else None


def constant_of(name: str, tensor: TensorProto) -> Tensor:
    """Return a constant with the elements of ``tensor``, if these are few and in the file."""
    dtype, shape = tensor.data_type, tuple(tensor.dims[:])
    return Tensor(name, dtype, shape, True, _elements(tensor, dtype, shape), tensor)


@lru_cache(maxsize=4096)
def _is_random(op: str) -> bool:
    return op in _RANDOM or "random" in op.lower()


def _subgraphs(attribute: AttributeProto) -> Iterator[tuple[str, GraphProto]]:
    if attribute.type == attribute.GRAPH:
        yield attribute.name, attribute.g
    elif attribute.type == attribute.GRAPHS:
        for index, graph in enumerate(attribute.graphs):
            yield f"{attribute.name}[{index}]", graph


def _constant_attribute(name: str, attribute: AttributeProto) -> Tensor | None:
    """Return what one attribute of a Constant says of its value."""
    of = attribute.name
    if of == "value":
        return constant_of(name, attribute.t)
    if of == "sparse_value":
        sparse = attribute.sparse_tensor
        return Tensor(name, sparse.values.data_type, tuple(sparse.dims), True, None, sparse)
    if of in {"value_string", "value_strings"}:
        shape = () if of == "value_string" else (len(attribute.strings),)
        return Tensor(name, _STRING, shape, constant=True)
    numbers: dict[str, tuple[int, Any, Any]] = {
        "value_int": (_INT64, np.int64, attribute.i),
        "value_ints": (_INT64, np.int64, attribute.ints),
        "value_float": (_FLOAT, np.float32, attribute.f),
        "value_floats": (_FLOAT, np.float32, attribute.floats),
    }
    if of not in numbers:
        return None
    dtype, as_type, given = numbers[of]
    value = np.array(given, as_type)
    kept = value if value.size <= MAX_ELEMENTS else None
    return Tensor(name, dtype, value.shape, constant=True, value=kept)


def _elements(tensor: TensorProto, dtype: int, shape: tuple[int, ...]) -> Any:
    """Return the elements of a small constant, None of others and of those left in the file."""
    if dtype == _STRING or tensor.HasField("segment"):
        return None
    if tensor.data_location == tensor.EXTERNAL or not 0 <= prod(shape) <= MAX_ELEMENTS:
        return None
    try:
        as_type = NUMPY_TYPES.get(dtype)
        raw = tensor.raw_data if as_type is not None else b""
        if raw and sys.byteorder == "little":  # what to_array does too, at length
            return np.frombuffer(raw, as_type).reshape(shape)
        from onnx import numpy_helper  # noqa: PLC0415

        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError) as error:
        raise RefusedInput("tensor-size", f"{tensor.name!r} cannot be read: {error}") from None


# ------------------------------------------------------------------------------------------ order


def sorted_nodes(nodes: Sequence[NodeProto], *, flat: bool = False) -> Sequence[NodeProto]:
    """Return the nodes in an order in which they can run: their own, if it is one.

    ``flat``: none of them has a subgraph.
    """
    made: set[str] = set()
    early: set[str] = set()
    for node in nodes:
        names = node.input[:] if flat else _reads(node)
        if not made.issuperset(names):
            early.update(name for name in names if name not in made)
        made.update(node.output[:])
    early.discard("")
    if made.isdisjoint(early):
        return nodes
    maker = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    needs = [{maker[name] for name in _reads(each) if name in maker} for each in nodes]
    return [nodes[index] for index in _ordered(needs)]


def _ordered(needs: Sequence[set[int]]) -> list[int]:
    """Return indices so that each stands behind those it needs, else as early as possible.

    Members of a cycle, which pre-flight refuses, come last.
    """
    waiting: dict[int, list[int]] = {}
    for index, needed in enumerate(needs):
        for each in needed:
            waiting.setdefault(each, []).append(index)
    open_ = [len(needed) for needed in needs]
    ready = [index for index, count in enumerate(open_) if not count]
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for each in waiting.get(index, ()):
            open_[each] -= 1
            if not open_[each]:
                heapq.heappush(ready, each)
    return order + sorted(set(range(len(needs))) - set(order))


def _reads(node: NodeProto) -> list[str]:
    """Return the names that a node reads, also those that its subgraphs take from around them."""
    names = list(node.input)
    stack = [inner for each in node.attribute for _, inner in _subgraphs(each)]
    while stack:
        graph = stack.pop()
        own = {info.name for info in graph.input}
        own.update(name for inner in graph.node for name in inner.output)
        own.update(tensor.name for tensor in graph.initializer)
        reads = [info.name for info in graph.output]
        for inner in graph.node:
            reads += inner.input
            stack += [deeper for each in inner.attribute for _, deeper in _subgraphs(each)]
        names += [name for name in reads if name not in own]
    return names
