"""Networks of timm exported by ``benchmarks/analyzer/export_zoo.py``, of each of its modules the
smallest of one GMAC and, of the larger modules, another: MACs in the convention ``fvcore`` against
timm's published inference results, which have two decimals in GMACs, by model and image size. A
difference of 0.01 G or 0.5 % is allowed, the larger of the two. Parameters must round to the
published millions, or be those that torch finds in the exported graph. A family is what a model's
name begins with, up to the first character that is no letter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benchmarks.analyzer import published, zoo
from benchmarks.figure import Figure
from onnxbench.graph.profile import GraphProfile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.analyzer.published import Comparison

LEAST_FAMILIES = 60
LEAST_SHARE = 0.98

REASONS = {
    # fvcore 0.1.5 lists aten::_convolution_mode, which padding="same" becomes, as unsupported.
    "convmixer": "the table leaves out depthwise convolutions with padding 'same', which fvcore "
    "does not know",
}
"""By family; found by asking fvcore what it counts in the network, operator by operator."""


def measure(tiny: bool) -> Figure:
    networks = zoo.networks("timm-")
    compared = [_compared(each) for each in (networks[:2] if tiny else networks)]
    return judge(compared, zoo.failed("timm-"))


def judge(found: Sequence[Comparison], failed: Sequence[str] = ()) -> Figure:
    """Return the figure of all comparisons; ``failed``: names that could not be exported."""
    families = {family(each.name) for each in found}
    fitting = sum(each.fits for each in found)
    share = fitting / len(found) if found else 0.0
    return Figure(
        title="timm's networks: MACs and parameters as its table has them",
        target="≥ 98 % of networks of ≥ 60 families within max(0.01 G, 0.5 %)",
        measured=f"{fitting} of {len(found)} ({share:.1%}) of {len(families)} families; "
        f"{len(failed)} more could not be exported"
        if found
        else zoo.MISSING,
        met=share >= LEAST_SHARE and len(families) >= LEAST_FAMILIES,
        table=published.table(found),
        raw={"networks": published.raw(found), "not_exported": list(failed)},
    )


def family(name: str) -> str:
    """Return the family of a network of the zoo."""
    begins = re.match(r"[a-z]+", name.removeprefix("timm-"))
    return begins[0] if begins else name


def _compared(network: zoo.Network) -> Comparison:
    found = network.profile("fvcore")
    macs, millions = network.published["gmacs"], network.published["params_m"]
    params = found.parameters.params if isinstance(found, GraphProfile) else None
    exported = network.facts["params_in_graph"]
    fit = params is not None and (abs(params / 1e6 - millions) <= 0.005001 or params == exported)
    compared = published.compare(
        network, found, max(0.01, 0.005 * macs), millions * 1e6, params_fit=fit
    )
    return published.explained(compared, REASONS.get(family(network.name), ""))
