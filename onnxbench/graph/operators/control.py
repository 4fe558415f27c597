"""Control flow: what an If, Loop, Scan or SequenceMap costs is in its subgraphs.

`onnxbench.graph.account` adds these up, as often as they run (F1, F2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.operators.row import Operator

if TYPE_CHECKING:
    from onnxbench.graph.network import Node


def subgraphs(_: Node) -> Cost:
    """Nothing of its own: its subgraphs count, as often as they run (F1, F2)."""
    return Cost(bytes_read=0, bytes_written=0)


_CONTROL = Operator("control", subgraphs)

ROWS = {("", op): _CONTROL for op in ("If", "Loop", "Scan", "SequenceMap")}
