"""Exported networks against the numbers that their libraries publish."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from onnxbench.graph.profile import GraphProfile
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.analyzer.zoo import Network
    from benchmarks.figure import Table
    from onnxbench.types import JsonObject


@dataclass(frozen=True, slots=True)
class Comparison:
    """``macs`` and ``params`` of ours, None where we have none; ``published`` and ``allowed`` in
    GMACs. ``params_published``: exact, or rounded; ``params_fit`` tells whether ours are these, or
    those that torch says the exported graph still has. ``note``: why the two differ, what failed.
    """

    name: str
    macs: int | None
    published: float
    allowed: float
    params: int | None
    params_published: float
    params_fit: bool
    exact: bool
    note: str = ""

    @property
    def off(self) -> float | None:
        """GMACs above the published number."""
        return None if self.macs is None else self.macs / 1e9 - self.published

    @property
    def within(self) -> bool:
        """Whether the MACs are as published; half a unit of the last place is no floating error."""
        return self.off is not None and abs(self.off) <= self.allowed + 1e-9

    @property
    def fits(self) -> bool:
        """Whether all of it is as published."""
        return self.exact and self.within and self.params_fit


def compare(
    network: Network,
    found: GraphProfile | str,
    allowed: float,
    params_published: float,
    *,
    params_fit: bool,
    note: str = "",
) -> Comparison:
    """Return one comparison; ``found`` as `Network.profile` returns it."""
    published = float(network.published["gmacs"])
    if not isinstance(found, GraphProfile):
        return Comparison(
            network.name, None, published, allowed, None, params_published, False, False, found
        )
    if found.unknown:
        first = found.unknown[0]
        note = safe_text(f"{first.op}: {first.reason}", 200)
    macs = found.macs if isinstance(found.macs, int) else None
    params = found.parameters.params
    return Comparison(
        network.name, macs, published, allowed, params, params_published, params_fit,
        found.exact, note,
    )  # fmt: skip


def explained(compared: Comparison, reason: str) -> Comparison:
    """Return ``compared`` with ``reason``, if its MACs are off and it has none yet."""
    return compared if compared.within or compared.note else replace(compared, note=reason)


def table(found: Sequence[Comparison]) -> Table:
    """Return those that do not fit, and those with a note, each with its difference."""
    rows = [
        (
            each.name,
            f"{each.published:g} G",
            "none" if each.macs is None else f"{each.macs / 1e9:.4f} G",
            "" if each.off is None else f"{each.off:+.4f} G ({each.off / each.published:+.2%})",
            "none" if each.params is None else f"{each.params:,}",
            each.note,
        )
        for each in found
        if not each.fits or each.note
    ]
    header = ("apart from these all fit", "published", "onnxbench", "off", "parameters", "why")
    return (header, *rows) if rows else ()


def raw(found: Sequence[Comparison]) -> list[JsonObject]:
    """Return all of them."""
    return [asdict(each) for each in found]
