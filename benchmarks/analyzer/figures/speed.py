"""Whole cold processes of ``onnxbench analyze FILE --json``: wall time from before the process
starts to after it has ended, and its peak RSS as the kernel counts it; medians. ResNet-50 is the
one that ships in the onnx package; the stacks are decoders that `benchmarks/analyzer/generate.py`
writes, with a chain of Shape, Gather, Concat and Reshape for every split and merge of heads,
batch 1 and 128 tokens, or both open in the rows that say so. ResNet-50 runs in alternating pairs
with ``python -c 'import typer, onnx'``, the imports that no such tool can do without; everything
else in rounds, in random order, other tools with what is asked of a Python of their own, where they
are stopped after 60 s or at 12 GiB. MACs are compared with the formula of each network.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.analyzer import cold, light_networks, others
from benchmarks.analyzer.generate import decoder_of, write
from benchmarks.analyzer.race import HEADER, LIMIT_S, OURS, File, Runner, race
from benchmarks.figure import Figure
from benchmarks.pairs import alternate
from onnxbench.graph.formulas import parse
from onnxbench.measure.interval import paired_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.pairs import Pairs

PAIRS = 15
ROUNDS = 5
OTHERS_ROUNDS = 3
BARE = (sys.executable, "-c", "import typer, onnx")
ALLOWED_RATIO = 1.6
LEAST_SPEEDUP = 5.0
ALLOWED_BYTES, ALLOWED_BYTES_PER_NODE = 80e6, 6e3

RESNET = "ResNet-50"
SMALL, SMALL_OPEN, LARGE = "10k nodes", "10k nodes, batch and tokens open", "100k nodes"
ALLOWED_S = {RESNET: 0.4, SMALL: 1.0, LARGE: 5.0}
"""Seconds. Open dims have a row of their own and no promise."""


def measure(tiny: bool) -> Figure:
    resnet = Runner(OURS, _resnet(), 2 if tiny else PAIRS)
    pairs = alternate(
        lambda: _wall_ns(resnet), lambda: cold.run(BARE, limit_s=LIMIT_S).wall_ns, resnet.rounds
    )
    del resnet.ended[0]  # the unmeasured one
    with tempfile.TemporaryDirectory(prefix="onnxbench-figure-") as folder:
        files = _stacks(Path(folder), (122, 244) if tiny else (10_000, 100_000))
        runners = [Runner(OURS, each, 1 if tiny else ROUNDS) for each in files]
        rounds = {RESNET: OTHERS_ROUNDS, SMALL: OTHERS_ROUNDS, LARGE: 1}
        runners += [
            Runner(tool, each, 1 if tiny else rounds[each.label])
            for tool in others.installed()
            for each in (resnet.file, *files)
            if each.label in rounds  # none of them takes open dims
        ]
        race(runners)
    return judge(pairs, [resnet, *runners])


def judge(pairs: Pairs, runners: Sequence[Runner]) -> Figure:
    """Return the figure of pairs (ResNet-50, bare imports) in ns and of all that ran."""
    ratio = paired_ratio([ours for ours, _ in pairs], [bare for _, bare in pairs])
    assert ratio is not None
    by = {(each.tool, each.file.label): each for each in runners}
    ours = [each for each in runners if each.tool == OURS]
    walls = {label: by[OURS, label].wall_s for label in ALLOWED_S}
    other = by.get(("onnx-tool", SMALL))
    speedup = _speedup(by[OURS, SMALL], other)
    met = (
        all(each.right and each.rss_bytes <= _allowed_bytes(each.file) for each in ours)
        and all(walls[label] <= allowed for label, allowed in ALLOWED_S.items())
        and ratio.high <= ALLOWED_RATIO
        and speedup >= LEAST_SPEEDUP
    )
    against = f"onnx-tool {speedup:.1f} ×" if speedup else "onnx-tool has no time to compare"
    order = (RESNET, SMALL, SMALL_OPEN, LARGE)
    rows = sorted(runners, key=lambda each: order.index(each.file.label))
    bare_s = statistics.median(bare for _, bare in pairs) / 1e9
    return Figure(
        title="`onnxbench analyze` as a cold process",
        target="≤ 0.4 / 1 / 5 s for ResNet-50 / 10k / 100k nodes, ≤ 80 MB + 6 kB per node; "
        "ResNet-50 ≤ 1.6 × bare imports; onnx-tool ≥ 5 × at 10k",
        measured=" / ".join(f"{wall:.2f}" for wall in walls.values())
        + f" s; {ratio.estimate:.2f} × [{ratio.low:.2f}, {ratio.high:.2f}]; {against}",
        met=met,
        table=(
            HEADER,
            *(each.row() for each in rows),
            ("none", "", "`import typer, onnx`", f"{bare_s:.2f} s", "", others.note()),
        ),
        raw={"onnxbench_bare_wall_ns": pairs, "runs": [each.raw() for each in runners]},
    )


def _resnet() -> File:
    network = light_networks.NETWORKS["resnet50"]
    return File(RESNET, light_networks.path("resnet50"), network.nodes, network.macs)


def _stacks(folder: Path, nodes: tuple[int, int]) -> list[File]:
    files = []
    for label, least, shape in (
        (SMALL, nodes[0], (1, 128)),
        (SMALL_OPEN, nodes[0], ("batch", "tokens")),
        (LARGE, nodes[1], (1, 128)),
    ):
        decoder = decoder_of(least, shape)
        path = folder / f"{label.replace(' ', '-')}.onnx"
        write(path, decoder)
        files.append(File(label, path, decoder.nodes, parse(decoder.macs)))
    return files


def _wall_ns(runner: Runner) -> int:
    runner.run()
    return runner.ended[-1].wall_ns


def _speedup(ours: Runner, theirs: Runner | None) -> float:
    """Return how many times as long another took, at least if it was stopped; 0 if it failed."""
    if theirs is None or not (theirs.ended[-1].well or theirs.ended[-1].timed_out):
        return 0.0
    return theirs.wall_s / ours.wall_s


def _allowed_bytes(file: File) -> float:
    return ALLOWED_BYTES + ALLOWED_BYTES_PER_NODE * file.nodes
