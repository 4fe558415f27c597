"""The key-value cache of a decoder: what every further token costs in memory.

A decoder that is run token by token takes the keys and values of the tokens so far as inputs and
gives them back, longer by the new ones. They are found by the operator that reads them, or by the
names that exporters give them (``past_key_values.0.key``, ``past_0``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.dims import product
from onnxbench.graph.network import Unknown, packed_bytes
from onnxbench.graph.payloads import BITS
from onnxbench.graph.profile import KvCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Graph, Tensor

_PAST_SLOTS: dict[tuple[str, str], tuple[int, ...]] = {
    ("", "Attention"): (4, 5),
    ("com.microsoft", "Attention"): (4,),
    ("com.microsoft", "DecoderMaskedMultiHeadAttention"): (5, 6),
    ("com.microsoft", "DecoderMaskedSelfAttention"): (4,),
    ("com.microsoft", "GroupQueryAttention"): (3, 4),
    ("com.microsoft", "MultiHeadAttention"): (6, 7),
    ("com.microsoft", "PagedAttention"): (3, 4),
    ("com.microsoft", "QAttention"): (8,),
    ("com.microsoft", "SparseAttention"): (3, 4),
}
"""Inputs that hold the cache: keys and values, or one tensor with both."""

_PAGED = "PagedAttention"
_PAST = re.compile(r"past|cache|pkv", re.IGNORECASE)
_KEY_OR_VALUE = re.compile(r"key|value|(?<![a-z])[kv](?![a-z])", re.IGNORECASE)
_FIXED = re.compile(r"encoder|cross", re.IGNORECASE)
"""A cache over the encoder's output does not grow with the tokens."""

_KEY_VALUE_PAIR = 2

MAX_OUTPUTS = 1000
"""Different shapes among which a cache's output is looked for."""


class _Cache(NamedTuple):
    """One input that holds keys, values (rank 4) or both (rank 5, first axis 2)."""

    tensor: Tensor
    paged: bool

    @property
    def both(self) -> bool:
        return self.tensor.shape is not None and len(self.tensor.shape) == 5

    def bytes_per_token(self, outputs: Sequence[Tensor]) -> Count:
        """Return the bytes that one token of one sequence takes. Raises Unknown."""
        shape = self.tensor.shape or ()
        bits = BITS.get(self.tensor.dtype)
        if bits is None:
            raise Unknown(f"the type of {self.tensor.name!r} is not known")
        if self.paged:  # blocks, tokens of a block, heads, head size
            left_out = {0, 1}
        else:
            left_out = {1 if self.both else 0, _token_axis(self.tensor, outputs)}
        dims = [dim for axis, dim in enumerate(shape) if axis not in left_out]
        if None in dims:
            raise Unknown(f"heads or head size of {self.tensor.name!r} are not known")
        return packed_bytes(product(dim for dim in dims if dim is not None), bits)


def kv_cache(graph: Graph) -> KvCache | None:
    """Return the cache of a decoder, None for a graph that takes no keys and values."""
    distinct = {(output.dtype, output.shape): output for output in graph.outputs}
    outputs = list(distinct.values())[:MAX_OUTPUTS]
    caches = _caches(graph, outputs)
    if not caches:
        return None
    layers = sum(_KEY_VALUE_PAIR if cache.both else 1 for cache in caches) // _KEY_VALUE_PAIR
    total: Count = 0
    try:
        for cache in caches:
            total = total + cache.bytes_per_token(outputs)
    except Unknown as error:
        return KvCache(None, layers, str(error))
    if not isinstance(total, int):
        return KvCache(None, layers, f"it is {total} bytes, with dims that the file leaves open")
    return KvCache(total, layers)


def _caches(graph: Graph, outputs: Sequence[Tensor]) -> list[_Cache]:
    """Return the inputs that hold keys and values, in the order of the inputs."""
    read_by: dict[int, str] = {}
    for inner in graph.walk():
        for node in inner.nodes:
            for slot in _PAST_SLOTS.get((node.domain, node.op), ()):
                tensor = node.optional(slot)
                if tensor is not None:
                    read_by[id(tensor)] = node.op
    return [
        _Cache(tensor, read_by.get(id(tensor)) == _PAGED)
        for tensor in graph.inputs
        if _has_cache_form(tensor)
        and not _FIXED.search(tensor.name)
        and (id(tensor) in read_by or _is_named_past(tensor.name))
        and any(_may_continue(tensor, output) for output in outputs)
    ]


def _has_cache_form(tensor: Tensor) -> bool:
    """Tell whether ``tensor`` has 4 axes, or 5 of which the first holds keys and values."""
    shape = tensor.shape or ()
    return len(shape) == 4 or (len(shape) == 5 and shape[0] == _KEY_VALUE_PAIR)


def _is_named_past(name: str) -> bool:
    past = _PAST.search(name)
    return past is not None and (
        past.group().lower() != "cache" or _KEY_OR_VALUE.search(name) is not None
    )


def _may_continue(past: Tensor, present: Tensor) -> bool:
    """Tell whether ``present`` may be ``past`` with further tokens: longer on one axis at most."""
    if past.dtype != present.dtype or past is present:
        return False
    return present.shape is None or (
        len(present.shape) == len(past.shape or ()) and len(_grown(past, present)) <= 1
    )


def _grown(past: Tensor, present: Tensor) -> list[int]:
    pairs = zip(past.shape or (), present.shape or (), strict=True)
    return [axis for axis, (before, after) in enumerate(pairs) if before != after]


def _token_axis(past: Tensor, outputs: Sequence[Tensor]) -> int:
    """Return the axis that grows; that before the head size where a buffer is updated in place."""
    for output in outputs:
        if output.shape is not None and _may_continue(past, output):
            grown = _grown(past, output)
            if grown:
                return grown[0]
    return len(past.shape or ()) - 2
