"""The form of a row of the operator table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import Count
from onnxbench.graph.network import Node

Kind = Literal[
    "contraction",  # convolutions, matrix products, attention, recurrent networks: MACs
    "elementwise",  # an output element from the input elements at the same place
    "normalization",
    "reduction",  # also pooling, softmax, arg-max, sums
    "sampling",  # resize, grid sample, region pooling
    "transform",  # Fourier transforms
    "movement",  # copies: transpose, concat, slice, gather, cast
    "view",  # a new shape for the same bytes: no work at all
    "control",  # If, Loop, Scan: their subgraphs cost
    "selection",  # sorting, non-maximum suppression, unique: work depends on the data
    "random",
    "text",  # strings, vectorizers, tree ensembles: no arithmetic that a FLOP would describe
]

Rule = Callable[[Node], Cost]
"""Returns the cost of one run of a node. Raises Unknown, ZeroDivisionError or TooComplex."""

Tally = Callable[[Node], Count]
"""What another tool's convention counts for a node. Raises as `Rule` does."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the table.

    ``fvcore``, ``paddle``: what these conventions call the MACs of a node, where that is not what
    ``rule`` counts. ``in_place``: runtimes may write the result over the first input, when nothing
    else reads it and both have as many bytes.
    """

    kind: Kind
    rule: Rule
    fvcore: Tally | None = None
    paddle: Tally | None = None
    in_place: bool = False
