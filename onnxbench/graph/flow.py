"""Shapes through If, Loop, Scan and their kin: subgraphs get the shapes of the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from onnxbench.graph.control import constant_scalar, runs_to_the_limit, scan_length, trip_limit
from onnxbench.graph.dims import Expr
from onnxbench.graph.engines import NOTHING, Found, type_of
from onnxbench.graph.network import Unknown
from onnxbench.graph.values import elements

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onnxbench.graph.dims import Dim
    from onnxbench.graph.network import Graph, Node, Tensor
    from onnxbench.graph.settle import Settler

    Shape = tuple[Dim | None, ...]

_ATTEMPTS = 3
_BOOL, _INT64, _FLOAT, _DOUBLE = 9, 7, 1, 11
_FIRST_OPSET_WITHOUT_BATCH = 9
MAX_VISITS = 2_000_000
"""Nodes looked at in one model; beyond it, what a loop carries is unknown without another look."""


def _if(settler: Settler, node: Node) -> list[Found]:
    """Settle both branches; the outputs are what these agree on, or those of the one taken."""
    branches = [node.graphs[name] for name in ("then_branch", "else_branch") if name in node.graphs]
    for branch in branches:
        settler.inside(branch)
    condition = constant_scalar(node.optional(0))
    if condition is not None and len(branches) == 2:
        branches = [branches[0 if condition else 1]]
        for output, result in zip(node.outputs, branches[0].outputs, strict=False):
            if output is not None:
                output.value, output.formulas = result.value, result.formulas
    found = []
    for index in range(len(node.outputs)):
        results = [branch.outputs[index] for branch in branches if index < len(branch.outputs)]
        found.append(_common(results) if len(results) == len(branches) else NOTHING)
    return found


def _common(results: Sequence[Tensor]) -> Found:
    """Return what holds for all ``results``."""
    if not results:
        return NOTHING
    first = results[0]
    shapes = [each.shape for each in results]
    known = [shape for shape in shapes if shape is not None]
    shape: Shape | None = None
    if len(known) == len(shapes) and len({len(each) for each in known}) == 1:
        shape = tuple(
            column[0] if len(set(column)) == 1 else None for column in zip(*known, strict=True)
        )
    return Found(next((each.dtype for each in results if each.dtype), 0), shape, first.type)


def _loop(settler: Settler, node: Node) -> list[Found]:
    body = node.graphs.get("body")
    if body is None:
        return [NOTHING] * len(node.outputs)
    for tensor, dtype in zip(body.inputs[:2], (_INT64, _BOOL), strict=False):
        tensor.dtype, tensor.shape = dtype, ()
    carried = _carry(settler, node, body, node.inputs[2:], body.inputs[2:], 1)
    exact = _count_trips(settler, node)
    scanned = [_grown(each, 0, exact) for each in body.outputs[1 + len(carried) :]]
    return _cut(node, carried + scanned)


def _count_trips(settler: Settler, node: Node) -> Dim | None:
    """Set how often the body of a Loop runs; return it if it is certain."""
    if constant_scalar(node.optional(1)) is False:
        node.trips = 0
        return 0
    node.trips = trip_limit(node)
    limit = elements(node.optional(0))
    if node.trips is None and limit is not None and limit.size == 1:
        first = limit.reshape(-1)[0]
        node.trips = first if isinstance(first, Expr) else None
    if node.trips is None:
        node.trips = settler.trips(node)
        return node.trips
    return node.trips if runs_to_the_limit(node) else None


def _carry(
    settler: Settler,
    node: Node,
    body: Graph,
    first: Sequence[Tensor | None],
    inputs: Sequence[Tensor],
    skipped: int,
) -> list[Found]:
    """Settle ``body`` so that its state has one shape in all runs; return that of the state.

    A dim that changes from run to run is a symbol inside and unknown outside. ``skipped``: outputs
    of the body before its state.
    """
    varying: set[tuple[int, int]] = set()
    shapes = [None if each is None else each.shape for each in first]
    for attempt in range(_ATTEMPTS + 1):
        for tensor, given, shape in zip(inputs, first, shapes, strict=False):
            tensor.shape = shape
            if given is not None:
                tensor.dtype, tensor.type = given.dtype or tensor.dtype, given.type
        settler.inside(body)
        results = body.outputs[skipped : skipped + len(first)]
        changed = False
        for index, (shape, result) in enumerate(zip(shapes, results, strict=False)):
            widened = _widened(settler, node, inputs, index, shape, result.shape, varying)
            if widened != shape:
                spent = attempt >= _ATTEMPTS - 1 or settler.visits > MAX_VISITS
                shapes[index] = None if spent else widened
                changed = True
        if not changed:
            break
    node.varies = bool(varying)
    found = []
    for index, (shape, result) in enumerate(zip(shapes, results, strict=False)):
        kept = None
        if shape is not None:
            kept = tuple(
                None if (index, axis) in varying else dim for axis, dim in enumerate(shape)
            )
        found.append(Found(result.dtype, kept, result.type))
    return found


def _widened(
    settler: Settler,
    node: Node,
    inputs: Sequence[Tensor],
    index: int,
    shape: Shape | None,
    result: Shape | None,
    varying: set[tuple[int, int]],
) -> Shape | None:
    """Return ``shape`` with a symbol for each dim that a run of the body changes."""
    if shape is None or result is None or len(shape) != len(result):
        return None
    dims: list[Dim | None] = []
    for axis, (dim, after) in enumerate(zip(shape, result, strict=True)):
        if dim == after or (index, axis) in varying:
            dims.append(dim)
        elif index >= len(inputs):
            dims.append(None)
        else:
            varying.add((index, axis))
            hint = f"{node.name or node.op}_{inputs[index].name}_{axis}"
            dims.append(settler.named(inputs[index], axis, hint))
    return tuple(dims)


def _scan(settler: Settler, node: Node) -> list[Found]:
    body = node.graphs.get("body")
    count = int(node.attribute("num_scan_inputs", 0))
    batched = node.opset < _FIRST_OPSET_WITHOUT_BATCH  # [batch, length, …], lengths come first
    given = node.inputs[1:] if batched else node.inputs
    if body is None or not 0 < count <= len(given):
        return [NOTHING] * len(node.outputs)
    states = len(given) - count
    axes = list(node.attribute("scan_input_axes") or [0] * count)
    length: Dim | None = None
    for tensor, whole, axis in zip(body.inputs[states:], given[states:], axes, strict=False):
        tensor.shape = None
        if whole is not None:
            tensor.dtype = whole.dtype or tensor.dtype
            dims = None if whole.shape is None else list(whole.shape)
            place = 1 if batched else axis
            if dims is not None and -len(dims) <= place < len(dims):
                size = dims.pop(place)
                length = size if length is None else length
                tensor.shape = tuple(dims[1:] if batched else dims)
    first = [_unbatched(each) if batched else each for each in given[:states]]
    carried = _carry(settler, node, body, first, body.inputs[:states], 0)
    try:
        node.trips = scan_length(node)
    except Unknown:
        node.trips = settler.trips(node)
    if length is None and not batched:
        length = node.trips
    places = list(node.attribute("scan_output_axes") or [])
    places += [0] * (len(body.outputs) - states - len(places))
    scanned = [
        _grown(each, place, length)
        for each, place in zip(body.outputs[states:], places, strict=False)
    ]
    found = carried + scanned
    if batched:
        batch = next((each.shape[0] for each in given if each is not None and each.shape), None)
        found = [
            Found(each.dtype, None if each.shape is None else (batch, *each.shape))
            for each in found
        ]
    return _cut(node, found)


def _unbatched(tensor: Tensor | None) -> Tensor | None:
    """Return what one run of a Scan of opset 8 sees of a state."""
    from onnxbench.graph.network import Tensor as New  # noqa: PLC0415

    if tensor is None or not tensor.shape:
        return tensor
    return New(tensor.name, tensor.dtype, tensor.shape[1:])


def _sequence_map(settler: Settler, node: Node) -> list[Found]:
    body = node.graphs.get("body")
    if body is None:
        return [NOTHING] * len(node.outputs)
    for tensor, given in zip(body.inputs, node.inputs, strict=False):
        if given is not None and given.type is None:
            tensor.dtype, tensor.shape = given.dtype, given.shape
    settler.inside(body)
    source = node.inputs[0].producer if node.inputs and node.inputs[0] is not None else None
    if source is not None and source.op == "SequenceConstruct":
        node.trips = len(source.inputs)
    else:
        node.trips = settler.trips(node)
    found = []
    for result in body.outputs[: len(node.outputs)]:
        of = onnx.TypeProto()
        of.sequence_type.elem_type.CopyFrom(type_of(result.dtype, result.shape))
        found.append(Found(type=of))
    return _cut(node, found)


def _flex_attention(settler: Settler, node: Node) -> list[Found]:
    """Settle the subgraphs, which keep the shape of the scores: [B, heads, queries, keys]."""
    query, key, value = (node.input(index) for index in range(3))
    shapes = [each.shape for each in (query, key, value)]
    if any(shape is None or len(shape) != 4 for shape in shapes):
        return [NOTHING] * len(node.outputs)
    (*before, _), (_, _, keys, _), (*_, width) = (shape or () for shape in shapes)
    precise = query.dtype if query.dtype == _DOUBLE else _FLOAT
    for body in node.graphs.values():
        for tensor in body.inputs[:1]:
            tensor.dtype = int(node.attribute("softmax_precision", precise))
            tensor.shape = (*before, keys)
        settler.inside(body)
    return _cut(node, [Found(query.dtype, (*before, width))])


def _grown(tensor: Tensor, axis: int, length: Dim | None) -> Found:
    """Return the type of a stack of ``length`` results of a body."""
    if tensor.shape is None or not -len(tensor.shape) - 1 <= axis <= len(tensor.shape):
        return Found(tensor.dtype)
    dims = list(tensor.shape)
    dims.insert(axis if axis >= 0 else axis + len(dims) + 1, length)
    return Found(tensor.dtype, tuple(dims))


def _cut(node: Node, found: list[Found]) -> list[Found]:
    return (found + [NOTHING] * len(node.outputs))[: len(node.outputs)]


FLOWS: Mapping[str, Callable[[Settler, Node], list[Found]]] = {
    "FlexAttention": _flex_attention,
    "If": _if,
    "Loop": _loop,
    "Scan": _scan,
    "SequenceMap": _sequence_map,
}
"""What settles a node with subgraphs and returns its outputs, by operator of the standard."""
