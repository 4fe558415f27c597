"""Which kernels of a profiled run are furthest from their bound.

A kernel computes a node of the graph, or several that the runtime has fused. It is found by its
name, which runtimes take from a node or from a tensor that the kernel makes. What it computes
follows then: everything between the tensors that other kernels make and its own. A kernel that is
not found, such as a change of layout, has no bound; nothing is guessed.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from onnxbench.measure.roofline import NoCeiling, Work, node_bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onnxbench.measure.roofline import Bound, Ceilings, Family
    from onnxbench.types import JsonObject, OpTime

_SUFFIX = re.compile(r"(_nchwc|\.matmatmul|\.low|\.prefused|\.low\.prefused)$")
"""What is appended to a name when the kernel is chosen: by ONNX Runtime, the others by tract."""

_PRODUCT = re.compile(r"conv|gemm|matmul|connected|inner_?product|dense|attention|lstm|gru|rnn|"
                      r"einsum|brgemm", re.IGNORECASE)  # fmt: skip
"""Parts of names of kernels that multiply."""


class _Kernel(NamedTuple):
    """A row of the profile with the nodes it computes, or why these are not known."""

    row: OpTime
    nodes: frozenset[int] = frozenset()
    reason: str = ""


def hot_spots(
    op_times: Sequence[OpTime], nodes: Sequence[JsonObject], found: Ceilings | None
) -> JsonObject:
    """Return the kernels of ``op_times`` beside their bounds, the largest gap first.

    ``nodes``: as `onnxbench.graph.work` tells them. ``found``: None where nothing is calibrated.
    ``ns`` is the time of one inference; ``gap_ns`` what it lies above ``bound_ns``. Kernels that
    are not found come last, and ``unmatched_share`` says how much of the time is theirs.
    """
    if not op_times:
        return {"rows": [], "unmatched_share": None, "reason": "no operator was timed"}
    # Kernels in loops are called more often; most are not.
    ((inferences, _),) = Counter(row["calls"] for row in op_times).most_common(1)
    graph = _Graph(nodes)
    rows = [_row(kernel, graph, inferences, found) for kernel in _kernels(op_times, graph)]
    rows.sort(key=lambda row: (row["gap_ns"] is None, -(row["gap_ns"] or 0.0), -row["ns"]))
    return {
        "rows": rows,
        "inferences": inferences,
        "unmatched_share": sum(row["share"] for row in rows if not row["nodes"]),
    }


def _row(kernel: _Kernel, graph: _Graph, inferences: int, found: Ceilings | None) -> JsonObject:
    ns = kernel.row["ns"] / inferences
    row: JsonObject = {
        "name": kernel.row["name"],
        "op": kernel.row["op"],
        "provider": kernel.row["provider"],
        "ns": ns,
        "share": kernel.row["share"],
        "nodes": [graph.nodes[i]["name"] for i in sorted(kernel.nodes)],
        **dict.fromkeys(("flops", "flops_per_s", "bound_ns", "bound", "fraction", "gap_ns")),
    }
    if not kernel.nodes:
        return {**row, "reason": kernel.reason}
    flops = [graph.nodes[i]["flops"] for i in kernel.nodes]
    if None not in flops:
        row["flops"] = sum(flops)
        row["flops_per_s"] = row["flops"] / (ns * 1e-9) if ns else None
    if found is None:
        return {**row, "reason": "nothing is calibrated"}
    try:
        bound = _bound(found, graph, kernel.nodes)
    except NoCeiling as error:
        return {**row, "reason": str(error)}
    bound_ns = bound.seconds * 1e9
    return {
        **row,
        "bound_ns": bound_ns,
        "bound": bound.limit,
        "fraction": bound_ns / ns if ns else None,
        "gap_ns": ns - bound_ns,
    }


def _bound(found: Ceilings, graph: _Graph, nodes: frozenset[int]) -> Bound:
    """Return the bound of a kernel: of products that it fuses, the one kind they are of."""
    macs = sum(graph.nodes[i]["macs"] for i in nodes)
    convolves = any(graph.nodes[i]["family"] == "conv" and graph.nodes[i]["macs"] for i in nodes)
    family: Family = "conv" if convolves else "matmul"
    return node_bound(found, Work(family, macs, graph.moved_bytes(nodes)))


# --------------------------------------------------------------------- from kernels to their nodes


def _kernels(op_times: Sequence[OpTime], graph: _Graph) -> list[_Kernel]:
    ends = [graph.find(row["name"]) for row in op_times]
    named = frozenset(name for end in ends if end for name in end.tensors)
    # A kernel may go on where its name ends: a sum and an activation that were fused later.
    followers = [graph.followers(end, named) if end else [] for end in ends]
    rivals = Counter(i for chain in followers for i in chain)
    made = named | {name for i in rivals for name in graph.nodes[i]["outputs"]}
    kernels = []
    for row, end, chain in zip(op_times, ends, followers, strict=True):
        if end is None:
            kernels.append(_Kernel(row, reason=_NOT_FOUND))
            continue
        own = itertools.takewhile(lambda i: rivals[i] == 1, chain)  # a sum of two: of neither
        kernels.append(_judged(row, graph, graph.behind(end.node, made) | frozenset(own)))
    claims = Counter(i for kernel in kernels for i in kernel.nodes)
    return [
        _Kernel(kernel.row, reason="another kernel seems to compute the same nodes")
        if any(claims[i] > 1 for i in kernel.nodes)
        else kernel
        for kernel in kernels
    ]


_NOT_FOUND = "no node or tensor of the graph has its name"


def _judged(row: OpTime, graph: _Graph, nodes: frozenset[int]) -> _Kernel:
    """Return a kernel with its ``nodes``, unless it cannot be that which computes them."""
    products = [graph.nodes[i] for i in nodes if graph.nodes[i]["macs"]]
    multiplies = bool(_PRODUCT.search(row["op"]))
    if products and not multiplies and all(row["op"] != each["op"] for each in products):
        return _Kernel(row, reason="it has the name of a product, and is none")
    if len(products) > 1 and "attention" not in row["op"].lower():
        return _Kernel(row, reason="several products lie between it and the kernels before it")
    return _Kernel(row, nodes)


class _End(NamedTuple):
    """What a kernel has the name of: a node, or one of the tensors that it makes."""

    node: int
    tensors: tuple[str, ...]


def _follows(node: JsonObject) -> bool:
    """Tell whether runtimes append such a node to the kernel of the product before it."""
    return "elementwise" in node["kind"] or "BatchNormalization" in node["op"]


class _Graph:
    """The nodes of a graph, and which make and take each tensor."""

    def __init__(self, nodes: Sequence[JsonObject]) -> None:
        self.nodes = nodes
        made = Counter(name for node in nodes for name in node["outputs"])
        named = Counter(node["name"] for node in nodes)
        self._maker = {
            name: i
            for i, node in enumerate(nodes)
            for name in node["outputs"]
            if made[name] == 1  # a name of two subgraphs tells nothing
        }
        self._named = {node["name"]: i for i, node in enumerate(nodes) if named[node["name"]] == 1}
        self._takers: dict[str, list[int]] = {}
        for i, node in enumerate(nodes):
            for name in dict.fromkeys(node["inputs"]):
                self._takers.setdefault(name, []).append(i)

    def find(self, name: str) -> _End | None:
        """Return what the kernel ``name`` is named after: a node, else a tensor.

        OpenVINO names all that it has fused, in one list with commas: the last one counts.
        """
        for each in (name, _SUFFIX.sub("", name)):
            if each in self._named:
                node = self._named[each]
                return _End(node, tuple(self.nodes[node]["outputs"]))
            if each in self._maker:
                return _End(self._maker[each], (each,))
        parts = name.split(",")
        ends = [end for part in parts if len(parts) > 1 and (end := self.find(part))]
        return max(ends, default=None, key=lambda end: end.node)

    def followers(self, end: _End, named: frozenset[str]) -> list[int]:
        """Return the nodes after ``end`` that no kernel is named after and a product's may fuse."""
        found: list[int] = []
        tensors: Sequence[str] = end.tensors
        while len(tensors) == 1 and len(takers := self._takers.get(tensors[0], [])) == 1:
            (taker,) = takers
            tensors = self.nodes[taker]["outputs"]
            if not _follows(self.nodes[taker]) or not named.isdisjoint(tensors):
                break
            found.append(taker)
        return found

    def behind(self, end: int, made: frozenset[str]) -> frozenset[int]:
        """Return the nodes between the tensors ``made`` by kernels and the node ``end``."""
        found, stack = {end}, [end]
        while stack:
            for name in self.nodes[stack.pop()]["inputs"]:
                maker = self._maker.get(name)
                if maker is not None and maker not in found and name not in made:
                    found.add(maker)
                    stack.append(maker)
        return frozenset(found)

    def moved_bytes(self, nodes: frozenset[int]) -> int:
        """Return what fused ``nodes`` read and write: not what passes between them."""
        moved = sum(self.nodes[i]["bytes_read"] + self.nodes[i]["bytes_written"] for i in nodes)
        kept = sum(self._passed(i, nodes) for i in nodes)
        return max(0, int(moved) - kept)

    def _passed(self, maker: int, nodes: frozenset[int]) -> int:
        """Return the bytes that ``maker`` writes and others of ``nodes`` read, if nobody else does.

        A view moves nothing: what is read behind it has the size of what was written before it.
        """
        outputs = self.nodes[maker]["outputs"]
        if len(outputs) != 1 or not set(self._takers.get(outputs[0], ())) <= nodes:
            return 0
        takers = self._takers.get(outputs[0], [])
        if not takers:
            return 0
        reads = sum(self.nodes[i]["kind"] != "view" for i in takers)
        written: int = self.nodes[maker]["bytes_written"] + reads * self._size(maker)
        return written

    def _size(self, maker: int) -> int:
        while self.nodes[maker]["kind"] == "view":
            before = next(self._makers_of(maker), None)
            if before is None:
                return 0
            maker = before
        return int(self.nodes[maker]["bytes_written"])

    def _makers_of(self, node: int) -> Iterator[int]:
        return (self._maker[name] for name in self.nodes[node]["inputs"] if name in self._maker)
