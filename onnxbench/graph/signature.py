"""What goes into a model and what comes out: names, types and shapes as the file declares them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.errors import RefusedInput
from onnxbench.graph.foreign import require_text, shown
from onnxbench.types import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import GraphProto, TensorShapeProto, TypeProto, ValueInfoProto

MAX_DIM = 1 << 31
MAX_RANK = 64
"""NumPy's limit."""

MAX_SYMBOL_LENGTH = 1024


def inputs_of(graph: GraphProto, index_limits: Mapping[str, int]) -> tuple[TensorSpec, ...]:
    """Return the inputs that a caller must give: those without an initializer.

    Raises RefusedInput: ``unknown-dtype``, ``bad-dims``.
    """
    constants = {tensor.name for tensor in graph.initializer}
    constants.update(sparse.values.name for sparse in graph.sparse_initializer)
    specs = []
    for value in graph.input:
        if value.name in constants:
            continue
        where = f"input {shown(value.name)}"
        dtype = _type_name(value.type, where)
        if dtype == "undefined":
            raise RefusedInput("unknown-dtype", f"{where} has no type", "export the model anew")
        shape = _shape(value, where)
        specs.append(TensorSpec(value.name, dtype, shape, index_limits.get(value.name)))
    return tuple(specs)


def outputs_of(graph: GraphProto) -> tuple[TensorSpec, ...]:
    """Return the outputs; ``dtype`` is ``undefined`` where the file leaves it to inference.

    Raises RefusedInput: ``unknown-dtype``, ``bad-dims``.
    """
    return tuple(
        TensorSpec(value.name, _type_name(value.type, where), _shape(value, where))
        for value in graph.output
        for where in (f"output {shown(value.name)}",)
    )


def _type_name(of: TypeProto, where: str) -> str:
    """Return the name of a type: ``float``, ``sequence(int64)``, ``map(string, float)``."""
    kind = of.WhichOneof("value")
    if kind == "tensor_type":
        return _element(of.tensor_type.elem_type, where)
    if kind == "sparse_tensor_type":
        return f"sparse_tensor({_element(of.sparse_tensor_type.elem_type, where)})"
    if kind == "sequence_type":
        return f"sequence({_type_name(of.sequence_type.elem_type, where)})"
    if kind == "optional_type":
        return f"optional({_type_name(of.optional_type.elem_type, where)})"
    if kind == "map_type":
        key = _element(of.map_type.key_type, where)
        return f"map({key}, {_type_name(of.map_type.value_type, where)})"
    return "opaque" if kind == "opaque_type" else "undefined"


def _element(number: int, where: str) -> str:
    from onnx import TensorProto  # noqa: PLC0415 (the parent never imports onnx)

    try:
        return str(TensorProto.DataType.Name(number)).lower()
    except ValueError:
        raise RefusedInput(
            "unknown-dtype",
            f"{where} has the unknown element type {number}",
            "the installed onnx knows no such type: pip install -U onnx",
        ) from None


def _shape(value: ValueInfoProto, where: str) -> tuple[int | str | None, ...] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    if len(tensor.shape.dim) > MAX_RANK:
        msg = f"{where} has {len(tensor.shape.dim):,} dims; arrays have at most {MAX_RANK}"
        raise RefusedInput("bad-dims", msg, "export the model anew")
    return tuple(_dim(dim, where) for dim in tensor.shape.dim)


def _dim(dim: TensorShapeProto.Dimension, where: str) -> int | str | None:
    if dim.HasField("dim_value"):
        if not 0 <= dim.dim_value <= MAX_DIM:
            msg = f"{where} declares the dim {dim.dim_value}"
            raise RefusedInput("bad-dims", msg, f"dims are at least 0 and at most {MAX_DIM:,}")
        return dim.dim_value
    require_text(dim.dim_param)
    if len(dim.dim_param) > MAX_SYMBOL_LENGTH:
        msg = f"{where} names a dim with {len(dim.dim_param):,} characters"
        raise RefusedInput("name-too-long", msg, f"dims may have {MAX_SYMBOL_LENGTH} characters")
    return dim.dim_param or None
