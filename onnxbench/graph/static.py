"""The summary of a profile as a document: what ``analyze --json`` gives and records embed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.formulas import symbols
from onnxbench.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from onnxbench.graph.dims import Count
    from onnxbench.graph.profile import GraphProfile
    from onnxbench.types import JsonObject

MAX_UNKNOWN = 50
"""Operators that a document lists as unknown; a record is no place for an endless list."""

MAX_NAMES = 10
MAX_TEXT = 1000

TOTALS = (
    "macs", "flops", "transcendentals", "macs_least", "flops_least", "preparation_macs",
    "macts", "bytes_read", "bytes_written", "compulsory_bytes",
)  # fmt: skip
"""Attributes of a GraphProfile that are counts or formulas."""


def static_document(profile: GraphProfile) -> JsonObject:
    """Return the figures of ``profile``: numbers, or null beside a formula and a reason.

    ``formulas`` holds the totals that depend on an open dim, in the notation of Python, which
    `onnxbench.graph.formulas.parse` reads. ``exact`` is False where totals are bounds: ``…_least``
    then are the lower ones, and what is listed as ``unknown`` takes no part in any.
    """
    totals: dict[str, Count] = {name: getattr(profile, name) for name in TOTALS}
    parameters, memory = profile.parameters, profile.memory
    document: JsonObject = {
        **{name: plain(count) for name, count in totals.items()},
        "macs_by_precision": {
            name: plain(count) for name, count in profile.macs_by_precision.items()
        },
        "params": parameters.params,
        "buffers": parameters.buffers,
        "weight_bytes": parameters.weight_bytes,
        "peak_activation_bytes": memory.liveness_bytes,
        "peak_activation_in_place_bytes": memory.in_place_bytes,
        "coverage": profile.coverage,
        "exact": profile.exact,
        "convention": profile.convention,
        "unknown": [
            {
                "op": shorten(each.op, MAX_TEXT),
                "domain": shorten(each.domain, MAX_TEXT),
                "nodes": each.nodes,
                "reason": shorten(each.reason, MAX_TEXT),
                "names": [shorten(name, MAX_TEXT) for name in each.names],
                "bytes": each.bytes,
            }
            for each in profile.unknown[:MAX_UNKNOWN]
        ],
        "formulas": formulas(
            {**totals, **{f"macs_{name}": c for name, c in profile.macs_by_precision.items()}}
        ),
    }
    if document["formulas"]:
        document["reason"] = depends_on(totals.values())
    if memory.liveness_bytes is None:
        document["peak_activation_reason"] = memory.reason
    return document


def plain(count: Count | None) -> int | None:
    """Return ``count`` if it is a number, None for a formula."""
    return count if isinstance(count, int) else None


def formulas(counts: Mapping[str, Count | None]) -> dict[str, str]:
    """Return those of ``counts`` that are no numbers, as formulas."""
    return {
        name: str(count)
        for name, count in counts.items()
        if count is not None and not isinstance(count, int)
    }


def depends_on(counts: Iterable[Count]) -> str:
    """Return which open dims ``counts`` depend on, as a sentence for people."""
    names = sorted(frozenset().union(*map(symbols, counts)))
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return f"depends on {', '.join(names[:MAX_NAMES])}{more}"
