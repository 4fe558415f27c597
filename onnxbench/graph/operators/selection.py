"""Selection, whose work depends on the data, and random numbers.

Sorting, searching and suppressing compare; how often is a matter of algorithm and data, so these
operators count 0 FLOPs and say so in a note. Numbers drawn count 1 FLOP each, however a runtime
makes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.rules import per_output, uncounted

if TYPE_CHECKING:
    from onnxbench.graph.network import Node

_CONTRIB = "com.microsoft"


def random_like(node: Node) -> Cost:
    """1 FLOP per output element: a random number; of the input only the shape is looked at."""
    return Cost(flops=node.output().elements, bytes_read=0)


def multinomial(node: Node) -> Cost:
    """2 FLOPs per class: exp and running sum; 1 per number drawn."""
    classes = node.input(0).elements
    return Cost(flops=classes * 2 + node.output().elements, transcendentals=classes)


_SELECTION = Operator("selection", uncounted("comparisons are"))
_RANDOM = Operator("random", per_output(1, formula="a random number"))
_RANDOM_LIKE = Operator("random", random_like)

ROWS = {
    ("", "TopK"): _SELECTION,
    ("", "Unique"): _SELECTION,
    ("", "NonZero"): _SELECTION,
    ("", "Compress"): _SELECTION,
    ("", "NonMaxSuppression"): Operator(
        "selection", uncounted("comparisons and overlaps of boxes are")
    ),
    ("", "RandomNormal"): _RANDOM,
    ("", "RandomNormalLike"): _RANDOM_LIKE,
    ("", "RandomUniform"): _RANDOM,
    ("", "RandomUniformLike"): _RANDOM_LIKE,
    ("", "Bernoulli"): Operator("random", per_output(2, formula="a random number and a test")),
    ("", "Multinomial"): Operator("random", multinomial),
    (_CONTRIB, "Unique"): _SELECTION,
    (_CONTRIB, "NGramRepeatBlock"): _SELECTION,
    (_CONTRIB, "BifurcationDetector"): _SELECTION,
}
