"""A graph as the analyzer sees it: nodes and values with everything that is known of them.

`onnxbench.graph.shapes` builds it from a model; costs, parameters, memory and modules read it.
Functions are inlined by then, so a `Graph` is the main graph or a subgraph of If, Loop or Scan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from onnxbench.graph.dims import ceil_div
from onnxbench.graph.payloads import BITS

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    import numpy as np
    from onnx import NodeProto, SparseTensorProto, TensorProto, TypeProto

    from onnxbench.graph.dims import Count, Dim


class Unknown(Exception):
    """Something that a rule needs is not known; the text says what."""


@dataclass(slots=True, eq=False)
class Tensor:
    """A value of a graph.

    ``dtype``: TensorProto.DataType, 0 if unknown or not a tensor. ``shape``: None where not even
    the rank is known; a dim is an int, a formula in the file's dim names, or None for unknown.
    ``constant``: computed from constants alone, so it is a weight or a setting and never an
    activation (rule W6). ``value``: its elements, for constants and shape arithmetic that are
    small enough to be looked at. ``proto``: what the file stores, for initializers and the outputs
    of Constant nodes. ``producer``: the node that computes it; None for inputs and initializers.
    ``metadata``: what the exporter notes about a value, such as whether torch calls it a parameter.
    ``formulas``: the elements of shape arithmetic with open dims, an array of Dims and Fractions.
    ``type``: of a sequence, map or optional value. ``stored``: equal for tensors that are copies of
    one stored object, as a constant in the body of a function that is called twice; else None.
    """

    name: str
    dtype: int = 0
    shape: tuple[Dim | None, ...] | None = None
    constant: bool = False
    value: np.ndarray[Any, np.dtype[Any]] | None = None
    proto: TensorProto | SparseTensorProto | None = None
    producer: Node | None = None
    metadata: Mapping[str, str] | None = None
    formulas: np.ndarray[Any, np.dtype[Any]] | None = None
    type: TypeProto | None = None
    stored: Hashable = None

    @property
    def dims(self) -> tuple[Dim, ...]:
        """The shape, every dim of it known. Raises Unknown."""
        if self.shape is None:
            raise Unknown(f"the shape of {self.name!r} is not known")
        if None in self.shape:
            raise Unknown(f"a dim of {self.name!r} is not known")
        return self.shape  # type: ignore[return-value]  # it holds no None

    @property
    def elements(self) -> Count:
        """Number of elements. Raises Unknown."""
        shape = self.shape
        if shape is None or None in shape:
            shape = self.dims  # which says what is missing
        return prod(shape)  # type: ignore[arg-type]  # it holds no None

    @property
    def bytes(self) -> Count:
        """Size in memory, elements below a byte packed (W5). Raises Unknown."""
        size = size_of(self.dtype, self.shape)
        if size is not None:
            return size
        if self.dtype not in BITS:
            raise Unknown(f"the size of the elements of {self.name!r} is not known")
        return self.elements  # which raises


@lru_cache(maxsize=1 << 14)
def size_of(dtype: int, shape: tuple[Dim | None, ...] | None) -> Count | None:
    """Return the bytes of a tensor, elements below a byte packed (W5); None if not known.

    Networks have few types and many tensors of each.
    """
    bits = BITS.get(dtype)
    if bits is None or shape is None or None in shape:
        return None
    return packed_bytes(prod(shape), bits)  # type: ignore[arg-type]  # it holds no None


def packed_bytes(elements: Count, bits: int) -> Count:
    """Return the bytes that ``elements`` of ``bits`` each take, packed."""
    return elements * (bits // 8) if bits % 8 == 0 else ceil_div(elements * bits, 8)


@dataclass(slots=True, eq=False)
class Node:
    """One node. A missing optional input or output is None.

    ``domain``: "" for ai.onnx. ``graphs``: the subgraphs of If, Loop and Scan by attribute name.
    ``opset``: the version of its domain that the model imports. ``trips``: how often the body of a
    Loop, Scan or SequenceMap runs, at most; a symbol (``n_Loop_0``) where the graph does not tell.
    ``varies``: sizes in the body of a loop change from run to run, which no one symbol describes.
    """

    proto: NodeProto
    op: str
    domain: str
    name: str
    opset: int
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...]
    graphs: dict[str, Graph] = field(default_factory=dict)
    trips: Dim | None = None
    varies: bool = False

    def input(self, index: int) -> Tensor:
        """Return an input that the operator requires. Raises Unknown if it is missing."""
        found = self.optional(index)
        if found is None:
            raise Unknown(f"{self.op} lacks its input {index}")
        return found

    def optional(self, index: int) -> Tensor | None:
        """Return an input, or None if it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def output(self, index: int = 0) -> Tensor:
        """Return an output. Raises Unknown if nothing takes it."""
        found = self.outputs[index] if index < len(self.outputs) else None
        if found is None:
            raise Unknown(f"{self.op} lacks its output {index}")
        return found

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute as Python value: int, float, str (or bytes), list, tensor proto."""
        attributes = self.proto.attribute
        if attributes:  # to ask is faster than to go through none
            for each in attributes:
                if each.name == name:
                    return _attribute_value(each)
        return default


@dataclass(slots=True, eq=False)
class Graph:
    """The main graph, or a subgraph: nodes in an order in which they can run.

    ``values``: what this graph itself defines, by name. ``outer``: the graph around it. Of the main
    graph alone: ``dim_names``, what the file calls the dims that its own name cannot stand for in
    a formula, by their symbol; ``notes``, what a user should know about the shapes.
    """

    name: str
    nodes: list[Node]
    inputs: list[Tensor]
    outputs: list[Tensor]
    values: dict[str, Tensor]
    outer: Graph | None = None
    dim_names: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def value(self, name: str) -> Tensor | None:
        """Return the value that ``name`` means here, also one of the graphs around."""
        graph: Graph | None = self
        while graph is not None:
            found = graph.values.get(name)
            if found is not None:
                return found
            graph = graph.outer
        return None

    def walk(self) -> Iterator[Graph]:
        """Yield this graph and every graph inside it."""
        stack = [self]
        while stack:
            graph = stack.pop()
            yield graph
            for node in graph.nodes:
                if node.graphs:
                    stack += node.graphs.values()


def _attribute_value(attribute: Any) -> Any:
    kind = attribute.type
    if kind == attribute.STRING:
        return attribute.s.decode("utf-8", "replace")
    if kind == attribute.STRINGS:
        return [each.decode("utf-8", "replace") for each in attribute.strings]
    fields = {
        attribute.INT: "i", attribute.FLOAT: "f", attribute.TENSOR: "t",
        attribute.SPARSE_TENSOR: "sparse_tensor", attribute.GRAPH: "g",
    }  # fmt: skip
    if kind in fields:
        return getattr(attribute, fields[kind])
    lists = {attribute.INTS: "ints", attribute.FLOATS: "floats", attribute.TENSORS: "tensors"}
    return list(getattr(attribute, lists[kind])) if kind in lists else None
