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


_AVERAGE_POOL = (
    "fvcore counts adaptive pooling alone; onnxbench's fvcore convention also counts what is "
    "exported as AveragePool: 12.9 M in NASNet-A-Large, 14.7 M in PNASNet-5-Large, without which "
    "both are as published"
)
_LEVIT = (
    "timm's table has the form that LeViT runs in, each normalization folded into the layer before "
    "it (its benchmark.py --reparam); the catalogue has the form that is trained"
)
_LCNET_V2 = (
    "PaddleClas' table has the form in which parallel branches are merged: of that, paddle.flops "
    "counts 0.6045 G, and 6,640,488 parameters are used; the catalogue has the form that is trained"
)
_VAN = (
    "PaddleClas' table has what paddle.flops sums over layers without sublayers; the layer scales, "
    "which the blocks themselves hold (two vectors each), are not in that"
)

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "inception-v3",
        "params",
        "torchvision counts the auxiliary classifier of training too, which is not in the graph",
    ),
    Explanation(
        "levit-*",
        "counts",
        "the position biases, which the source gathers from tables, stand in the graph as whole "
        "matrices (442,800 elements more in LeViT-128S)",
    ),
    Explanation(
        "swin-*",
        "counts",
        "the position biases, which the source gathers from tables, stand in the graph as whole "
        "matrices (308,016 of the 312,034 elements more in Swin-T)",
    ),
    Explanation(
        "efficientnet-lite4",
        "macs",
        "fvcore also counts adaptive pooling, 184,320 here, which makes 4.0351 G; as exported, it "
        "cannot be told from a mean",
    ),
    Explanation("nasnet-a-large", "macs", _AVERAGE_POOL),
    Explanation("pnasnet5-large", "macs", _AVERAGE_POOL),
    Explanation("levit-*", "params", _LEVIT),
    Explanation("levit-*", "macs", _LEVIT),
    Explanation("pp-lcnet-v2-base", "params", _LCNET_V2),
    Explanation("pp-lcnet-v2-base", "macs", _LCNET_V2),
    Explanation("van-b[123]", "params", _VAN),
    Explanation(
        "hardnet68",
        "macs",
        "paddle.flops of PaddleClas' own network gives 4.2545 G, which its table has rounded up, "
        "as 0.4374 G to 0.44 G",
    ),
    Explanation(
        "rednet26",
        "macs",
        "paddle.flops of PaddleClas' own network gives 1.6686 G. Each of RedNet38 and RedNet50 has "
        "one more block in every stage than the one before, which is 0.469 G; the table's 2.14 G "
        "and 2.61 G fit that, its 1.69 G does not",
    ),
)
"""Each was found by counting in the source framework. The first that covers a difference counts."""


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
