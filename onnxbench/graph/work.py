"""What a roofline needs of a graph: work of its nodes, and the tensors that they exchange."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from onnxbench.measure.roofline import Work

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnxbench.graph.profile import GraphProfile, NodeProfile
    from onnxbench.measure.roofline import Family
    from onnxbench.types import JsonObject

MAX_ROWS = 2000
"""Different amounts of work that are told of one graph; those of real networks are a hundred."""

MAX_NODES = 10_000
"""Nodes that are told one by one, which only a table of hot spots needs."""


def family(op: str) -> Family:
    """Return whose kernels compute the MACs of an operator."""
    return "conv" if "Conv" in op else "matmul"


def work(profile: GraphProfile) -> list[Work] | None:
    """Return the work of all nodes, equal ones once; None while a dim is open.

    Unknown nodes take no part and bounded ones with the least, so that bounds stay bounds.
    """
    found = Counter[Work]()
    for node in profile.nodes:
        each = work_of(node)
        if each is None:
            return None
        if each.macs or each.moved_bytes:
            found[each] += 1
    return [each._replace(nodes=count) for each, count in found.items()]


def work_of(node: NodeProfile) -> Work | None:
    """Return the work of a node, None if it depends on an open dim."""
    macs, read, written = node.macs_least or 0, node.bytes_read or 0, node.bytes_written or 0
    if not (isinstance(macs, int) and isinstance(read, int) and isinstance(written, int)):
        return None
    return Work(family(node.op), max(0, macs), read + written)


def work_document(profile: GraphProfile, *, nodes: bool) -> JsonObject:
    """Return the ``work`` of ``profile``, and with ``nodes`` each one with its tensors."""
    found = work(profile)
    document: JsonObject = {"work": None if found is None else [list(each) for each in found]}
    if found is None:
        document["work_reason"] = "the work of some nodes depends on an open dim"
    elif len(found) > MAX_ROWS:
        document = {"work": None, "work_reason": f"more than {MAX_ROWS} different nodes"}
    if nodes:
        document["nodes"] = _told(profile.nodes)
    return document


def _told(nodes: Iterable[NodeProfile]) -> list[JsonObject] | None:
    told: list[JsonObject] = []
    for node in nodes:
        each = work_of(node)
        if each is None or len(told) == MAX_NODES:
            return None
        told.append(
            {
                "name": node.name,
                "op": node.op,
                "kind": node.kind,
                "family": each.family,
                "macs": each.macs,
                "flops": node.flops if isinstance(node.flops, int) else None,
                "bytes_read": node.bytes_read or 0,
                "bytes_written": node.bytes_written or 0,
                "inputs": list(node.inputs),
                "outputs": list(node.outputs),
            }
        )
    return told
