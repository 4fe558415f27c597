"""Nodes of strangers that must not reach ONNX's own inference (1.23.2), which they hang."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import NodeProto

_EQUATION = re.compile(rb"[A-Za-z.,> -]*")


def hangs_inference(node: NodeProto) -> bool:
    """Tell whether the C++ inference never returns from ``node``: an Einsum of other letters."""
    if node.op_type != "Einsum":
        return False
    return any(
        each.name == "equation" and not _EQUATION.fullmatch(each.s) for each in node.attribute
    )
