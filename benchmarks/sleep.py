"""The sleep engine reads the clock right before and after its sleep. What our loop reports above
that, as a median over pairs of one run, is the bias of a sample when the core has been idle and
its caches and clock have cooled down.
"""

from __future__ import annotations

from benchmarks.figure import Figure
from onnxbench import selfproof
from onnxbench.targets.local import LocalTarget


def measure(tiny: bool) -> Figure:
    target = LocalTarget()
    proofs = [
        selfproof.sleep_engine(target, seconds, 3 if tiny else None)
        for seconds in selfproof.SLEEPS_S
    ]
    biases_us = [dict(proof.figures)["bias_ns"] / 1000 for proof in proofs]
    return Figure(
        title="sleep engine at 1, 5 and 50 ms: reported − own",
        target="≤ 1 µs or 0.1 %",
        measured=" / ".join(f"{bias:+.2f}" for bias in biases_us) + " µs",
        met=all(proof.holds for proof in proofs),
        table=(
            ("engine", "reported − own", "met"),
            *((p.name, p.measured, "yes" if p.holds else "**no**") for p in proofs),
        ),
        raw={proof.name: dict(proof.figures) for proof in proofs},
    )
