"""From the graph that torch wrote to the file: optimised, free of the machine it was made on."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from onnxbench.sources import DATA_FILE, INSIDE_BYTES, MODEL_FILE

if TYPE_CHECKING:
    from pathlib import Path

_SCOPES = "pkg.torch.onnx.name_scopes"
"""Modules around a node: what ``analyze --by module`` reads. All else that torch notes, stack
traces with paths above all, differs between machines or says nothing of the network."""
_FOLDED_INTO = ("Conv", "ConvTranspose", "Gemm")


def optimise_keeping_batch_norm(model: Any) -> None:
    """Fold constants and drop dead nodes as torch's exporter does, but fold no BatchNormalization
    into the layer before it."""
    passes = import_module("onnx_ir.passes").PassManager
    common = import_module("onnx_ir.passes.common")
    rewriter = import_module("onnxscript.rewriter")
    folding = import_module("onnxscript.optimizer").fold_constants_ir
    batch_norm = import_module("onnxscript.rewriter.rules.common._fuse_batchnorm")
    excluded = {id(rule) for rule in batch_norm.rules}
    every = rewriter._DEFAULT_REWRITE_RULES  # noqa: SLF001 - there is no other way to them
    rules = [rule for rule in every if id(rule) not in excluded]
    common.InlinePass()(model)
    for _ in range(2):  # as often as onnxscript.optimizer.optimize_ir
        folding(model)
        rewriter.RewritePass(rules)(model)
        common.RemoveUnusedNodesPass()(model)
    passes(
        [
            common.RemoveUnusedFunctionsPass(),
            common.RemoveUnusedOpsetsPass(),
            common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
            common.LiftSubgraphInitializersToMainGraphPass(),
            common.DeduplicateInitializersPass(),
            common.CommonSubexpressionEliminationPass(),
            common.OutputFixPass(),
            common.NameFixPass(),
        ]
    )(model)


def save(model: Any, folder: Path) -> None:
    """Write ``model``, without anything that would differ the next time."""
    ir = import_module("onnx_ir")
    _strip(model)
    weights = [value.const_value for value in model.graph.initializers.values()]
    outside = sum(each.nbytes for each in weights if each is not None) > INSIDE_BYTES
    ir.save(model, folder / MODEL_FILE, external_data=DATA_FILE if outside else None)


def _strip(model: Any) -> None:
    model.metadata_props.clear()
    model.doc_string = None
    for graph in (model.graph, *(each.graph for each in model.functions.values())):
        graph.metadata_props.clear()
        graph.doc_string = None
        for value in (*graph.inputs, *graph.initializers.values()):
            _strip_value(value)
        for node in graph.all_nodes():
            scopes = _scopes(node)
            node.metadata_props.clear()
            if scopes is not None:
                node.metadata_props[_SCOPES] = scopes
            node.doc_string = None
            for value in node.outputs:
                _strip_value(value)


def _scopes(node: Any) -> str | None:
    """Return the modules around ``node``, outermost first, as torch writes them."""
    scopes: str | None = node.metadata_props.get(_SCOPES)
    weight = node.inputs[1].name if len(node.inputs) > 1 and node.inputs[1] is not None else ""
    if scopes is None or "batch_norm" not in scopes or not weight.endswith(".weight"):
        return scopes
    if node.op_type not in _FOLDED_INTO:
        return scopes
    # Folding passes the normalisation's place on to the layer that it is folded into.
    levels = weight.split(".")[:-1]
    path = [".".join(levels[: depth + 1]) for depth in range(len(levels))]
    return repr(["", *path, node.op_type.lower()])


def _strip_value(value: Any) -> None:
    value.metadata_props.clear()
    value.doc_string = None
