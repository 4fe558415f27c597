"""`analyze`: an ONNX file → GraphProfile.

The file is read without its weights, its shapes are inferred, and every node is counted by its row
of the operator table. Time and memory grow with the number of nodes, never with the weights.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from onnxbench.graph.account import account
from onnxbench.graph.dims import TooComplex
from onnxbench.graph.files import open_model
from onnxbench.graph.formulas import symbols
from onnxbench.graph.kv_cache import kv_cache
from onnxbench.graph.memory import memory
from onnxbench.graph.network import Unknown
from onnxbench.graph.parameters import parameters
from onnxbench.graph.precision import NAMES
from onnxbench.graph.profile import (
    Binding,
    GraphProfile,
    NodeProfile,
    Signature,
    UnknownOperator,
)
from onnxbench.graph.shapes import infer
from onnxbench.graph.structure import read_structure
from onnxbench.graph.totals import total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from onnxbench.graph.account import Account
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Graph, Tensor
    from onnxbench.graph.profile import Convention

MAX_NAMES = 5
"""Names of unknown nodes that are kept for each operator."""


def analyze(
    path: Path, binding: Binding | None = None, convention: Convention = "pure"
) -> GraphProfile:
    """Return what the ONNX file at ``path`` costs, with open dims bound by ``binding``.

    Raises RefusedInput when the file is none or damaged, UsageError when ``binding`` does not fit.
    """
    with _collector_paused():
        return _analyzed(path.absolute(), binding or Binding(), convention)


def _analyzed(path: Path, binding: Binding, convention: Convention) -> GraphProfile:
    with open_model(path) as fd:
        structure = read_structure(fd, path.parent)
    stripped, model = structure.stripped, structure.model
    producer = f"{model.producer_name} {model.producer_version}".strip()[:200]
    ir_version, opset, in_order = model.ir_version, structure.opset, structure.in_order
    del model, structure  # the inference parses a model of its own
    graph = infer(stripped, binding, in_order=in_order)
    weights = parameters(graph, stripped.dropped)
    book = account(graph, convention, weights.by_node)
    totals = _Totals(book.nodes)
    return GraphProfile(
        path=str(path),
        sha256=None,
        producer=producer,
        ir_version=ir_version,
        opset=opset,
        binding=binding,
        convention=convention,
        inputs=tuple(_signature(each) for each in graph.inputs),
        outputs=tuple(_signature(each) for each in graph.outputs),
        symbols=totals.symbols(),
        macs=totals.macs,
        macs_least=totals.macs_least,
        flops=totals.flops,
        flops_least=totals.flops_least,
        transcendentals=totals.transcendentals,
        macs_by_precision=totals.macs_by_precision,
        preparation_macs=book.preparation.value(),
        compulsory_bytes=_compulsory(graph, book),
        macts=book.macts.value(),
        bytes_read=totals.bytes_read,
        bytes_written=totals.bytes_written,
        parameters=weights.totals,
        memory=memory(graph),
        kv_cache=kv_cache(graph),
        nodes=tuple(book.nodes),
        node_count=len(book.nodes),
        unknown=_unknown(book.nodes),
        exact=all(node.status == "exact" for node in book.nodes),
        coverage=1 - totals.unknown / max(len(book.nodes), 1),
        dim_names=graph.dim_names,
        notes=tuple(graph.notes),
    )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the cyclic garbage collector off: all that is made is needed to the end.

    At 100,000 nodes it would walk the same objects again and again, for a third of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Totals:
    """Sums over nodes; an unknown figure takes no part."""

    def __init__(self, nodes: Sequence[NodeProfile]) -> None:
        self.macs = total([each.macs for each in nodes])
        self.macs_least = total([each.macs_least for each in nodes])
        self.flops = total([each.flops for each in nodes])
        self.flops_least = total([each.flops_least for each in nodes])
        self.transcendentals = total([each.transcendentals for each in nodes])
        self.bytes_read = total([each.bytes_read for each in nodes])
        self.bytes_written = total([each.bytes_written for each in nodes])
        self.unknown = [each.status for each in nodes].count("unknown")
        by_precision: dict[str, list[Count | None]] = {}
        for each in nodes:
            if each.precision:
                by_precision.setdefault(each.precision, []).append(each.macs)
        self.macs_by_precision = {name: total(macs) for name, macs in by_precision.items()}

    def symbols(self) -> tuple[str, ...]:
        """Return the open dims that a figure of work depends on."""
        counts = (self.macs, self.flops, self.transcendentals, self.bytes_read, self.bytes_written)
        return tuple(sorted(frozenset().union(*map(symbols, counts))))


def _compulsory(graph: Graph, book: Account) -> Count:
    """Return the bytes of weights that are read, inputs and outputs; unknown ones left out."""
    found = total(book.weights_read.values())
    for each in (*graph.inputs, *graph.outputs):
        with suppress(Unknown, TooComplex):
            found = found + each.bytes
    return found


def _signature(tensor: Tensor) -> Signature:
    return Signature(tensor.name, NAMES.get(tensor.dtype, "unknown"), tensor.shape)


def _unknown(nodes: Sequence[NodeProfile]) -> tuple[UnknownOperator, ...]:
    """Return the nodes that could not be counted, by operator, in order of appearance (F4)."""
    found: dict[tuple[str, str], list[NodeProfile]] = {}
    for node in nodes:
        if node.status == "unknown":
            found.setdefault((node.domain, node.op), []).append(node)
    return tuple(
        UnknownOperator(
            op=op,
            domain=domain,
            nodes=len(group),
            reason=group[0].reason,
            names=tuple(node.name for node in group[:MAX_NAMES]),
            bytes=_known_bytes(group),
        )
        for (domain, op), group in found.items()
    )


def _known_bytes(group: Sequence[NodeProfile]) -> int | None:
    sizes = [size for node in group for size in (node.bytes_read, node.bytes_written)]
    return sum(size for size in sizes if isinstance(size, int)) if None not in sizes else None
