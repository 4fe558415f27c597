"""Nodes that are alike: what is found of one holds for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable

    from onnxbench.graph.engines import Found
    from onnxbench.graph.network import Node


class Known(NamedTuple):
    """What follows from an operator with its attributes, and types and elements of its inputs.

    ``values``: elements of the outputs, as numbers and as formulas. ``whole``: nothing is missing
    and no output is anything but a tensor.
    """

    found: list[Found]
    values: list[tuple[Any, Any]]
    whole: bool


def key_of(node: Node, *, before: bool = False) -> Hashable | None:
    """Return what the shapes of the outputs follow from; None if that has no short form.

    ``before``: with all that is known of the outputs already; None too if that is elements.
    """
    if node.graphs:
        return None
    key: list[Hashable] = [node.op, node.domain, node.opset]
    for tensor in node.inputs:
        if tensor is None:
            key.append(None)
            continue
        if tensor.type is not None:
            return None
        value, formulas = tensor.value, tensor.formulas
        key += (
            tensor.dtype,
            tensor.shape,
            value if value is None else value.tobytes(),
            formulas if formulas is None else tuple(formulas.reshape(-1).tolist()),
        )
    attributes = node.proto.attribute
    key.append(b"".join([each.SerializeToString() for each in attributes]) if attributes else b"")
    for output in node.outputs:
        key.append(output is not None)
        if before and output is not None:
            if output.value is not None or output.formulas is not None or output.type is not None:
                return None
            key += (output.dtype, output.shape)
    return tuple(key)
