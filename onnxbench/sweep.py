"""The axes of a run and how they are crossed. Pure."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnxbench.types import Boundary
    from onnxbench.workload import Ask

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting:
    """The values of one option (``--set``), for ``runtime`` alone or, with None, for all."""

    key: str
    values: tuple[str, ...]
    runtime: str | None = None


@dataclass(frozen=True, slots=True)
class Sweep:
    """The axes that are crossed; None in an axis means the default of that axis.

    ``dims`` and ``shapes`` hold the sizes of each symbol, the shapes of each input.
    """

    batches: tuple[int | None, ...] = (None,)
    threads: tuple[int, ...] = (1,)
    boundaries: tuple[Boundary, ...] = ("host",)
    precisions: tuple[str, ...] = ("model",)
    labels: tuple[str | None, ...] = (None,)
    options: tuple[Setting, ...] = ()
    dims: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    shapes: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    allow_fallback: bool = False

    def asks(self, ask: Ask) -> Iterator[Ask]:
        """Yield ``ask`` for every combination of batch, shapes and dims, the batch slowest."""
        for batch, shapes, dims in itertools.product(
            self.batches, crossed(self.shapes), crossed(self.dims)
        ):
            yield replace(
                ask, batch=batch, shapes={**ask.shapes, **shapes}, dims={**ask.dims, **dims}
            )

    def options_of(self, runtime: str) -> Iterator[dict[str, str]]:
        """Yield every combination of the options of ``runtime``."""
        yield from crossed(self._axes_of(runtime))

    def count(self, runtime: str) -> int:
        """Return the number of cells that one model has on ``runtime``."""
        axes = (self.batches, self.threads, self.boundaries, self.precisions, self.labels)
        named = (self.dims, self.shapes, self._axes_of(runtime))
        return math.prod(map(len, axes)) * math.prod(
            len(values) for axis in named for values in axis.values()
        )

    def _axes_of(self, runtime: str) -> dict[str, tuple[str, ...]]:
        """Return the values of each option; what is set for the runtime alone goes first."""
        for_all = {each.key: each.values for each in self.options if each.runtime is None}
        own = {each.key: each.values for each in self.options if each.runtime == runtime}
        return for_all | own


def crossed(axes: Mapping[str, tuple[T, ...]]) -> Iterator[dict[str, T]]:
    """Yield every combination of one value for each name, the first name slowest."""
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))
