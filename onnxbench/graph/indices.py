"""Which integer inputs are indices, and how many rows the table has that they point into.

Random token ids that lie outside an embedding make a model fail for no fault of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import GraphProto, NodeProto

_INTEGERS = frozenset({2, 3, 4, 5, 6, 7, 12, 13})  # TensorProto.DataType
_SAME_VALUES = frozenset({"Cast", "Reshape", "Unsqueeze", "Squeeze", "Identity", "Flatten",
                          "Transpose", "Expand"})  # fmt: skip
_SAME_SHAPE = frozenset({"Cast", "Identity", "DequantizeLinear"})

_LOOKUPS: dict[tuple[str, str], tuple[tuple[int, int, str | None], ...]] = {
    # (domain, operator): (input with the indices, input with the table, attribute with the axis)
    ("", "Gather"): ((1, 0, "axis"),),
    ("", "GatherElements"): ((1, 0, "axis"),),
    ("com.microsoft", "GatherBlockQuantized"): ((1, 0, "gather_axis"),),
    ("com.microsoft", "EmbedLayerNormalization"): ((0, 2, None), (1, 4, None)),
}


def index_limits(graph: GraphProto) -> dict[str, int]:
    """Return for each integer input that is used as an index the rows of the smallest table.

    Follows inputs of the main graph through operators that keep values, to tables whose dims are
    in the file. An index may be 0 … limit - 1.
    """
    source = {
        value.name: value.name
        for value in graph.input
        if value.type.tensor_type.elem_type in _INTEGERS
    }
    if not source:
        return {}
    tables = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    limits: dict[str, int] = {}
    for node in graph.node:
        if node.op_type == "Constant" and node.output:
            for attribute in node.attribute:
                if attribute.name == "value":
                    tables[node.output[0]] = tuple(attribute.t.dims)
        elif node.input and node.output:
            first, output = node.input[0], node.output[0]
            if node.op_type in _SAME_VALUES and first in source:
                source[output] = source[first]
            if node.op_type in _SAME_SHAPE and first in tables:
                tables[output] = tables[first]
        for indices, rows in _lookups(node, tables):
            if indices in source:
                name = source[indices]
                limits[name] = min(rows, limits.get(name, rows))
    return limits


def _lookups(node: NodeProto, tables: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, int]]:
    """Yield name of the indices and rows of the table for each lookup that ``node`` does."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    for index, table, axis_name in _LOOKUPS.get((domain, node.op_type), ()):
        if len(node.input) > max(index, table):
            dims = tables.get(node.input[table], ())
            axis = next((a.i for a in node.attribute if a.name == axis_name), 0)
            if -len(dims) <= axis < len(dims) and dims[axis] > 0:
                yield node.input[index], dims[axis]
