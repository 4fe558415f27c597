"""The nine classic networks that ship in the onnx package, their weights made by nodes instead of
stored: MACs and parameters of ``onnxbench analyze`` and of the other tools against the truth, which
was summed from the published architectures. Each of the others reads each network in a process of
its own, with 15 s; what it took longer for is told as an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.analyzer import light_networks, others
from benchmarks.analyzer.found import Found, deviation
from benchmarks.figure import Figure, progress
from onnxbench.graph.analysis import analyze

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.graph.profile import GraphProfile

LIMIT_S = 15.0
TINY = ("squeezenet", "zfnet512")


def measure(tiny: bool) -> Figure:
    names = TINY if tiny else tuple(light_networks.NETWORKS)
    paths = [light_networks.path(name) for name in names]
    ours = dict(zip(names, map(analyze, paths), strict=True))
    theirs: dict[str, dict[str, Found]] = {}
    for tool in others.installed():
        progress(f"  {tool}")
        theirs[tool] = dict(zip(names, others.count(tool, paths, LIMIT_S), strict=True))
    return judge(ours, theirs)


def judge(ours: Mapping[str, GraphProfile], theirs: Mapping[str, Mapping[str, Found]]) -> Figure:
    """Return the figure of profiles, and of what each other tool found, by network."""
    rows = [("network", "MACs", "parameters", "buffers", "onnxbench", *theirs)]
    right = 0
    for name, profile in ours.items():
        truth = light_networks.NETWORKS[name]
        parameters = profile.parameters
        right += profile.exact and (profile.macs, parameters.params, parameters.buffers) == (
            truth.macs, truth.params, truth.buffers
        )  # fmt: skip
        found = [Found(profile.macs, parameters.params)]
        found += [by_network[name] for by_network in theirs.values()]
        rows.append(
            (
                truth.title,
                f"{truth.macs:,}",
                f"{truth.params:,}",
                f"{truth.buffers:,}",
                *(
                    each.error
                    or f"{deviation(each.macs, truth.macs)}; "
                    f"parameters {deviation(each.params, truth.params)}"
                    for each in found
                ),
            )
        )
    return Figure(
        title="the nine light networks: MACs and parameters against the truth",
        target="every one exact",
        measured=f"{right} of {len(ours)} exact; {others.note()}",
        met=right == len(ours),
        table=tuple(rows),
        raw={
            "onnxbench": {
                name: {
                    "macs": str(profile.macs),
                    "params": profile.parameters.params,
                    "buffers": profile.parameters.buffers,
                }
                for name, profile in ours.items()
            },
            **{
                tool: {name: each.raw() for name, each in by_network.items()}
                for tool, by_network in theirs.items()
            },
        },
    )
