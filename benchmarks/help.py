"""Wall time of ``onnxbench --help`` against ``--help`` of a bare typer app, one file with one
command and one option, in the same interpreter and environment, in alternating pairs. Output goes
to a pipe; rich formats it in both.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.command import ONNXBENCH
from benchmarks.figure import Figure
from benchmarks.pairs import alternate, wall_ns
from onnxbench.measure.interval import paired_ratio

if TYPE_CHECKING:
    from benchmarks.pairs import Pairs

PAIRS = 30
ALLOWED = 1.3
BARE_APP = '''\
import typer

app = typer.Typer()


@app.command()
def greet(name: str = typer.Option("you", help="Whom to greet.")) -> None:
    """Greet somebody."""
    print(f"hello {name}")


app()
'''


def measure(tiny: bool) -> Figure:
    with tempfile.TemporaryDirectory(prefix="onnxbench-figure-") as folder:
        bare = Path(folder, "bare.py")
        bare.write_text(BARE_APP, encoding="utf-8")
        return judge(
            alternate(
                lambda: wall_ns(lambda: _help(ONNXBENCH)),
                lambda: wall_ns(lambda: _help((sys.executable, str(bare)))),
                2 if tiny else PAIRS,
            )
        )


def judge(pairs: Pairs) -> Figure:
    """Return the figure of pairs (onnxbench, bare app) in ns: the whole interval must be low."""
    ratio = paired_ratio([ours for ours, _ in pairs], [bare for _, bare in pairs])
    assert ratio is not None
    ours_s, bare_s = (statistics.median(side) / 1e9 for side in zip(*pairs, strict=True))
    return Figure(
        title="`onnxbench --help` against a bare typer app",
        target="≤ 1.3 ×",
        measured=f"{ratio.estimate:.2f} × [{ratio.low:.2f}, {ratio.high:.2f}]",
        met=ratio.high <= ALLOWED,
        table=(
            ("command", "median wall time"),
            ("`onnxbench --help`", f"{ours_s:.3f} s"),
            ("bare typer app `--help`", f"{bare_s:.3f} s"),
            (f"ratio over {ratio.n} pairs [95 %]",
             f"{ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"),
        ),
        raw={"onnxbench_bare_wall_ns": pairs},
    )  # fmt: skip


def _help(command: tuple[str, ...]) -> None:
    subprocess.run([*command, "--help"], stdout=subprocess.PIPE, check=True)
