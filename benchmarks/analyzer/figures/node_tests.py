"""Output shapes on the node tests of the onnx package, as `benchmarks/analyzer/node_tests.py` asks
for them: what the tests declare of outputs is cleared, small integer inputs become constants, and
the truth is the shapes of the arrays that a test itself holds. Once with the inputs' own sizes, and
once with every dim of theirs open and bound to these sizes afterwards. *unknown*: less found than
there is, and nothing wrong; *wrong*: a rank or a dim that is not so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.analyzer.node_tests import ENGINES, VERDICTS
from benchmarks.analyzer.node_tests import measure as ask
from benchmarks.figure import Figure, progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    Verdicts = Mapping[str, Mapping[str, list[str]]]
    """Names of tests by engine and verdict."""

LEAST_SHARE = 0.95
TINY = 20
SIZES, OPEN = "given sizes", "open dims"
"""What the inputs of the tests have."""


def measure(tiny: bool) -> Figure:
    found: dict[str, Verdicts] = {}
    for inputs in (SIZES,) if tiny else (SIZES, OPEN):
        progress(f"  {inputs}")
        found[inputs] = ask(symbolic=inputs == OPEN, most=TINY if tiny else None)
    return judge(found)


def judge(found: Mapping[str, Verdicts]) -> Figure:
    """Return the figure of verdicts for tests with given sizes, and with open dims."""
    ours = next(iter(ENGINES))
    verdicts = found[SIZES][ours]
    total = sum(map(len, verdicts.values()))
    share = len(verdicts["exact"]) / total
    bad = len(verdicts["wrong"]) + len(verdicts["raised"])
    return Figure(
        title="output shapes on the node tests of onnx",
        target="≥ 95 % exact, none wrong",
        measured=f"{share:.1%} of {total:,} exact, {bad} wrong or failed",
        met=share >= LEAST_SHARE and bad == 0,
        table=(
            ("inputs", "engine", *VERDICTS, "share exact"),
            *(_row(inputs, *each) for inputs, of in found.items() for each in of.items()),
        ),
        raw={
            inputs: {
                engine: {
                    verdict: len(names) if verdict == "exact" else names
                    for verdict, names in verdicts.items()
                }
                for engine, verdicts in of.items()
            }
            for inputs, of in found.items()
        },
    )


def _row(inputs: str, engine: str, verdicts: Mapping[str, list[str]]) -> tuple[str, ...]:
    counts = [len(verdicts[verdict]) for verdict in VERDICTS]
    share = f"{counts[0] / sum(counts):.1%}"
    return (inputs, engine, *(f"{count:,}" for count in counts), share)
