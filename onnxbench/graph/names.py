"""Checks that the values of a model are defined once and before they are needed.

`onnx.checker` is not used for that: it reads tensor payloads, which are not there, refuses graphs
that are merely unsorted, which runtimes take, and works on names of any length.
"""

from __future__ import annotations

import graphlib
from typing import TYPE_CHECKING

from onnxbench.errors import RefusedInput
from onnxbench.graph.foreign import require_text, shown

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from onnxbench.graph.scopes import Scope

_HINT = "the exporter wrote an invalid graph; export it anew"


def check_names(all_scopes: Sequence[Scope]) -> bool:
    """Return whether all nodes, subgraphs apart, stand behind those that make what they read.

    ``all_scopes`` as `onnxbench.graph.scopes.scopes` gives them, outer before inner. Raises
    RefusedInput: ``duplicate-name``, ``undefined-name`` or ``cycle``.
    """
    defined: dict[Scope, Container[str]] = {}
    in_doubt: dict[Scope, dict[str, int]] = {}
    for scope in all_scopes:
        if scope.inference:
            names = _names_in_order(scope)
            if names is None:
                in_doubt[scope] = _definitions(scope)
            defined[scope] = in_doubt[scope] if names is None else names
    for scope, own in in_doubt.items():
        _check_uses(scope, own, defined)
    return not in_doubt


def _names_in_order(scope: Scope) -> set[str] | None:
    """Return the names that ``scope`` defines, if all is defined once and before it is used.

    That is nearly every scope, and quickly seen. None: something is to be looked at closely.
    """
    inputs = scope.inputs
    names = {"", *inputs, *scope.initializers}
    if len(set(inputs)) < len(inputs):
        return None
    expected = len(names)
    for node in scope.nodes:
        if not names.issuperset(node.input):
            return None
        made = node.output[:]
        names.update(made)
        expected += len(made)
    if len(names) < expected or not names.issuperset(scope.outputs):
        return None
    require_text(*names)
    return names


def _definitions(scope: Scope) -> dict[str, int]:
    """Return each name that ``scope`` defines with the index of the node that does, or -1."""
    require_text(*scope.inputs, *scope.outputs, *scope.initializers)
    names: dict[str, int] = {}
    for name in scope.inputs:
        if name in names:
            raise _duplicate(name, scope)
        names[name] = -1
    for name in scope.initializers:  # an initializer may be the default of an input
        names[name] = -1
    for index, node in enumerate(scope.nodes):
        for name in node.output:
            if name in names:
                raise _duplicate(name, scope)
            if name:
                names[name] = index
    require_text(*names)
    return names


def _check_uses(scope: Scope, own: dict[str, int], defined: Mapping[Scope, Container[str]]) -> None:
    late: dict[int, list[int]] = {}
    for index, node in enumerate(scope.nodes):
        for name in node.input:
            producer = own.get(name)
            if producer is None:
                require_text(name)
                if name and not _is_visible(name, scope.outer, defined):
                    who = f"node {shown(node.name or node.op_type)} in {scope.where}"
                    raise _undefined(name, who)
            elif producer >= index:
                late.setdefault(index, []).append(producer)
    for name in scope.outputs:
        if not _is_visible(name, scope, defined):
            raise _undefined(name, f"the list of outputs of {scope.where}")
    if late:
        _check_cycle(scope, own)


def _is_visible(name: str, scope: Scope | None, defined: Mapping[Scope, Container[str]]) -> bool:
    while scope is not None:
        if name in defined[scope]:
            return True
        scope = scope.outer
    return False


def _check_cycle(scope: Scope, own: dict[str, int]) -> None:
    """Raise RefusedInput ``cycle`` unless the nodes, which are not in order, can be ordered."""
    order = graphlib.TopologicalSorter(
        {
            index: {own[name] for name in node.input if own.get(name, -1) >= 0}
            for index, node in enumerate(scope.nodes)
        }
    )
    try:
        order.prepare()
    except graphlib.CycleError as error:
        cycle = error.args[1]
        first = scope.nodes[cycle[0]]
        raise RefusedInput(
            "cycle",
            f"{len(cycle) - 1} nodes of {scope.where} wait for one another, "
            f"among them {shown(first.name or first.op_type)}",
            _HINT,
        ) from None


def _duplicate(name: str, scope: Scope) -> RefusedInput:
    return RefusedInput("duplicate-name", f"{scope.where} defines {shown(name)} twice", _HINT)


def _undefined(name: str, who: str) -> RefusedInput:
    return RefusedInput("undefined-name", f"{who} uses {shown(name)}, which nothing defines", _HINT)
