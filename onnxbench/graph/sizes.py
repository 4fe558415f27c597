"""What the rules of shapes share: sizes that are known, and how they broadcast."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from onnxbench.graph.dims import Expr, maximum
from onnxbench.graph.network import Unknown
from onnxbench.graph.values import elements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.graph.dims import Dim
    from onnxbench.graph.network import Tensor

    Shape = tuple[Dim | None, ...]


def known_shape(tensor: Tensor | None) -> Shape:
    """Return the shape of an input. Raises Unknown."""
    if tensor is None or tensor.shape is None:
        raise Unknown("the shape of an input is not known")
    return tensor.shape


def sizes_of(tensor: Tensor | None) -> list[Dim | None] | None:
    """Return the elements of a list of sizes, some of which may be formulas or unknown."""
    found = elements(tensor)
    if found is None:
        return None
    return [_size(each) for each in found.reshape(-1)]


def _size(element: Any) -> Dim | None:
    if element is None or isinstance(element, Expr):
        return element
    if isinstance(element, Fraction):
        return int(element) if element.denominator == 1 else None
    return int(element)


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape to which ``shapes`` broadcast; where two names meet, the greater counts."""
    rank = max((len(shape) for shape in shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(_joined(column) for column in zip(*padded, strict=True))


def _joined(column: Sequence[Dim | None]) -> Dim | None:
    sizes = {dim for dim in column if dim != 1}
    numbers = {dim for dim in sizes if isinstance(dim, int)}
    if len(numbers) > 1:
        raise Unknown("its inputs do not broadcast")
    if numbers:  # an open dim next to it is 1 or the same
        return numbers.pop()
    known = [dim for dim in sizes if dim is not None]
    if len(known) < len(sizes):
        return None
    return maximum(*known) if known else 1


def at_least(count: Dim, bound: int) -> bool:
    """Tell whether ``count`` cannot be less than ``bound``, open dims being at least 1."""
    if isinstance(count, int):
        return count >= bound
    total: Fraction | int = 0
    for monomial, coefficient in count.terms.items():
        if monomial and coefficient < 0:
            return False
        if all(isinstance(atom, str) for atom, _ in monomial):
            total += coefficient
    return total >= bound
