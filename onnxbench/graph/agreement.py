"""What several sources know of the outputs of a node, taken together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.engines import Found

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onnxbench.graph.dims import Dim
    from onnxbench.graph.network import Node, Tensor


def found_in(tensor: Tensor) -> Found:
    """Return what is known of ``tensor``."""
    return Found(tensor.dtype, tensor.shape, tensor.type)


def agreed(node: Node, answers: Sequence[Sequence[Found]]) -> list[Found]:
    """Return what all ``answers`` together know of each output of ``node``."""
    return [
        agreement([answer[index] for answer in answers if index < len(answer)])
        for index in range(len(node.outputs))
    ]


def agreement(found: Iterable[Found]) -> Found:
    """Return what all sources together know; where they contradict one another, nothing."""
    found = list(found)
    dtype = next((each.dtype for each in found if each.dtype), 0)
    of = next((each.type for each in found if each.type is not None), None)
    shapes = [each.shape for each in found if each.shape is not None]
    if of is not None or len({len(shape) for shape in shapes}) != 1:
        return Found(dtype, None, of)
    return Found(dtype, tuple(_agreed_dim(column) for column in zip(*shapes, strict=True)))


def _agreed_dim(column: Sequence[Dim | str | None]) -> Dim | str | None:
    numbers = {dim for dim in column if isinstance(dim, int)}
    if numbers:
        return numbers.pop() if len(numbers) == 1 else None
    formulas = [dim for dim in column if dim is not None and not isinstance(dim, str)]
    texts = [dim for dim in column if isinstance(dim, str)]
    return next(iter(formulas + texts), None)  # type: ignore[operator]


def differ(before: Sequence[Dim | None], after: Sequence[Dim | str | None] | None) -> bool:
    """Tell whether what was known before is no longer so."""
    if before == after:
        return False
    if after is None or len(before) != len(after):
        return True
    for old, new in zip(before, after, strict=True):  # noqa: SIM110 - any() takes twice as long
        if old is not None and old != new:
            return True
    return False
