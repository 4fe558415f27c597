"""Every classification network of torchvision at every image size that its own tables publish
operations for, exported by ``benchmarks/analyzer/export_zoo.py`` with batch normalization kept:
MACs in the convention ``pure`` against the ``_ops`` of its weights' metadata, which has three
decimals in GMACs, and parameters against ``num_params``. Where an export drops weights that are
not used at inference, the parameters are those that torch finds in the exported graph, and the
difference is told. torchvision counts modules as they run, so MACs that read constants alone, which
the analyzer gives apart as preparation, are added for this comparison and named.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.analyzer import published, zoo
from benchmarks.figure import Figure
from onnxbench.graph.profile import GraphProfile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.analyzer.published import Comparison

ALLOWED_GMACS = 0.0005
LEAST_MODELS = 80


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
    return _with_preparation(compared, found)


def _with_preparation(compared: Comparison, found: GraphProfile | str) -> Comparison:
    """Return ``compared`` with the MACs that torchvision does at every inference.

    The position bias of swin_v2 comes from a small network that reads constants alone. A runtime
    computes it once, so the analyzer reports it apart.
    """
    if compared.macs is None or not isinstance(found, GraphProfile) or not found.preparation_macs:
        return compared
    once = int(str(found.preparation_macs))
    note = compared.note or f"of which {once:,} MACs read constants alone: preparation to us"
    return replace(compared, macs=compared.macs + once, note=note)
