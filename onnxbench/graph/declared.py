"""What a file declares of values that are computed: believed last, and only if all of it can be.

An exporter writes types next to values, and nothing keeps them true when somebody changes an input
later. So one dim that contradicts what the inputs imply makes all of them worthless.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxbench.graph.engines import Found
from onnxbench.graph.wire import BYTES, fields_of

if TYPE_CHECKING:
    from onnx import TypeProto

    from onnxbench.graph.dims import Dim
    from onnxbench.graph.naming import Names
    from onnxbench.graph.network import Graph, Tensor

_MODEL_GRAPH, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO, _VALUE_NAME = 7, 12, 13, 1


class Declared:
    """Declared types of the main graph of ``model``, a serialized ModelProto, read when asked for.

    ``graph``: with the shapes that the inputs imply so far.
    """

    def __init__(self, model: bytes, graph: Graph, names: Names) -> None:
        self.is_stale = False
        self._model = model
        self._graph = graph
        self._names = names
        self._types: dict[str, TypeProto] | None = None

    def find(self, tensor: Tensor) -> DeclaredType | None:
        """Return the declared type of a value of the main graph, if it can be believed."""
        if self._graph.values.get(tensor.name) is not tensor:
            return None
        if self._types is None:
            self._types = _declared(self._model)
            self.is_stale = any(
                _contradicts(of, found)
                for name, of in self._types.items()
                if (found := self._graph.values.get(name)) is not None
            )
        of = None if self.is_stale else self._types.get(tensor.name)
        return None if of is None else DeclaredType(of, tensor.name, self._names)


@dataclass(frozen=True, slots=True)
class DeclaredType:
    """The declared type of the value ``name``."""

    of: TypeProto
    name: str
    names: Names

    @property
    def dtype(self) -> int:
        """TensorProto.DataType, 0 if unknown."""
        return int(self.of.tensor_type.elem_type)

    def with_places(self, found: Found) -> Found:
        """Return the type ``found`` of a key-value cache with the declared number of places.

        Whether past and present are one buffer is the caller's choice, and an engine's guess.
        """
        declared = self.of.tensor_type.shape.dim
        if found.shape is None or len(found.shape) != 4 or len(declared) != 4:
            return found
        if not declared[2].HasField("dim_value"):
            return found
        return Found(found.dtype, (*found.shape[:2], declared[2].dim_value, found.shape[3]))

    def filled(self, found: Found) -> Found:
        """Return ``found`` with what it lacks; a declared name of a dim becomes its symbol."""
        if not self.of.tensor_type.HasField("shape"):
            return found
        declared = self.of.tensor_type.shape.dim
        if found.shape is not None and len(found.shape) != len(declared):
            return found
        shape = found.shape or (None,) * len(declared)
        dims: list[Dim | str | None] = []
        for axis, (dim, given) in enumerate(zip(shape, declared, strict=True)):
            if dim is not None and not isinstance(dim, str):
                dims.append(dim)
            elif given.HasField("dim_value") and given.dim_value >= 0:
                dims.append(int(given.dim_value))
            elif given.dim_param:
                dims.append(self.names.adopt(given.dim_param, f"{self.name}_{axis}"))
            else:
                dims.append(dim)
        return Found(found.dtype or self.dtype, tuple(dims))


def _declared(model: bytes) -> dict[str, TypeProto]:
    """Return the types of value_info and outputs by name, without parsing anything else."""
    from google.protobuf.message import DecodeError  # noqa: PLC0415
    from onnx import ValueInfoProto  # noqa: PLC0415

    types = {}
    for outer in fields_of(model, 0, len(model)):
        if outer.number != _MODEL_GRAPH or outer.wire != BYTES:
            continue
        for inner in fields_of(model, outer.value, outer.end):
            if inner.number in {_GRAPH_OUTPUT, _GRAPH_VALUE_INFO} and inner.wire == BYTES:
                try:
                    value = ValueInfoProto.FromString(model[inner.value : inner.end])
                except DecodeError:
                    continue
                if value.type.HasField("tensor_type"):
                    types[value.name] = value.type
    return types


def _contradicts(of: TypeProto, found: Tensor) -> bool:
    declared = of.tensor_type.shape.dim
    if not of.tensor_type.HasField("shape") or found.shape is None:
        return False
    if len(declared) != len(found.shape):
        return True
    return any(
        dim.HasField("dim_value") and isinstance(known, int) and dim.dim_value != known
        for dim, known in zip(declared, found.shape, strict=True)
    )
