"""Full-size networks exported with open batch, sequence and past: our formula for MACs against one
that is written by hand from each network's sizes (`benchmarks/analyzer/zoo_dynamic.py`): equal as
polynomials, not at a few points. Then the formulas are evaluated for other dims, all of a profile's
totals together.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.analyzer import zoo
from benchmarks.figure import Figure
from benchmarks.pairs import wall_ns
from onnxbench.graph.dims import Expr
from onnxbench.graph.formulas import evaluate, parse
from onnxbench.graph.profile import GraphProfile
from onnxbench.graph.static import TOTALS
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxbench.graph.dims import Count

REPEATS = 50
ALLOWED_NS = 1e6


@dataclass(frozen=True, slots=True)
class Formula:
    """What we found for one network. ``evaluation_ns``: of its totals for other dims."""

    name: str
    macs: Count | None
    truth: Count
    exact: bool
    evaluation_ns: float | None
    note: str = ""

    @property
    def right(self) -> bool:
        """Whether the formulas are the same."""
        return self.exact and self.macs == self.truth


def measure(tiny: bool) -> Figure:
    networks = zoo.networks(suffix="-dynamic")
    return judge([_formula(each) for each in (networks[-1:] if tiny else networks)])


def judge(found: Sequence[Formula]) -> Figure:
    """Return the figure of all formulas."""
    right = sum(each.right for each in found)
    slowest = max((each.evaluation_ns or 0.0 for each in found), default=0.0)
    return Figure(
        title="open dims: the formula for MACs against one written by hand",
        target="every one equal; evaluated for new dims in < 1 ms",
        measured=f"{right} of {len(found)} equal; evaluated in ≤ {slowest / 1e6:.2f} ms"
        if found
        else zoo.MISSING,
        met=bool(found) and right == len(found) and slowest < ALLOWED_NS,
        table=(
            ("network", "onnxbench", "by hand", "equal"),
            *(
                (
                    each.name,
                    each.note or _pretty(each.macs),
                    _pretty(each.truth),
                    "yes" if each.right else "**no**",
                )
                for each in found
            ),
        ),
        raw={
            each.name: {
                "macs": str(each.macs),
                "truth": str(each.truth),
                "exact": each.exact,
                "evaluation_ns": each.evaluation_ns,
            }
            for each in found
        },
    )


def polynomial(terms: Mapping[str, int]) -> Count:
    """Return the sum of monomials (``batch*sequence^2``) with their coefficients."""
    return parse(" + ".join(f"{by}*{key.replace('^', '**')}" for key, by in terms.items()))


def _formula(network: zoo.Network) -> Formula:
    truth = polynomial(network.published["macs"])
    found = network.profile()
    if not isinstance(found, GraphProfile):
        return Formula(network.name, None, truth, exact=False, evaluation_ns=None, note=found)
    return Formula(network.name, found.macs, truth, found.exact, _evaluation_ns(found))


def _evaluation_ns(profile: GraphProfile) -> float:
    sizes = dict(zip(profile.symbols, range(3, 1000), strict=False))
    totals = [getattr(profile, name) for name in TOTALS]
    return statistics.median(
        wall_ns(lambda: [evaluate(each, sizes) for each in totals]) for _ in range(REPEATS)
    )


def _pretty(count: Count | None) -> str:
    text = count.pretty() if isinstance(count, Expr) else f"{count:,}" if count else "none"
    return safe_text(text, 500)
