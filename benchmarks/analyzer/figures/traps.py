"""Every trap of counting as a tiny model with its cost by arithmetic (`tests/graph/operators`):
ours must be exact in everything that the truth speaks of: MACs, parameters, work of the elementwise
class, bytes, precision, and whether the total is complete. Of the others, MACs, and parameters
where the truth has them, are right within 2 %; each reads each model in a process of its own, with
10 s. *convention*: what is too much is work of the elementwise class, which the tool takes for MACs
on purpose: all of the total where there are no MACs, or one for each FLOP of ours. *told*: wrong,
but the tool says that it left something out. *silent*: wrong, and not a word. *refused*: no numbers
at all. qonnx's parameters are weights of convolutions and matrix products alone. The traps were
collected where counters go wrong: shares of them say nothing about a usual network.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from benchmarks.analyzer import others
from benchmarks.analyzer.race import OURS
from benchmarks.figure import Figure, progress
from onnxbench.graph.analysis import analyze
from onnxbench.graph.formulas import parse
from onnxbench.text import safe_text
from tests.graph.operators.probes import PROBES
from tests.graph.operators.probing import Probe, differences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.analyzer.found import Found
    from onnxbench.graph.dims import Count

LEAST_PROBES = 60
TOLERANCE = 0.02
LIMIT_S = 10.0
TINY = 3
VERDICTS = ("right", "convention", "told", "silent", "refused")


@dataclass(frozen=True, slots=True)
class Trial:
    """One tool on one probe; ``said``: what it says where it is not right."""

    probe: str
    trap: str
    true_macs: str
    tool: str
    verdict: str
    said: str = ""

    @property
    def cell(self) -> str:
        """Return it as a cell of the table."""
        return "right" if self.verdict == "right" else f"**{self.verdict}** {self.said}"


def measure(tiny: bool) -> Figure:
    probes = PROBES[:TINY] if tiny else PROBES
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="onnxbench-figure-") as folder:
        paths = [Path(folder, f"{probe.id}.onnx") for probe in probes]
        for probe, path in zip(probes, paths, strict=True):
            onnx.save(probe.model(), path)
        trials += map(ours, probes, paths)
        for tool in others.installed():
            progress(f"  {tool}")
            found = others.count(tool, paths, LIMIT_S)
            trials += (theirs(tool, *each) for each in zip(probes, found, strict=True))
    return judge(trials)


def judge(trials: Sequence[Trial]) -> Figure:
    """Return the figure of all trials."""
    tools = dict.fromkeys(each.tool for each in trials)
    probes = dict.fromkeys(each.probe for each in trials)
    by = {(each.tool, each.probe): each for each in trials}
    tallies = {
        tool: Counter(each.verdict for each in trials if each.tool == tool) for tool in tools
    }
    sums = {tool: _sums(tally) for tool, tally in tallies.items()}
    rows = []
    for probe in probes:
        first = by[OURS, probe]
        rows.append((first.trap, probe, first.true_macs, *(by[tool, probe].cell for tool in tools)))
    return Figure(
        title="traps of counting, each as a tiny model with its cost by arithmetic",
        target="≥ 60 probes, ours all exact and none silently wrong",
        measured="; ".join(f"{tool}: {text}" for tool, text in sums.items()) + _not_asked(),
        met=len(probes) >= LEAST_PROBES and tallies[OURS]["right"] == len(probes),
        table=(
            ("trap", "probe", "true MACs", *tools),
            ("all", f"{len(probes)} probes", others.note(), *sums.values()),
            *rows,
        ),
        raw={"trials": [asdict(each) for each in trials]},
    )


def ours(probe: Probe, path: Path) -> Trial:
    """Return how we did."""
    try:
        profile = analyze(path)
        wrong = differences(probe, profile)
    except Exception as error:  # noqa: BLE001 - a crash is a verdict
        return _trial(probe, OURS, "refused", f"{type(error).__name__}: {error}")
    if not wrong:
        return _trial(probe, OURS, "right")
    said = ", ".join(f"{name} {got}, not {true}" for name, (got, true) in wrong.items())
    return _trial(probe, OURS, "silent" if profile.exact else "told", said)


def theirs(tool: str, probe: Probe, found: Found) -> Trial:
    """Return how another tool did."""
    if found.error:
        return _trial(probe, tool, "refused", found.error.partition(":")[0])
    truth = probe.truth
    said = f"{found.macs:,}" if isinstance(found.macs, int) else str(found.macs)
    if "unknown" in truth:
        return _trial(probe, tool, "right" if found.said else "silent", said)
    wrong = "told" if found.said else "silent"
    if not _fits(found.macs, truth):
        return _trial(probe, tool, "convention" if _elementwise(found.macs, truth) else wrong, said)
    params = truth.get("params")
    if params is not None and not _between(found.params, params, params):
        return _trial(probe, tool, wrong, f"{found.params:,} parameters of {params:,}")
    return _trial(probe, tool, "right")


def _trial(probe: Probe, tool: str, verdict: str, said: str = "") -> Trial:
    macs = _count(probe.truth["macs"])
    true_macs = f"{macs:,}" if isinstance(macs, int) else macs.pretty()
    return Trial(probe.id, probe.trap, true_macs, tool, verdict, safe_text(said, 150))


def _count(given: str | Count) -> Count:
    return parse(given) if isinstance(given, str) else given


def _fits(macs: Count | None, truth: Mapping[str, Any], more: Count = 0) -> bool:
    """Return whether ``macs`` are the true ones, or between their bounds, with ``more`` added."""
    most = _count(truth["macs"])
    least = _count(truth.get("macs_least", most))
    return _between(macs, least + more, most + more)


def _elementwise(macs: Count | None, truth: Mapping[str, Any]) -> bool:
    """Return whether what ``macs`` are too many may be work of the elementwise class."""
    work = truth.get("elementwise")
    return work != 0 and (truth["macs"] == 0 or _fits(macs, truth, _count(work or 0)))


def _between(found: Count | None, least: Count, most: Count) -> bool:
    if not isinstance(found, int) or not isinstance(least, int) or not isinstance(most, int):
        return found == most
    return least * (1 - TOLERANCE) <= found <= most * (1 + TOLERANCE)


def _sums(tally: Mapping[str, int]) -> str:
    return ", ".join(f"{tally.get(verdict, 0)} {verdict}" for verdict in VERDICTS)


def _not_asked() -> str:
    return "" if others.installed() else f"; {others.MISSING}"
