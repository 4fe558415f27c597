"""What calls of a model's functions expand to, counted before anything is expanded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto

LABEL = 16
"""Characters of the name of an attribute that go into the names of what is in its subgraph."""

_NUMBER = 8
"""Characters for "/", and for "_2" where two calls have one name."""


class Key(NamedTuple):
    """What identifies a function."""

    domain: str
    name: str
    overload: str


def key_of(node: NodeProto) -> Key:
    """Return the function that ``node`` calls, if there is one."""
    return Key(domain_of(node.domain), node.op_type, node.overload)


def domain_of(domain: str) -> str:
    """Return ``domain`` by its usual name: "" for ai.onnx."""
    return "" if domain == "ai.onnx" else domain


def graphs_of(attribute: AttributeProto) -> list[GraphProto]:
    """Return the subgraphs in an attribute."""
    return [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def label(node: NodeProto, index: int) -> str:
    """Return the name of a node, made of its operator and its place if it has none."""
    return node.name or f"{node.op_type}_{index}"


class Size(NamedTuple):
    """What a call expands to.

    ``names``: how many names will start with the name of the call. ``calls``: calls inside one
    another, itself among them. ``levels``: subgraphs inside one another.
    """

    nodes: int
    names: int
    bytes: int
    calls: int = 0
    levels: int = 0

    def plus(self, inner: Size, prefix_bytes: int) -> Size:
        """Return the sum with ``inner``, whose names get ``prefix_bytes`` longer."""
        return Size(
            self.nodes + inner.nodes,
            self.names + inner.names,
            self.bytes + inner.bytes + inner.names * prefix_bytes,
            max(self.calls, inner.calls),
            max(self.levels, inner.levels),
        )


def sizes_of(functions: Mapping[Key, FunctionProto]) -> dict[Key, Size | None]:
    """Return the size of every function, each computed once; None if it calls itself."""
    sizes: dict[Key, Size | None] = {}
    for start in functions:
        stack, under_way = [start], set[Key]()
        while stack:
            key = stack[-1]
            if key in sizes:
                stack.pop()
                continue
            nodes = _all_nodes(functions[key].node)
            calls = {called for node, _ in nodes if (called := key_of(node)) in functions}
            missing = [each for each in calls if each not in sizes]
            under_way.add(key)
            if any(each in under_way for each in missing):
                sizes[key] = None
            elif missing:
                stack += missing
            else:
                sizes[key] = _size(functions[key].node, sizes)
                under_way.discard(key)
    return sizes


def prefix_bytes(call: NodeProto) -> int:
    """Return by how much the names in a call get longer, at most."""
    return len(label(call, 0)) + _NUMBER


def _size(nodes: Iterable[NodeProto], sizes: Mapping[Key, Size | None]) -> Size:
    total = Size(0, 0, 0)
    for node, level in _all_nodes(nodes):
        names = len(node.input) + len(node.output) + 1
        within = level * (LABEL + _NUMBER)
        inner = sizes.get(key_of(node))
        own = Size(0 if inner is not None else 1, names, node.ByteSize(), 0, level)
        total = total.plus(own, within)
        if inner is not None:
            inner = inner._replace(levels=inner.levels + level)
            total = total.plus(inner, within + prefix_bytes(node))
    return total._replace(calls=total.calls + 1)


def _all_nodes(nodes: Iterable[NodeProto]) -> Iterator[tuple[NodeProto, int]]:
    """Yield ``nodes`` and those of the subgraphs inside them, with how deep inside they are."""
    stack = [(node, 0) for node in nodes]
    while stack:
        node, level = stack.pop()
        yield node, level
        for attribute in node.attribute:
            for graph in graphs_of(attribute):
                stack += [(inner, level + 1) for inner in graph.node]
