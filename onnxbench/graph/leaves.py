"""Constants at the far end of a chain of constants: what the file stores of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from onnxbench.graph.network import Unknown, packed_bytes
from onnxbench.graph.payloads import BITS

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from onnx import SparseTensorProto, TensorProto

    from onnxbench.graph.network import Graph, Tensor
    from onnxbench.graph.reader import Payload

STRING = 8

_INDEX_BYTES = 8
_FOLDED_FROM = "pkg.onnxscript.optimizer.folded_from"


def identity(leaf: Tensor) -> Hashable:
    """Return what two leaves have in common when they are the same stored object (W1)."""
    if leaf.stored is not None:
        return leaf.stored
    proto = dense_proto(leaf)
    if proto is not None and proto.data_location == proto.EXTERNAL:
        return frozenset((entry.key, entry.value) for entry in proto.external_data)
    return id(leaf if leaf.proto is None else leaf.proto)


def stored_size(leaf: Tensor, dropped: Mapping[int, Payload]) -> tuple[int, int]:
    """Return elements, of a sparse tensor with its zeros, and stored bytes. Raises Unknown."""
    elements = leaf.elements
    if not isinstance(elements, int):
        raise Unknown(f"the shape of the constant {leaf.name!r} is open")
    if leaf.dtype == STRING:
        return elements, _text_bytes(leaf, dropped)
    size_bytes = leaf.bytes
    sparse = sparse_proto(leaf)
    if sparse is not None:  # the values and their indices (W4)
        indices = nonzeros(sparse) * (len(leaf.dims) if len(sparse.indices.dims) > 1 else 1)
        values_bytes = packed_bytes(nonzeros(sparse), BITS[leaf.dtype])
        size_bytes = values_bytes + _INDEX_BYTES * indices
    assert isinstance(size_bytes, int)
    return elements, size_bytes


def copied(leaf: Tensor, graph: Graph) -> Tensor | None:
    """Return the tensor that ``leaf`` is a transposed copy of, as onnxscript's optimizer notes it.

    Such a copy is the head of a language model that is tied to the embedding.
    """
    source = (leaf.metadata or {}).get(_FOLDED_FROM, "").strip("[]' ")
    found = graph.values.get(source) if source else None
    if found is None or found is leaf or found.shape is None or leaf.shape is None:
        return None
    return found if sorted(found.shape, key=str) == sorted(leaf.shape, key=str) else None


def sparse_proto(leaf: Tensor) -> SparseTensorProto | None:
    """Return what the file stores of ``leaf`` if that is a sparse tensor."""
    return cast("SparseTensorProto", leaf.proto) if _message(leaf) == "SparseTensorProto" else None


def dense_proto(leaf: Tensor) -> TensorProto | None:
    """Return what the file stores of ``leaf`` if that is an ordinary tensor."""
    return cast("TensorProto", leaf.proto) if _message(leaf) == "TensorProto" else None


def nonzeros(sparse: SparseTensorProto) -> int:
    """Return how many elements a sparse tensor stores."""
    return int(sparse.values.dims[0]) if sparse.values.dims else 0


def _message(leaf: Tensor) -> str:
    return "" if leaf.proto is None else type(leaf.proto).__name__


def _text_bytes(leaf: Tensor, dropped: Mapping[int, Payload]) -> int:
    proto = dense_proto(leaf)
    if proto is None:
        return 0
    payload = dropped.get(proto.segment.begin) if proto.HasField("segment") else None
    return payload.bytes if payload else sum(len(text) for text in proto.string_data)
