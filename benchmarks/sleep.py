"""The sleep engine reads the clock right before and after its sleep. What our loop reports above
that, as a median over pairs of one run, is the bias of a sample when the core has been idle and
its caches have gone cold.

The last column is the floor of any such measurement, found without onnxbench: two clock readings in
a row, with nothing between them, by a process that has just slept as long.
"""

from __future__ import annotations

import statistics
import time

from benchmarks.figure import Figure
from onnxbench import selfproof
from onnxbench.targets.local import LocalTarget
from onnxbench.worker.clock import now_ns

RUNS = 20
"""Sleeps of each length for the floor."""


def measure(tiny: bool) -> Figure:
    target = LocalTarget()
    proofs = [
        selfproof.sleep_engine(target, seconds, 3 if tiny else None)
        for seconds in selfproof.SLEEPS_S
    ]
    floors_ns = [_two_readings_ns(seconds, 3 if tiny else RUNS) for seconds in selfproof.SLEEPS_S]
    biases_us = [dict(proof.figures)["bias_ns"] / 1000 for proof in proofs]
    return Figure(
        title="sleep engine at 1, 5 and 50 ms: reported − own",
        target="≤ 1 µs or 0.1 %",
        measured=" / ".join(f"{bias:+.2f}" for bias in biases_us) + " µs",
        met=all(proof.holds for proof in proofs),
        table=(
            ("engine", "reported − own", "met", "two readings in a row"),
            *(
                (p.name, p.measured, "yes" if p.holds else "**no**", f"{floor_ns / 1000:.3f} µs")
                for p, floor_ns in zip(proofs, floors_ns, strict=True)
            ),
        ),
        raw={
            proof.name: {**dict(proof.figures), "two_readings_ns": floor_ns}
            for proof, floor_ns in zip(proofs, floors_ns, strict=True)
        },
    )


def _two_readings_ns(seconds: float, runs: int) -> float:
    """Return the median time between two clock readings in a row after a sleep, in ns."""
    found = []
    for _ in range(runs):
        time.sleep(seconds)
        first = now_ns()
        second = now_ns()
        found.append(second - first)
    return statistics.median(found)
