"""Why numbers differ from published ones: what was found out, and nothing that is not needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.zoo.published import Difference, What


@dataclass(frozen=True, slots=True)
class Explanation:
    """``why`` the models that ``pattern`` names (an id, or with wildcards) differ in ``what``."""

    pattern: str
    what: What
    why: str

    def covers(self, model: str, what: str) -> bool:
        """Whether it speaks of this quantity of this model."""
        return what == self.what and fnmatchcase(model, self.pattern)


EXPLANATIONS: tuple[Explanation, ...] = ()


def explain(found: Sequence[Difference], explanations: Sequence[Explanation]) -> list[Difference]:
    """Return ``found``, each with the first explanation that covers it."""
    return [
        replace(each, why=next((e.why for e in explanations if e.covers(each.id, each.what)), ""))
        for each in found
    ]


def stale(
    found: Sequence[Difference],
    comparable: Mapping[tuple[str, What], bool],
    explanations: Sequence[Explanation],
) -> list[Explanation]:
    """Return the explanations that nothing needs.

    ``comparable``: all that could differ, by model and quantity, and whether it was compared this
    time. An explanation is needed as long as something that it covers differs or may differ.
    """
    open_ = [pair for pair, compared in comparable.items() if not compared]
    open_ += [(each.id, each.what) for each in found]
    return [each for each in explanations if not any(each.covers(*pair) for pair in open_)]
