"""Every classification network of torchvision at every image size that its own tables publish
operations for, exported by ``benchmarks/analyzer/export_zoo.py`` with batch normalization kept:
MACs in the convention ``pure`` against the ``_ops`` of its weights' metadata, which has three
decimals in GMACs, and parameters against ``num_params``. Where an export drops weights that are
not used at inference, the parameters are those that torch finds in the exported graph, and the
difference is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.analyzer import published, zoo
from benchmarks.figure import Figure
from onnxbench.graph.profile import GraphProfile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.analyzer.published import Comparison

ALLOWED_GMACS = 0.0005
LEAST_MODELS = 80

REASONS = {
    # 15 * 15 offsets * 512 * (2 + heads) in each block: 18.7, 38.0 and 48.8 M for t, s and b.
    "swin_v2": "torchvision counts the network that makes the position bias, at every inference; "
    "it reads constants alone, so here it is preparation",
}
"""By how a name begins."""


def measure(tiny: bool) -> Figure:
    networks = zoo.networks("torchvision-")
    compared = [_compared(each) for each in (networks[:2] if tiny else networks)]
    return judge(compared, zoo.failed("torchvision-"))


def judge(found: Sequence[Comparison], failed: Sequence[str] = ()) -> Figure:
    """Return the figure of all comparisons; ``failed``: names that could not be exported."""
    models = {each.name.rpartition("-")[0] for each in found}
    within = sum(each.within and each.exact for each in found)
    params = sum(each.params_fit for each in found)
    return Figure(
        title="torchvision's classifiers: MACs and parameters as it publishes them",
        target="≥ 80 classifiers, all within 0.0005 G; parameters exact or explained",
        measured=f"{len(models)} classifiers in {len(found)} sizes: {within} within; parameters of "
        f"{params} exact or explained; {len(failed)} more could not be exported"
        if found
        else zoo.MISSING,
        met=len(models) >= LEAST_MODELS and all(each.fits for each in found),
        table=published.table(found),
        raw={"networks": published.raw(found), "not_exported": list(failed)},
    )


def _compared(network: zoo.Network) -> Comparison:
    found = network.profile()
    truth, exported = network.published["params"], network.facts["params_in_graph"]
    params = found.parameters.params if isinstance(found, GraphProfile) else None
    # A graph may lack weights of training; it may not have others.
    explained = network.facts["params"] == truth and params == exported
    dropped = truth - exported
    compared = published.compare(
        network,
        found,
        ALLOWED_GMACS,
        truth,
        params_fit=params == truth or explained,
        note=f"the export drops {dropped:,} parameters of training" if dropped else "",
    )
    reasons = [text for name, text in REASONS.items() if network.facts["model"].startswith(name)]
    return published.explained(compared, "".join(reasons))
