"""Adds up what the nodes of a graph cost, through branches, loops and function bodies.

Rules (F1 to F4 of the trap table in tests/graph/operators/probes.py): the body of a loop counts as
often as it runs, and where that is not known the number of runs is a symbol, never 0 or 1; of an
If the costlier branch counts; a standard operator without a row is counted by its function body at
the shapes of the call; what cannot be counted is unknown, with a reason, and is in no total.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from onnxbench.graph.control import constant_scalar, runs_to_the_limit, trip_limit
from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import TooComplex, maximum, minimum
from onnxbench.graph.formulas import evaluate, symbols
from onnxbench.graph.modules import module_path
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.table import TABLE
from onnxbench.graph.precision import precision
from onnxbench.graph.profile import NodeProfile
from onnxbench.graph.shapes import expand
from onnxbench.graph.totals import Total, total
from onnxbench.graph.traffic import bytes_read, bytes_written, stored, whole_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Graph, Node, Tensor
    from onnxbench.graph.operators.row import Operator
    from onnxbench.graph.profile import Convention, NodeStatus


@dataclass(slots=True)
class Account:
    """Nodes with their cost, in the order in which they run; those of a subgraph follow its node.

    ``macts``: output elements of the contraction operators. ``preparation``: MACs of arithmetic on
    constants, which a runtime does once; the rows hold them only in a convention other than pure.
    ``weights_read``: bytes of each stored constant that one inference reads, however many use it.
    """

    nodes: list[NodeProfile] = field(default_factory=list)
    macts: Total = field(default_factory=Total)
    preparation: Total = field(default_factory=Total)
    weights_read: dict[Hashable, Count] = field(default_factory=dict)


def account(
    graph: Graph,
    convention: Convention = "pure",
    weights: Mapping[Node, tuple[int, int]] | None = None,
) -> Account:
    """Return the cost of every node of ``graph``.

    ``weights``: elements and bytes of the parameters that a node is the first to use.
    """
    book = _Book(convention, weights or {})
    book.graph(graph, "", 1)
    return book.account


_UNCOUNTABLE = (
    Unknown, TooComplex, ArithmeticError, AttributeError, LookupError, TypeError, ValueError
)  # fmt: skip
"""What a rule raises: something is not known, or a stranger's node is not what its operator says
(an attribute of another type, an axis outside the shape). The node is unknown then."""


class _Figures(NamedTuple):
    """What one run of a node adds to the totals; ``macs`` in the convention asked for."""

    macs: Count = 0
    macs_least: Count = 0
    flops: Count = 0
    flops_least: Count = 0
    transcendentals: Count = 0


class _Book:
    """One accounting under way."""

    def __init__(self, convention: Convention, weights: Mapping[Node, tuple[int, int]]) -> None:
        self.account = Account()
        self._convention = convention
        self._weights = weights

    def graph(self, graph: Graph, where: str, times: Count) -> None:
        """Enter the nodes of ``graph``, each of which runs ``times``."""
        for node in graph.nodes:
            enter_control = _CONTROL.get(node.op) if node.graphs and not node.domain else None
            if enter_control is not None:
                enter_control(self, node, where, times)
            elif is_preparation(node):
                self._preparation(node, where, times)
            else:
                self._plain(node, where, times)

    def _preparation(self, node: Node, where: str, times: Count) -> None:
        """Enter arithmetic on constants: no work at run time, but tools that run modules see it."""
        figures, note = _Figures(), "computed before the first inference"
        row = TABLE.get((node.domain, node.op))
        if row is not None:
            with suppress(*_UNCOUNTABLE):
                macs = self._figures(node, row, row.rule(node)).macs
                self.account.preparation.add(macs)
                if self._convention != "pure":
                    figures = _Figures(macs, macs)
        self._enter(node, where, times, "constant", _NOTHING, figures, note)

    def _plain(self, node: Node, where: str, times: Count) -> None:
        row = TABLE.get((node.domain, node.op))
        kind = row.kind if row is not None else "function"
        try:
            cost = row.rule(node) if row is not None else self._expanded(node)
            figures = self._figures(node, row, cost)
        except _UNCOUNTABLE as error:
            self._enter(node, where, times, kind, Cost(), None, _why(error))
            return
        if kind == "contraction":
            self._note_activations(node, times)
        self._enter(node, where, times, kind, cost, figures, cost.note)

    def _note_activations(self, node: Node, times: Count) -> None:
        made = next((each for each in node.outputs if each is not None), None)
        if made is not None:
            with suppress(Unknown):  # an open shape behind a node does not unmake its count
                self.account.macts.add(made.elements * times)

    def _figures(self, node: Node, row: Operator | None, cost: Cost) -> _Figures:
        flops = 2 * cost.macs + cost.flops
        macs, least, least_flops = cost.macs, cost.macs, flops
        if cost.least is not None:
            least, least_flops = cost.least[0], 2 * cost.least[0] + cost.least[1]
        tally = None
        if row is not None and self._convention != "pure":
            tally = row.fvcore if self._convention == "fvcore" else row.paddle
        if tally is not None:
            macs = least = tally(node)
        return _Figures(macs, least, flops, least_flops, cost.transcendentals)

    def _enter(
        self,
        node: Node,
        where: str,
        times: Count,
        kind: str,
        cost: Cost,
        figures: _Figures | None,
        reason: str,
    ) -> None:
        """Append the row of ``node``; without ``figures`` it is unknown."""
        status: NodeStatus = "unknown"
        if figures is not None:
            known = figures.macs == figures.macs_least and figures.flops == figures.flops_least
            status = "exact" if known and cost.least is None else "bounded"
        scaled: Sequence[Count | None] = _UNKNOWN_FIGURES
        if figures is not None:
            scaled = figures if times == 1 else [each * times for each in figures]
        macs, macs_least, flops, flops_least, transcendentals = scaled
        read: Count | None = 0
        written: Count | None = 0
        if kind not in {"constant", "control"}:
            read = self._read(node, cost, kind, times, counted=figures is not None)
            written = _bytes(bytes_written, node, cost, kind, times)
        outputs = [each for each in node.outputs if each is not None]
        names = tuple([each.name for each in outputs])
        params, weight_bytes = self._weights.get(node, (0, 0))
        self.account.nodes.append(
            NodeProfile(
                node.name or (names[0] if names else ""),
                node.op,
                node.domain,
                kind,
                module_path(node),
                where,
                times,
                macs,
                macs_least,
                flops,
                flops_least,
                transcendentals,
                params,
                weight_bytes,
                read,
                written,
                precision(node, cost) if figures is not None and cost.macs != 0 else "",
                status,
                reason,
                tuple([None if each is None else each.shape for each in node.outputs]),
                tuple([x.name for x in node.inputs if x is not None and not x.constant]),
                names,
            )
        )

    def _read(
        self, node: Node, cost: Cost, kind: str, times: Count, *, counted: bool
    ) -> Count | None:
        """Return the bytes that ``node`` reads; note the weights among them if it is counted."""
        if cost.bytes_read is None and kind != "view" and times == 1:
            try:  # both at one go, if all is known
                found, weights = whole_inputs(node)
            except (Unknown, TooComplex):
                pass
            else:
                for each, size in weights if counted else ():
                    self.account.weights_read[_object(each)] = size
                return found
        if counted and kind != "view":
            _note_weights(self.account.weights_read, node, cost)
        return _bytes(bytes_read, node, cost, kind, times)

    # ---------------------------------------------------------------------------- control flow

    def if_(self, node: Node, where: str, times: Count) -> None:
        """Count the branch that a constant condition takes, else the costlier one (F2).

        A branch that is never taken is not listed. Where either may be, the row of the If itself
        holds what the costlier one has beyond the one that is listed with its cost, so that the
        rows always add up to the total.
        """
        condition = constant_scalar(node.optional(0))
        names: list[str] = [name for name in _BRANCHES if name in node.graphs]
        inside = {name: self._inside(node.graphs[name], _within(where, node, name))
                  for name in names}  # fmt: skip
        sums = {name: _sums(inside[name].nodes) for name in names}
        if condition is not None or len(names) < 2:
            taken = "then_branch" if condition else "else_branch"
            figures, note = _Figures(), f"its condition is constant: {taken}"
        else:
            then, other = sums["then_branch"], sums["else_branch"]
            taken = "else_branch" if _exceeds(other, then) else "then_branch"
            figures = _Figures(
                maximum(then.macs, other.macs) - sums[taken].macs,
                minimum(then.macs_least, other.macs_least) - sums[taken].macs_least,
                maximum(then.flops, other.flops) - sums[taken].flops,
                minimum(then.flops_least, other.flops_least) - sums[taken].flops_least,
            )
            note = f"MACs: {then.macs} then, {other.macs} else; the costlier branch counts"
        self._enter(node, where, times, "control", _NOTHING, figures, note)
        for name in names:
            if name == taken or condition is None:
                self._take_over(inside[name], times if name == taken else 0)

    def loop(self, node: Node, where: str, times: Count) -> None:
        """Count the body of a Loop as often as it runs: a constant, or a formula (F1)."""
        limit = node.optional(0)
        told = trip_limit(node) is not None or (limit is not None and limit.formulas is not None)
        self._body(node, where, times, sure=not told or runs_to_the_limit(node))

    def repeat(self, node: Node, where: str, times: Count) -> None:
        """Count the body of a Scan or SequenceMap once for each element it goes through (F1)."""
        self._body(node, where, times, sure=True)

    def _body(self, node: Node, where: str, times: Count, *, sure: bool) -> None:
        body, runs = node.graphs.get("body"), node.trips
        if body is None or runs is None:
            why = f"how often {node.op} runs its body is not known"
            self._enter(node, where, times, "control", _NOTHING, None, why)
            return
        inside = self._inside(body, _within(where, node, "body"))
        figures, note = _Figures(), f"runs {runs} times"
        if not sure:  # its condition may stop it before the first run
            whole = _sums(inside.nodes)
            figures = _Figures(
                macs_least=whole.macs_least * runs * -1, flops_least=whole.flops_least * runs * -1
            )
            note = f"runs at most {runs} times"
        if node.varies:
            note = "sizes in its body change from run to run; its rows stand for one of them"
        known = None if node.varies else figures
        self._enter(node, where, times, "control", _NOTHING, known, note)
        self._take_over(inside, times * runs)

    def _inside(self, graph: Graph, where: str) -> Account:
        """Return the account of a subgraph that runs once."""
        outer, self.account = self.account, Account(preparation=self.account.preparation)
        try:
            self.graph(graph, where, 1)
            return self.account
        finally:
            self.account = outer

    def _take_over(self, inside: Account, times: Count) -> None:
        self.account.nodes += [_scaled(each, times) for each in inside.nodes]
        self.account.macts.add(inside.macts.value() * times)
        if times != 0:
            self.account.weights_read |= inside.weights_read

    # -------------------------------------------------------------------------------- functions

    def _expanded(self, node: Node) -> Cost:
        """Return the cost of a standard operator by the nodes of its function body (F3)."""
        body = expand(node)
        if body is None:
            raise Unknown(f"no rule for the operator {node.domain or 'ai.onnx'}::{node.op}")
        book = _Book("pure", {})
        book.graph(body, "", 1)
        for each in book.account.nodes:
            if each.status == "unknown":
                raise Unknown(f"in its function body, {each.op}: {each.reason}")
        whole = _sums(book.account.nodes)
        return Cost(
            macs=whole.macs,
            flops=whole.flops - 2 * whole.macs,
            transcendentals=whole.transcendentals,
            note="counted by its function body",
        )


_UNKNOWN_FIGURES = (None,) * len(_Figures._fields)

_BRANCHES = ("then_branch", "else_branch")

_NOTHING = Cost(bytes_read=0, bytes_written=0)

_CONTROL: Mapping[str, Callable[[_Book, Node, str, Count], None]] = {
    "If": _Book.if_,
    "Loop": _Book.loop,
    "Scan": _Book.repeat,
    "SequenceMap": _Book.repeat,
}


def is_preparation(node: Node) -> bool:
    """Tell whether ``node`` computes constants alone, so that a runtime does it once (W6, Q1)."""
    constant = False
    for each in node.outputs:
        if each is not None:
            if not each.constant:
                return False
            constant = True
    return constant


def _sums(nodes: Sequence[NodeProfile]) -> _Figures:
    """Return the totals of ``nodes``, the unknown ones left out."""
    return _Figures(*(total(getattr(each, name) for each in nodes) for name in _Figures._fields))


def _exceeds(one: _Figures, other: _Figures) -> bool:
    """Tell whether ``one`` costs more; formulas are compared where every symbol is 1,000."""
    sizes = [tuple(_at(count, 1000) for count in (each.macs, each.flops)) for each in (one, other)]
    return sizes[0] > sizes[1]


def _at(count: Count, size: int) -> int:
    found = evaluate(count, dict.fromkeys(symbols(count), size))
    return found if isinstance(found, int) else 0


def _scaled(node: NodeProfile, times: Count) -> NodeProfile:
    if times == 1:
        return node
    names = ("times", *_Figures._fields, "bytes_read", "bytes_written")
    scaled: dict[str, Any] = {
        name: None if each is None else each * times
        for name in names
        for each in (getattr(node, name),)
    }
    return node._replace(**scaled)


def _within(where: str, node: Node, name: str) -> str:
    own = f"{node.name or node.op}/{name}"
    return f"{where}/{own}" if where else own


def _bytes(
    of: Callable[[Node, Cost, str], Count], node: Node, cost: Cost, kind: str, times: Count
) -> Count | None:
    try:
        found = of(node, cost, kind)
        return found if times == 1 else found * times
    except (Unknown, TooComplex):
        return None


def _note_weights(read: dict[Hashable, Count], node: Node, cost: Cost) -> None:
    """Add what ``node`` reads of its constants to ``read``; of a table, the rows it touches."""
    constants = {stored(each) for each in node.inputs if each is not None and each.constant}
    if not constants:
        return
    with suppress(Unknown, TooComplex):
        if cost.bytes_read is None:
            for each in constants:
                read[_object(each)] = each.bytes
            return
        others = (each for each in dict.fromkeys(node.inputs) if each and not each.constant)
        touched = cost.bytes_read - total(each.bytes for each in others)
        if len(constants) == 1 and isinstance(touched, int) and touched > 0:
            read.setdefault(_object(constants.pop()), touched)


def _object(tensor: Tensor) -> Hashable:
    """Return what is equal for tensors that are one stored object."""
    return tensor if tensor.stored is None else tensor.stored


def _why(error: Exception) -> str:
    if isinstance(error, Unknown):
        return str(error)
    if isinstance(error, TooComplex):
        return "its formula is too long"
    return f"its inputs or attributes are not what the operator takes ({type(error).__name__})"
