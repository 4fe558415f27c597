"""What one node costs. The rules are in `onnxbench.graph.operators`, one row per operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count


@dataclass(slots=True)  # not frozen: that would treble the time to make one, for each node
class Cost:
    """Work of one node, run once.

    ``macs``: multiply-accumulates of convolutions, matrix products and their kin, and of nothing
    else. ``flops``: arithmetic of the elementwise class (biases, activations, normalization,
    pooling, softmax), without the MACs; total FLOPs = 2 · macs + flops. ``transcendentals``:
    elements on which exp, log, tanh, erf, sqrt and the like are evaluated (they count in ``flops``
    too, at the weight that the operator's row gives).

    ``least``: for a cost that is only bounded, (macs, flops) of the lower bound; ``macs`` and
    ``flops`` are the upper one. ``note``: what the bound or the count depends on.
    ``operands``: types that are multiplied, as ``fp32`` or ``int4×fp16``; None: of the inputs.
    ``bytes_read``, ``bytes_written``: None stands for every distinct input and output once.
    """

    macs: Count = 0
    flops: Count = 0
    transcendentals: Count = 0
    least: tuple[Count, Count] | None = None
    note: str = ""
    operands: str | None = None
    bytes_read: Count | None = None
    bytes_written: Count | None = None
