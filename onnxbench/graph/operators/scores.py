"""What all attention has in common: scores of (query, key) pairs, softmax, weighted values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import Expr, floor_div, maximum
from onnxbench.graph.operators.operands import number

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node, Tensor

SCALE_AND_SOFTMAX = 6
"""FLOPs per score: one for the scale, five for softmax (N3)."""

SOFTCAP = 3
"""FLOPs per score: cap · tanh(score / cap)."""

ROTARY = 3
"""FLOPs per rotated element: x · cos + x' · sin."""

RMS_NORM = 5
"""FLOPs per normalized element (N2)."""


class Keys(NamedTuple):
    """How many keys a query is scored against: between ``least`` and ``most``."""

    most: Count
    least: Count
    note: str = ""


def attend(
    scores: Count, depth: Count, width: Count, *, added: int = 0, softcap: bool = False
) -> Cost:
    """Return the cost of attention: scores · (depth + width) MACs (A1).

    ``scores``: (query, key) pairs over batch and query heads; ``depth`` and ``width``: sizes of a
    head of Q and K, and of V. ``added``: masks and biases that are added to every score.
    """
    each = SCALE_AND_SOFTMAX + added + SOFTCAP * softcap
    return Cost(
        macs=scores * (depth + width),
        flops=scores * each,
        transcendentals=scores * (1 + softcap),
    )


def project(rows: Count, depth: Count, width: Count, *, bias: bool) -> Cost:
    """Return the cost of a linear layer inside attention (A3)."""
    return Cost(macs=rows * depth * width, flops=rows * width if bias else 0)


def between(cost: Callable[[Count], Cost], keys: Keys, note: str = "") -> Cost:
    """Return what ``cost`` gives for the keys: exact, or bounded where they are."""
    most = cost(keys.most)
    notes = "; ".join(each for each in (keys.note, note) if each)
    if keys.least == keys.most:
        return replace(most, note=notes)
    least = cost(keys.least)
    return replace(most, least=(least.macs, least.flops), note=notes)


def cached(past: Count, new: Count, *, shared: bool, length: Tensor | None) -> Keys:
    """Return the keys of a cache of ``past`` places and ``new`` tokens.

    ``shared``: past and present are one buffer, larger than what it holds; ``length``: the tokens
    in it, where the file tells.
    """
    if not shared:
        return Keys(past + new, past + new)
    held = number(length)
    if held is not None:
        return Keys(held + new, held + new)
    note = "how much of its key-value buffer is in use is an input; taken as full"
    return Keys(past, new, note)


def mask_note(
    heads: Count,
    size: Count,
    queries: Count,
    keys: Count,
    *,
    offset: Count,
    left: int = -1,
    right: int = -1,
) -> str:
    """Say what a mask leaves of the dense count, which is what this analyzer reports (A2).

    ``heads``: batch times query heads; ``size``: MACs per pair. Query i stands at ``offset + i``
    and sees the keys from ``left`` before to ``right`` after it; -1 means all on that side.
    """
    if left < 0 and right < 0:
        return ""
    twice = _twice_visible(queries, keys, offset, left, right)
    macs = floor_div(heads * size * twice, 2)
    kind = "causal" if right == 0 else "windowed"
    if right == 0 and left >= 0:
        kind = f"causal, window {left + 1}"
    return f"{kind}: effective {macs} MACs"


def share_of_buffer(present: Tensor | None, new: Count) -> Count:
    """Return the bytes that ``new`` tokens take in a cache [B, heads, places, size]."""
    if present is None:
        return 0
    return floor_div(present.bytes * new, present.dims[2])


def present(node: Node, *indices: int) -> int:
    """Return how many of these optional inputs are given."""
    return sum(node.optional(index) is not None for index in indices)


def _twice_visible(queries: Count, keys: Count, offset: Count, left: int, right: int) -> Count:
    """Return twice the pairs that a mask leaves; doubled, the triangle has no fraction."""
    if right < 0:
        twice = queries * keys * 2
    else:
        after = offset + (right + 1)
        twice = _twice_ramp(after, queries) - _twice_ramp(after - keys, queries)
    if left >= 0:
        before = offset - left
        twice = twice - _twice_ramp(before, queries) + _twice_ramp(before - keys, queries)
    return twice


def _twice_ramp(first: Count, length: Count) -> Count:
    """Return twice the sum of max(first + i, 0) over i < length."""
    return _twice_triangle(first + length - 1) - _twice_triangle(first - 1)


def _twice_triangle(last: Count) -> Count:
    """Return twice 1 + 2 + … + last, 0 if ``last`` is negative."""
    top = _positive(last)
    return top * (top + 1)


def _positive(count: Count) -> Count:
    """Return the greater of ``count`` and 0, without a max where dims being positive settles it."""
    if not isinstance(count, Expr):
        return max(count, 0)
    if all(isinstance(atom, str) for key in count.terms for atom, _ in key):
        if all(number > 0 for number in count.terms.values()):
            return count
        if all(number < 0 for number in count.terms.values()):
            return 0
    return maximum(count, 0)
