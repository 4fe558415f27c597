"""``onnxbench analyze FILE --json`` as a cold process on weights that would not fit: 4.7 GB in a
file beside the model (five decoder layers, 4,096 wide, 32-bit floats), and 1.9 GB inside it (three
such layers with a smaller feed-forward part; a protobuf ends at 2 GB). Both are one hole on the
disk, zeros that were never written, which is kinder to tools that read them than a real network
would be. Wall time and peak RSS as in `analyzer_speed`, medians of five; every other tool gets one
run, at most 60 s and 12 GiB of private memory.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.analyzer import others
from benchmarks.analyzer.generate import Decoder, write
from benchmarks.analyzer.race import HEADER, OURS, File, Runner, race
from benchmarks.figure import Figure
from onnxbench.graph.formulas import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.analyzer.generate import Storage

ROUNDS = 5
ALLOWED_BYTES = 85e6
EXTERNAL, EMBEDDED = "4.7 GB external", "1.9 GB embedded"
ALLOWED_S = {EXTERNAL: 0.4, EMBEDDED: 0.5}
NETWORKS: dict[str, tuple[Decoder, Storage]] = {
    EXTERNAL: (Decoder(layers=5, width=4096, inner=20_480, heads=32), "external"),
    EMBEDDED: (Decoder(layers=3, width=4096, inner=11_008, heads=32), "hole"),
}
TINY: dict[str, tuple[Decoder, Storage]] = {
    EXTERNAL: (Decoder(layers=2), "external"),
    EMBEDDED: (Decoder(layers=2), "hole"),
}


def measure(tiny: bool) -> Figure:
    with tempfile.TemporaryDirectory(prefix="onnxbench-figure-") as folder:
        runners = []
        for label, (decoder, storage) in (TINY if tiny else NETWORKS).items():
            path = Path(folder, f"{storage}.onnx")
            write(path, decoder, storage)
            file = File(label, path, decoder.nodes, parse(decoder.macs))
            runners.append(Runner(OURS, file, 1 if tiny else ROUNDS))
            runners += [Runner(tool, file, 1) for tool in others.installed()]
        race(runners)
    return judge(runners)


def judge(runners: Sequence[Runner]) -> Figure:
    """Return the figure of all that ran."""
    ours = [each for each in runners if each.tool == OURS]
    order = list(ALLOWED_S)
    rows = sorted(runners, key=lambda each: order.index(each.file.label))
    return Figure(
        title="`onnxbench analyze` on gigabytes of weights",
        target="≤ 0.4 s for 4.7 GB external, ≤ 0.5 s for 1.9 GB embedded, ≤ 85 MB peak RSS",
        measured="; ".join(
            f"{each.file.label}: {each.wall_s:.2f} s, {each.rss_bytes / 1e6:.0f} MB"
            for each in ours
        ),
        met=all(
            each.right
            and each.wall_s <= ALLOWED_S[each.file.label]
            and each.rss_bytes <= ALLOWED_BYTES
            for each in ours
        ),
        table=(HEADER, *(each.row() for each in rows), (others.note(), *[""] * 5)),
        raw={"runs": [each.raw() for each in runners]},
    )
