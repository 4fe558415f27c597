"""Computes, once, what a torch.fx module of fixed shapes computes from shapes and weights alone."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from onnxbench.runtimes._torch_fixed import fixed

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHAPE, _CONSTANT = "OnnxShape", "OnnxConstant"
"""Modules of onnx2torch, by class."""


def fold(torch: Any, module: Any, examples: Sequence[Any]) -> None:
    """Replace constant nodes of ``module`` by buffers, and constant arguments by numbers.

    ``examples``: a tensor per input. No output's shape may depend on values.
    """
    values = _constants(torch, module, examples)
    graph = module.graph
    for node in list(graph.nodes):
        if node not in values or node.op == "get_attr":
            continue
        readers = [user for user in node.users if user not in values]
        if not readers or not isinstance(values[node], torch.Tensor):
            continue
        name = f"folded_{node.name}"
        module.register_buffer(name, values[node])
        with graph.inserting_before(node):
            constant = graph.get_attr(name)
        values[constant] = values[node]
        node.replace_all_uses_with(constant, delete_user_cb=readers.__contains__)
    for node in list(graph.nodes):
        constants = node.args[1:]
        if node.op == "call_module" and constants and all(each in values for each in constants):
            known = [values[each] for each in constants]
            replacement = fixed(torch, module.get_submodule(node.target), known)
            if replacement is not None and not node.kwargs:
                module.set_submodule(node.target, replacement)
                node.args = node.args[:1]
    graph.eliminate_dead_code()
    _drop_unused(module)
    graph.lint()
    module.recompile()


def _constants(torch: Any, module: Any, examples: Sequence[Any]) -> dict[Any, Any]:
    """Return the values of all nodes that depend on no input."""
    found: dict[Any, Any] = {}

    class Recorder(torch.fx.Interpreter):  # type: ignore[misc]
        def run_node(self, node: Any) -> Any:
            value = super().run_node(node)
            if _is_constant(module, node, found):
                found[node] = value
            return value

    with torch.no_grad():
        Recorder(module).run(*examples)
    return found


def _is_constant(module: Any, node: Any, known: dict[Any, Any]) -> bool:
    if node.op in ("placeholder", "output"):
        return False
    if node.op == "get_attr" or _kind(module, node) in (_SHAPE, _CONSTANT):
        return True
    return all(source in known for source in node.all_input_nodes) and (
        node.op == "call_module" or node.target is operator.getitem
    )


def _kind(module: Any, node: Any) -> str:
    is_call = node.op == "call_module"
    return type(module.get_submodule(node.target)).__name__ if is_call else ""


def _drop_unused(module: Any) -> None:
    """Drop modules and weights that nothing reads any more: the copies would count as memory."""
    used = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    module.delete_all_unused_submodules()
    for owner, prefix in ((module, ""), (getattr(module, "initializers", None), "initializers.")):
        for name in (
            [] if owner is None else [name for name, _ in owner.named_buffers(recurse=False)]
        ):
            if prefix + name not in used:
                delattr(owner, name)
