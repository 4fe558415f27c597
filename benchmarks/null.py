"""The null engine does nothing. It runs in a real child, through the same loop and result channel
as a runtime, so the median of its recorded samples is what the harness adds to every sample.
"""

from __future__ import annotations

from benchmarks.figure import Figure
from onnxbench import selfproof
from onnxbench.targets.local import LocalTarget


def measure(tiny: bool) -> Figure:
    proof = selfproof.null_engine(LocalTarget(), 1000 if tiny else selfproof.NULL_CALLS)
    return Figure(
        title="median recorded sample of a null engine",
        target="≤ 0.2 µs over 1e5 calls",
        measured=proof.measured,
        met=proof.holds,
        table=(),
        raw=dict(proof.figures),
    )
