"""Puts the bodies of a model's own functions where they are called (rule F3).

A file of a few kilobytes can describe a network of 2^100 nodes by functions that call one another,
or a chain of thousands of calls. What a call expands to is counted before it is expanded, and a
call that is too big or too deep stays as it is: an operator that nobody knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from onnxbench.graph.expansion import (
    LABEL,
    Key,
    Size,
    domain_of,
    graphs_of,
    key_of,
    label,
    prefix_bytes,
    sizes_of,
)
from onnxbench.graph.foreign import shown

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto

MAX_NODES = 250_000
"""Nodes that calls of functions may add to a model."""

MAX_BYTES = 128 * 1024 * 1024
"""Bytes of these nodes with the names that they get."""

MAX_CALLS = 100
"""Calls inside one another."""

MAX_LEVELS = 25
"""Subgraphs inside one another; protobuf's parsers take some thirty of them."""

FOREIGN_OPSET = "@"
"""Stands between domain and version of a node whose function imports another opset than the model
and means another operator by it: engines that know one version per model must not look at it."""


@dataclass(slots=True)
class Inlined:
    """What `inline` found.

    ``notes``: calls that were left as they are, and why. ``stored``: identity of the constants in
    bodies of functions, by the name of their value: copies of one stored tensor have the same.
    """

    notes: list[str] = field(default_factory=list)
    stored: dict[str, Hashable] = field(default_factory=dict)


def inline(model: ModelProto) -> Inlined:
    """Replace the calls of functions in ``model`` by nodes, and remove the functions."""
    inliner = _Inliner(model)
    if model.functions:
        inliner.graph(model.graph)
        del model.functions[:]
    return inliner.found


class _Bound(NamedTuple):
    """An attribute that a call gives, and what tells its tensor from others."""

    attribute: AttributeProto
    stored: Hashable


@dataclass(slots=True)
class _Scope:
    """Where nodes are copied to: the body of a function at one call, or a subgraph in it.

    ``names``: what names in the body mean there. ``path``: what identifies it in the file.
    """

    prefix: str
    path: tuple[Hashable, ...]
    names: dict[str, str]
    bound: Mapping[str, _Bound]
    versions: Mapping[str, int]
    call: NodeProto
    outer: _Scope | None = None

    def find(self, name: str) -> str | None:
        """Return what ``name`` means, None if it has no meaning yet."""
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return None


class _Inliner:
    """One pass over a model."""

    def __init__(self, model: ModelProto) -> None:
        self.found = Inlined()
        self._model = model
        self._functions = {
            Key(domain_of(each.domain), each.name, each.overload): each for each in model.functions
        }
        self._sizes = sizes_of(self._functions)
        self._spent = Size(0, 0, 0)
        self._opset = {domain_of(each.domain): each.version for each in model.opset_import}
        self._prefixes: set[str] = set()
        self._left: set[Key] = set()

    def graph(self, graph: GraphProto, level: int = 0) -> None:
        """Expand the calls in a graph of the model, and in its subgraphs."""
        nodes: list[NodeProto] = []
        for index, node in enumerate(graph.node):
            for attribute in node.attribute:
                for inner in graphs_of(attribute):
                    self.graph(inner, level + 1)
            function = self._functions.get(key_of(node))
            if function is None or not self._affordable(node, level):
                nodes.append(node)
            else:
                prefix = self._prefix(label(node, index))
                bound = {each.name: _Bound(each, (prefix, each.name)) for each in node.attribute}
                nodes += self._body(function, node, bound, prefix)
        _replace(graph.node, nodes)

    def _affordable(self, call: NodeProto, level: int) -> bool:
        """Tell whether a call of the model may be expanded, and count what it adds if so."""
        size = self._sizes[key_of(call)]
        if size is None:
            self._leave(call, "calls itself")
            return False
        if size.calls > MAX_CALLS or level + size.levels > MAX_LEVELS:
            self._leave(call, f"is {size.calls:,} calls and {size.levels:,} subgraphs deep")
            return False
        spent = self._spent.plus(size, prefix_bytes(call))
        if spent.nodes > MAX_NODES or spent.bytes > MAX_BYTES:
            self._leave(call, f"would expand to {size.nodes:,} nodes")
            return False
        self._spent = spent
        return True

    def _leave(self, call: NodeProto, why: str) -> None:
        if key_of(call) not in self._left:
            self._left.add(key_of(call))
            self.found.notes.append(f"function {shown(call.op_type)} {why}: calls are left alone")

    def _prefix(self, base: str) -> str:
        """Return a name for a call that no other call has."""
        prefix, count = base, 1
        while prefix in self._prefixes:
            count += 1
            prefix = f"{base}_{count}"
        self._prefixes.add(prefix)
        return prefix

    def _body(
        self,
        function: FunctionProto,
        call: NodeProto,
        bound: Mapping[str, _Bound],
        prefix: str,
    ) -> Iterator[NodeProto]:
        """Yield the nodes of ``function`` as ``call`` runs them."""
        from onnx.helper import make_node  # noqa: PLC0415

        key = key_of(call)
        defaults = {each.name: _Bound(each, (key, each.name)) for each in function.attribute_proto}
        names = {"": ""}
        for index, name in enumerate(function.input):
            names[name] = call.input[index] if index < len(call.input) else ""
        aliases: list[tuple[str, str]] = []
        for name, result in zip(function.output, call.output, strict=False):
            if result and name in names:  # an input handed through, or a value under two names
                aliases.append((names[name], result))
            elif result:
                names[name] = result
        versions = self._foreign_versions(function)
        scope = _Scope(prefix, (key,), names, {**defaults, **bound}, versions, call)
        yield from self._nodes(function.node, scope)
        for source, result in aliases:
            yield make_node("Identity", [source], [result], f"{prefix}/Identity")

    def _nodes(self, nodes: Iterable[NodeProto], scope: _Scope) -> Iterator[NodeProto]:
        """Yield ``nodes`` with the names and attributes of the call, calls in them expanded."""
        for index, node in enumerate(nodes):
            copied = self._copied(node, scope, index)
            function = self._functions.get(key_of(node))
            if function is None:
                yield copied
            elif self._sizes[key_of(node)] is None:
                self._leave(node, "calls itself")
                yield copied
            else:
                stored = _origins(node, scope, index)
                bound = {each.name: _Bound(each, stored[each.name]) for each in copied.attribute}
                prefix = self._prefix(copied.name)
                yield from self._body(function, copied, bound, prefix)

    def _foreign_versions(self, function: FunctionProto) -> dict[str, int]:
        """Return the opset versions in which ``function`` differs from the model, by domain."""
        versions = {}
        for each in function.opset_import:
            domain = domain_of(each.domain)
            if domain not in self._opset:
                self._opset[domain] = each.version
                self._model.opset_import.add(domain=domain, version=each.version)
            elif self._opset[domain] != each.version:
                versions[domain] = each.version
        return versions

    def _copied(self, node: NodeProto, scope: _Scope, index: int) -> NodeProto:
        copied = type(node)()
        copied.CopyFrom(node)
        copied.ClearField("doc_string")
        copied.name = f"{scope.prefix}/{label(node, index)}"
        copied.input[:] = [_name(name, scope) for name in node.input]
        copied.output[:] = [_name(name, scope) for name in node.output]
        domain = domain_of(node.domain)
        version = scope.versions.get(domain)
        if version is not None and _differ(node.op_type, domain, version, self._opset[domain]):
            copied.domain = f"{domain}{FOREIGN_OPSET}{version}"
            if copied.domain not in self._opset:
                self._opset[copied.domain] = 1
                self._model.opset_import.add(domain=copied.domain, version=1)
        self._bind(copied, scope, index)
        if copied.op_type == "Constant" and copied.output and not domain:
            for stored in _origins(node, scope, index).values():
                self.found.stored[copied.output[0]] = stored
        own = {entry.key for entry in node.metadata_props}
        for entry in scope.call.metadata_props:  # what is around the call is around its nodes
            if entry.key not in own:
                copied.metadata_props.add(key=entry.key, value=entry.value)
        return copied

    def _bind(self, copied: NodeProto, scope: _Scope, index: int) -> None:
        """Give ``copied`` the attributes of the call, and its subgraphs names of their own."""
        attributes = []
        for attribute in copied.attribute:
            if attribute.ref_attr_name:
                given = scope.bound.get(attribute.ref_attr_name)
                if given is None:
                    continue  # nobody gives it: the operator has a default
                resolved = type(attribute)()
                resolved.CopyFrom(given.attribute)
                resolved.name = attribute.name
                attributes.append(resolved)
            else:
                for number, graph in enumerate(graphs_of(attribute)):
                    self._subgraph(graph, scope, (index, attribute.name, number))
                attributes.append(attribute)
        _replace(copied.attribute, attributes)

    def _subgraph(self, graph: GraphProto, outer: _Scope, place: tuple[int, str, int]) -> None:
        """Rename what a subgraph in a body defines and uses, and expand the calls in it."""
        prefix = self._prefix(f"{outer.prefix}/{place[1][:LABEL]}")
        scope = _Scope(
            prefix, (*outer.path, *place), {}, outer.bound, outer.versions, outer.call,
            outer,
        )  # fmt: skip
        tensors: list[Any] = [
            *graph.initializer,
            *(each.values for each in graph.sparse_initializer),
        ]
        defined = [each.name for each in (*graph.input, *tensors)]
        defined += [name for node in graph.node for name in node.output if name]
        scope.names.update((name, f"{prefix}/{name}") for name in defined)
        for tensor in tensors:
            self.found.stored[scope.names[tensor.name]] = (*scope.path, tensor.name)
            tensor.name = scope.names[tensor.name]
        for value in (*graph.input, *graph.output):
            value.name = _name(value.name, scope)
        del graph.value_info[:]
        _replace(graph.node, list(self._nodes(graph.node, scope)))


def _name(name: str, scope: _Scope) -> str:
    """Return what ``name`` means in ``scope``; in a function's body it may come to mean itself."""
    found = scope.find(name)
    if found is None:
        body = scope
        while body.outer is not None:
            body = body.outer
        found = body.names[name] = f"{body.prefix}/{name}"
    return found


def _origins(node: NodeProto, scope: _Scope, index: int) -> dict[str, Hashable]:
    """Return what tells the attributes of ``node`` from others, whoever gives them."""
    origins: dict[str, Hashable] = {}
    for each in node.attribute:
        given = scope.bound.get(each.ref_attr_name)
        origins[each.name] = given.stored if given else (*scope.path, index, each.name)
    return origins


def _replace(field_: Any, messages: Sequence[Any]) -> None:
    """Make ``messages``, some of which may be in it, the content of a repeated field."""
    if len(messages) == len(field_) and all(
        new is old for new, old in zip(messages, field_, strict=True)
    ):
        return
    del field_[:]
    field_.extend(messages)


def _differ(op_type: str, domain: str, version: int, other: int) -> bool:
    """Tell whether an operator means different things in two versions of its domain."""
    from onnx.defs import SchemaError, get_schema  # noqa: PLC0415

    try:
        one, two = (get_schema(op_type, each, domain) for each in (version, other))
    except SchemaError:
        return True
    return bool(one.since_version != two.since_version)
