"""Nodes of strangers that must not reach ONNX's own inference (1.23.2): it would end the process,
or never end. Found by mutating the package's node tests.

Pre-flight lets such models pass, for it leaves operators to the runtimes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import NodeProto

_EQUATION = re.compile(rb"[A-Za-z.,> -]*")
_WANT_TYPES = frozenset({"EyeLike", "RegexFullMatch"})


def is_fatal(node: NodeProto) -> bool:
    """Tell whether the C++ inference never returns from ``node``, whatever its inputs are.

    Einsum: an equation of other letters makes it loop for ever. Split: more outputs than
    ``num_outputs`` make it write behind a vector.
    """
    op = node.op_type
    if op == "Einsum":
        return any(
            each.name == "equation" and not _EQUATION.fullmatch(each.s) for each in node.attribute
        )
    if op == "Split":
        return any(
            each.name == "num_outputs" and each.i != len(node.output) for each in node.attribute
        )
    return False


def wants_types(node: NodeProto) -> bool:
    """Tell whether the C++ inference of a model may crash on ``node``.

    It does on these operators if the type of an input is not known, as behind a custom operator:
    then it passes on a null pointer. Asked about the node alone, it does not.
    """
    return node.op_type in _WANT_TYPES or node.domain.startswith("ai.onnx.")
