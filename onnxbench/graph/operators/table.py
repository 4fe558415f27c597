"""The table of operators: every operator that the analyzer can count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.operators import (
    activations,
    attention,
    control,
    convolutions,
    einsum,
    elementwise,
    embeddings,
    experts,
    grouped_attention,
    hyper_connections,
    learning,
    linear_attention,
    movement,
    normalization,
    packed,
    pooling,
    products,
    projected_attention,
    quantization,
    recurrent,
    reduction,
    sampling,
    selection,
    sparse_attention,
    text,
    transforms,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.graph.operators.row import Operator

FAMILIES = (
    activations,
    attention,
    control,
    convolutions,
    einsum,
    elementwise,
    embeddings,
    experts,
    grouped_attention,
    hyper_connections,
    learning,
    linear_attention,
    movement,
    normalization,
    packed,
    pooling,
    products,
    projected_attention,
    quantization,
    recurrent,
    reduction,
    sampling,
    selection,
    sparse_attention,
    text,
    transforms,
)


def _table() -> Mapping[tuple[str, str], Operator]:
    rows: dict[tuple[str, str], Operator] = {}
    for family in FAMILIES:
        for key, row in family.ROWS.items():
            if key in rows:
                raise ValueError(f"two rows for {key}")
            rows[key] = row
    return rows


TABLE = _table()


def find(domain: str, op: str) -> Operator | None:
    """Return the row of an operator; None if the analyzer does not know it."""
    return TABLE.get((domain, op))
