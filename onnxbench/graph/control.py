"""How often the subgraphs of control flow run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.network import Unknown

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node, Tensor

MAX_TRIPS = 1 << 40
"""A limit beyond this stands for "until the condition says so": exporters write 2^63 - 1."""

_FIRST_OPSET_WITHOUT_BATCH = 9


def constant_scalar(tensor: Tensor | None) -> int | bool | None:
    """Return the one element of a tensor if it is known."""
    if tensor is None or tensor.value is None or tensor.value.size != 1:
        return None
    found: int | bool = tensor.value.reshape(-1)[0].item()
    return found


def trip_limit(node: Node) -> int | None:
    """Return the largest number of runs of a Loop, None if the graph does not tell."""
    limit = constant_scalar(node.optional(0))
    if limit is None or not 0 <= limit <= MAX_TRIPS:
        return 0 if limit is not None and limit < 0 else None
    return int(limit)


def runs_to_the_limit(node: Node) -> bool:
    """Tell whether a Loop's condition can never stop it: true at first, and handed on unchanged."""
    first = node.optional(1)
    if first is not None and constant_scalar(first) is not True:
        return False
    body = node.graphs["body"]
    last = body.outputs[0] if body.outputs else None
    while last is not None and last.producer is not None and last.producer.op == "Identity":
        last = last.producer.optional(0)
    if last is None:
        return False
    if constant_scalar(last) is True:
        return True
    return len(body.inputs) > 1 and last is body.inputs[1]


def scan_length(node: Node) -> Count:
    """Return the size of the axis that a Scan walks along. Raises Unknown."""
    count = int(node.attribute("num_scan_inputs", 0))
    if not 0 < count <= len(node.inputs):
        raise Unknown("Scan lacks num_scan_inputs")
    scanned = node.input(len(node.inputs) - count).dims
    if node.opset < _FIRST_OPSET_WITHOUT_BATCH:  # [batch, length, …], each batch on its own
        if len(scanned) < 2:
            raise Unknown("the scanned input has no sequence axis")
        return scanned[0] * scanned[1]
    axis = int((node.attribute("scan_input_axes") or [0])[0])
    if not -len(scanned) <= axis < len(scanned):
        raise Unknown("scan_input_axes lies outside the scanned input")
    return scanned[axis]
