"""Finds out, node by node, what the first pass over a model left open.

Per node the sources are, in this order: the rules of `onnxbench.graph.rules`, ONNX's inference,
onnx-shape-inference, and the body of the operator if it is a function. Later ones are asked only
while something is missing. Where two of them say different numbers, the dim is unknown: a wrong
shape would make wrong costs look exact. A size that depends on data becomes a symbol with the name
of the node that makes it, so that the user can give it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from onnxbench.graph.agreement import agreed, agreement, differ, found_in
from onnxbench.graph.alike import Known, key_of
from onnxbench.graph.bodies import body_of
from onnxbench.graph.dims import Expr, TooComplex
from onnxbench.graph.engines import NOTHING, Found, Reference, Symbolic
from onnxbench.graph.flow import FLOWS
from onnxbench.graph.fold import fold, operands
from onnxbench.graph.network import Unknown
from onnxbench.graph.rules import CONTRIB_RULES, CORRECTED, DOUBTFUL, RULES, dtype_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from onnxbench.graph.declared import Declared
    from onnxbench.graph.dims import Dim
    from onnxbench.graph.naming import Names
    from onnxbench.graph.network import Graph, Node, Tensor
    from onnxbench.graph.sizes import Shape

_STANDARD = frozenset({"", "ai.onnx.preview"})

_CACHES = {("com.microsoft", "GroupQueryAttention"): (1, 2)}
"""Outputs that may be the buffers of inputs, so that the file knows better than any engine."""

_DAMAGED = (
    Unknown, TooComplex, ArithmeticError, AttributeError, LookupError, TypeError, ValueError
)  # fmt: skip

MAX_BODIES = 8
"""Bodies of operators inside one another."""

MAX_SHORT, MAX_FOLDED = 64, 100_000
"""Elements of operands, and results of them, that are kept for the next node of that kind."""

_NO_FOLD = (None, None, None)


class Settler:
    """One settling of a model, or of the body of an operator.

    ``declared``: what the file says of values of the main graph, believed last.
    """

    def __init__(self, names: Names, declared: Declared | None = None) -> None:
        self.names = names
        self.visits = 0
        self._declared = declared
        self._reference = Reference()
        self._symbolic = Symbolic()
        self._known: dict[Hashable, Known] = {}
        self._folded: dict[Hashable, list[tuple[Any, Any, Shape | None]]] = {}
        self._named: dict[tuple[Tensor, int], Dim] = {}
        self._trips: dict[Node, Dim] = {}
        self._changed: set[Tensor] = set()
        self._depth = 0

    def graph(self, graph: Graph) -> None:
        """Settle the nodes of ``graph``, which stand in an order in which they can run."""
        for node in graph.nodes:
            self.node(node)

    def inside(self, graph: Graph) -> None:
        """Settle a subgraph whose inputs have changed."""
        for node in graph.nodes:
            if node.op == "Constant" and not node.domain:
                continue
            for output in node.outputs:
                if output is not None:
                    output.dtype, output.shape, output.type = 0, None, None
                    output.value = output.formulas = None
        self.graph(graph)

    def node(self, node: Node) -> None:
        """Settle the outputs of ``node``."""
        # A stranger's node need not be what its operator takes: what it makes is not known then.
        try:  # noqa: SIM105 - suppress() is made anew for each of 100,000 nodes
            self._node(node)
        except _DAMAGED:
            pass

    def _node(self, node: Node) -> None:
        self.visits += 1
        if node.graphs:
            flow = FLOWS.get(node.op) if node.domain in _STANDARD else None
            if flow is not None:
                self.settle(node, flow(self, node))
                return
            for inner in node.graphs.values():
                self.inside(inner)
        if self._is_settled(node):
            self._fold(node)
            return
        key = key_of(node)
        known = self._known.get(key) if key is not None else None
        if known is not None:
            self._take(node, known)
            return
        invented = self.names.invented
        found = self._ask(node)
        is_general = self.names.invented == invented
        self.settle(node, found)
        fold(node)
        if key is not None and is_general:
            values = [(each.value, each.formulas) if each else (None, None)
                      for each in node.outputs]  # fmt: skip
            whole = (node.domain, node.op) not in _CACHES and all(
                each.type is None and each.complete for each in found
            )
            self._known[key] = Known(found, values, whole)

    def _is_settled(self, node: Node) -> bool:
        for output in node.outputs:
            if output is None or output.type is not None:
                continue
            shape = output.shape
            if not output.dtype or shape is None or None in shape:
                return False
        if node.op in CORRECTED and not node.domain:
            return False
        return not self._changed or not any(each in self._changed for each in node.inputs)

    def _take(self, node: Node, known: Known) -> None:
        """Give the outputs of ``node`` what was found of a node like it."""
        outputs = node.outputs
        if known.whole and not any(
            each is not None and each.shape is not None and differ(each.shape, of.shape)
            for each, of in zip(outputs, known.found, strict=True)
        ):
            for output, of in zip(outputs, known.found, strict=True):
                if output is not None:
                    output.dtype, output.shape = of.dtype, cast("Shape", of.shape)
        else:
            self.settle(node, known.found)
        for output, folded in zip(outputs, known.values, strict=True):
            if output is not None:
                output.value, output.formulas = folded

    def _fold(self, node: Node) -> None:
        """Fold a settled node, unless one like it was: shape arithmetic repeats in every layer."""
        arrays = operands(node)
        if arrays is None:
            return
        short = sum([each.size for each in arrays]) <= MAX_SHORT
        key = key_of(node, before=True) if short and len(self._folded) < MAX_FOLDED else None
        folded = self._folded.get(key) if key is not None else None
        if folded is None:
            fold(node)
            if key is not None:
                self._folded[key] = [(each.value, each.formulas, each.shape) if each else _NO_FOLD
                                     for each in node.outputs]  # fmt: skip
            return
        for output, of in zip(node.outputs, folded, strict=True):
            if output is not None:
                output.value, output.formulas, output.shape = of

    # ------------------------------------------------------------------------------------ sources

    def _ask(self, node: Node) -> list[Found]:
        answers: list[list[Found]] = []
        ruled = _ruled(node)
        if ruled is not None:
            answers.append(ruled)
        for ask in self._engines(node):
            together = agreed(node, answers)
            if all(
                wanted is None or found.complete
                for found, wanted in zip(together, node.outputs, strict=True)
            ):
                return together
            answer = ask(node)
            if answer is not None:
                doubtful = DOUBTFUL.get((node.domain, node.op), frozenset())
                answers.append(
                    [NOTHING if i in doubtful else each for i, each in enumerate(answer)]
                )
        return agreed(node, answers)

    def _engines(self, node: Node) -> list[Callable[[Node], list[Found] | None]]:
        """Return whom to ask when the rules leave something open.

        What our own rule of an operator leaves open depends on data, or on which of two open dims
        is greater; onnx-shape-inference decides some of that, and wrongly (Slice, Resize).
        """
        if node.domain == "com.microsoft" and node.op in CONTRIB_RULES:
            return []
        if node.domain or node.op not in RULES:
            return [self._reference.infer, self._symbolic.infer, self._by_body]
        if node.op in CORRECTED:
            return [self._by_body]
        return [self._reference.infer, self._by_body]

    def _by_body(self, node: Node) -> list[Found] | None:
        if self._depth >= MAX_BODIES:
            return None
        body = body_of(node, self._reference)
        if body is None:
            return None
        self._depth += 1
        try:
            self.graph(body)
        finally:
            self._depth -= 1
        return [found_in(output) for output in body.outputs[: len(node.outputs)]]

    # -------------------------------------------------------------------------------------- result

    def settle(self, node: Node, found: Sequence[Found]) -> None:
        """Give the outputs of ``node`` what was found, and names to their unknown dims."""
        marks: dict[str, Dim] = {}
        fresh = not any(each in self._changed for each in node.inputs)
        for index, (output, of) in enumerate(zip(node.outputs, found, strict=True)):
            if output is None:
                continue
            shared = index in _CACHES.get((node.domain, node.op), ())
            if not shared and of.agrees_with(output):
                output.dtype, output.shape = of.dtype, cast("Shape", of.shape)
                continue
            if fresh and (output.dtype or output.type) and not _is_corrected(node):
                of = agreement([of, found_in(output)])  # noqa: PLW2901 - with the first pass
            before = output.shape
            output.dtype = of.dtype or output.dtype
            output.type = of.type or output.type
            if output.type is not None:
                continue
            if self._declared is not None and (shared or not of.complete):
                declared = self._declared.find(output)
                if declared is not None:
                    output.dtype = output.dtype or declared.dtype
                    of = declared.with_places(of) if shared else of  # noqa: PLW2901
                    of = declared.filled(of)  # noqa: PLW2901
            output.shape = self._shape(node, index, output, of.shape, marks)
            if before is not None and differ(before, output.shape):
                self._changed.add(output)

    def _shape(
        self,
        node: Node,
        index: int,
        output: Tensor,
        shape: tuple[Dim | str | None, ...] | None,
        marks: dict[str, Dim],
    ) -> tuple[Dim | None, ...] | None:
        if shape is None:
            return None
        unknown = sum(dim is None or isinstance(dim, str) for dim in shape)
        dims: list[Dim | None] = []
        for axis, dim in enumerate(shape):
            if isinstance(dim, int | Expr):
                dims.append(dim)
                continue
            mark = dim if isinstance(dim, str) else None  # a damaged node may give anything
            if mark in marks:
                dims.append(marks[mark])
                continue
            place = f"{index or ''}_{axis}" if unknown > 1 else f"{index or ''}"
            named = self.named(output, axis, f"{node.name or node.op}_n{place}")
            if mark is not None:
                marks[mark] = named
            dims.append(named)
        return tuple(dims)

    def named(self, output: Tensor, axis: int, hint: str) -> Dim:
        """Return the symbol of a dim that depends on data; always the same one."""
        key = (output, axis)
        if key not in self._named:
            self._named[key] = self.names.fresh(hint)
        return self._named[key]

    def trips(self, node: Node) -> Dim:
        """Return the symbol of how often the body of ``node`` runs."""
        if node not in self._trips:
            self._trips[node] = self.names.fresh(f"n_{node.op}_{len(self._trips)}")
        return self._trips[node]


def _is_corrected(node: Node) -> bool:
    return node.op in CORRECTED and not node.domain


def _ruled(node: Node) -> list[Found] | None:
    rules = {"": RULES, "com.microsoft": CONTRIB_RULES}.get(node.domain, {})
    rule = rules.get(node.op)
    if rule is None:
        return None
    try:
        shapes = rule(node)
    except (Unknown, TooComplex, ArithmeticError, TypeError, ValueError, IndexError):
        return None  # of damaged graphs, and of sizes that depend on data
    if isinstance(shapes, tuple):
        shapes = [shapes]
    for dim in (dim for shape in shapes for dim in shape):
        # Negative, or not even a number: an attribute is not what the operator takes.
        if not (dim is None or isinstance(dim, Expr) or (isinstance(dim, int) and dim >= 0)):
            return None
    return [Found(dtype_of(node, index), shape) for index, shape in enumerate(shapes)]
