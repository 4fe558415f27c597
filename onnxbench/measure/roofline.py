"""The least time that work can take: a roofline over rates that a runtime really attains.

S. Williams, A. Waterman, D. Patterson: Roofline (CACM 52(4), 2009), with two changes. The ceilings
are what one runtime attained on one machine (`onnxbench.calibration`), not what a datasheet
promises. And memory has more than one rate, for what fits into a cache is not fetched again.

Only multiply-accumulates count as arithmetic: other operators are folded into constants or fused
into their neighbours, so a bound that charged for them would be beaten; the bytes that they move
count where every node is on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Family = Literal["conv", "matmul"]
FAMILIES: tuple[Family, ...] = ("matmul", "conv")
"""Arithmetic with rates of its own: kernels for convolutions may need fewer operations than are
counted (Winograd), those for matrix products do not."""

NAMES: Mapping[Family, str] = {"matmul": "matrix products", "conv": "convolutions"}

IN_PLACE = 1.5
"""How much faster than measured rates what is overwritten may move. Caches read a line before it
is written (write-allocate), so that a copy makes three transfers where two are counted."""

Limit = Literal["compute", "memory"]


class NoCeiling(Exception):
    """A ceiling that the bound needs was not measured; the text says which."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What a runtime attains, with so many threads and in one effective precision.

    ``flops_per_s``: by family, 2 per multiply-accumulate. ``bandwidth``: bytes per second by
    working set in bytes, the smallest first; the last is that of main memory. ``cache_bytes``: of
    the last-level cache, None where it is not known. ``bytes_share``: bytes that the runtime moves
    for each byte that the graph declares, less than 1 where it stores values in a narrower type.
    """

    flops_per_s: Mapping[Family, float]
    bandwidth: tuple[tuple[int, float], ...]
    cache_bytes: int | None = None
    bytes_share: float = 1.0

    def compute_s(self, family: Family, macs: float) -> float:
        """Return the least seconds that ``macs`` take. Raises NoCeiling.

        A convolution may be computed as a matrix product, so the faster of both bounds it.
        """
        if not macs:
            return 0.0
        if family not in self.flops_per_s:
            raise NoCeiling(f"the rate of {NAMES[family]} in this precision is not known")
        rivals: Sequence[Family] = FAMILIES if family == "conv" else (family,)
        return 2 * macs / max(self.flops_per_s.get(each, 0.0) for each in rivals)

    def memory_s(self, moved_bytes: float, *, in_place: bool = False) -> float:
        """Return the least seconds in which ``moved_bytes`` can be moved.

        Never faster than any working set of at least their size was; and of what exceeds the
        last-level cache, all passes through main memory, whatever was used last. ``in_place``:
        half of them may be the other half again, overwritten. Raises NoCeiling.
        """
        if not moved_bytes:
            return 0.0
        if not self.bandwidth:
            raise NoCeiling("the memory bandwidth is not known")
        moved = moved_bytes * self.bytes_share
        touched = moved / 2 if in_place else moved
        smaller = sum(working_set <= touched for working_set, _ in self.bandwidth)
        rate = max(rate for _, rate in self.bandwidth[max(0, smaller - 1) :])
        seconds = moved / rate
        if self.cache_bytes is not None and touched:
            missed = moved * (1 - self.cache_bytes / touched)
            seconds = max(seconds, missed / self.bandwidth[-1][1])
        return seconds / IN_PLACE if in_place else seconds


class Bound(NamedTuple):
    """The least seconds for arithmetic and for memory; both may go on at once."""

    compute_s: float
    memory_s: float

    @property
    def seconds(self) -> float:
        """The longer of both."""
        return max(self.compute_s, self.memory_s)

    @property
    def limit(self) -> Limit:
        """What bounds the time."""
        return "compute" if self.compute_s >= self.memory_s else "memory"


class Work(NamedTuple):
    """Work of a node, or of ``nodes`` equal ones: MACs of a family, bytes read and written."""

    family: Family
    macs: int
    moved_bytes: int
    nodes: int = 1


def node_bound(ceilings: Ceilings, work: Work) -> Bound:
    """Return the bound of one node of ``work``; one without MACs may work in place.

    Raises NoCeiling.
    """
    return Bound(
        ceilings.compute_s(work.family, work.macs),
        ceilings.memory_s(work.moved_bytes, in_place=not work.macs),
    )


def unfused_s(ceilings: Ceilings, works: Iterable[Work]) -> float:
    """Return the sum of the nodes' bounds: one after another, each reads and writes all it needs.

    A runtime that fuses nodes may be faster. Raises NoCeiling.
    """
    return sum(work.nodes * node_bound(ceilings, work).seconds for work in works)


def fused_bound(ceilings: Ceilings, works: Iterable[Work], compulsory_bytes: int) -> Bound:
    """Return the bound of a whole network that is fused perfectly. Raises NoCeiling.

    All MACs at their ceilings, and ``compulsory_bytes``, the weights that are read and the inputs
    and outputs of the network, once.
    """
    compute_s = sum(work.nodes * ceilings.compute_s(work.family, work.macs) for work in works)
    return Bound(compute_s, ceilings.memory_s(compulsory_bytes))


def bytes_share(effective: str, declared: Iterable[str]) -> float:
    """Return `Ceilings.bytes_share` for a graph whose MACs are ``declared`` (``fp32``, ``fp16`` …).

    ``effective``: as in a record, ``bfloat16`` or ``float32 (float16 storage)``.
    """
    wide = any("fp32" in each or "fp64" in each for each in declared)
    return 0.5 if wide and "float16" in effective else 1.0
