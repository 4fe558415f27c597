"""ONNX → a torch.fx module of fixed shapes, by onnx2torch.

What depends on shapes alone is computed once, here: an exporter writes chains of Shape, Gather and
Concat in front of every Reshape, which a network written in torch does not have either.
"""

from __future__ import annotations

import importlib
import operator
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.errors import NotInstalled, OutOfMemory, Unsupported
from onnxbench.runtimes import _torch_operators
from onnxbench.runtimes._onnx_shapes import with_shapes
from onnxbench.runtimes._torch_fold import fold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BY_VALUE = ("NonZero", "NonMaxSuppression", "TopK", "Unique", "Compress")
"""Operators whose outputs' shapes may depend on values: with one of them, no shape is constant."""


class Converted:
    """A module that takes the inputs by position and returns its outputs as a tuple.

    ``inputs``: their names, in order; ``examples``: zeros for them. ``operators``: fx node → name
    and operator of its ONNX node.
    """

    def __init__(
        self,
        module: Any,
        inputs: Sequence[str],
        examples: list[Any],
        operators: Mapping[str, tuple[str, str]],
    ) -> None:
        self.module = module
        self.inputs = tuple(inputs)
        self.examples = examples
        self.operators = dict(operators)

    def counts(self) -> dict[str, int]:
        """Return nodes that run, by operator."""
        left = (node.name for node in self.module.graph.nodes)
        return dict(Counter(self.operators[name][1] for name in left if name in self.operators))


def convert(
    torch: Any, path: str, shapes: Mapping[str, Sequence[int]], outputs: Sequence[str]
) -> Converted:
    """Return the model in ``path`` for inputs of ``shapes``. Raises Unsupported, NotInstalled."""
    try:
        import onnx  # noqa: PLC0415 - of the runtime's environment

        from onnxbench.runtimes._torch_libraries import onnx2torch  # noqa: PLC0415
    except ImportError as error:
        raise NotInstalled(str(error), "onnxbench install torch") from error
    model = with_shapes(onnx, path, shapes)
    registry = importlib.import_module("onnx2torch.node_converters.registry")
    _torch_operators.prepare(onnx, registry, model)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in weights]
    makers = {name: node for node in model.graph.node for name in node.output if name}
    by_value = any(node.op_type in _BY_VALUE for node in model.graph.node)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a Resize may differ: the parity gate decides
            module = onnx2torch.convert(model, attach_onnx_mapping=True).eval()
            _flat_outputs(module, outputs)
            operators = _operators(module, makers)
            examples = _examples(torch, onnx, model, inputs)
            if not by_value:
                fold(torch, module, examples)
    except MemoryError as error:
        raise OutOfMemory(str(error), "raise --max-memory") from error
    except Exception as error:
        raise Unsupported(
            f"onnx2torch: {type(error).__name__}: {error}", "it cannot convert this model"
        ) from error
    return Converted(module, inputs, examples, operators)


def _examples(torch: Any, onnx: Any, model: Any, names: Sequence[str]) -> list[Any]:
    """Return a tensor of zeros per input; the shapes of the model are fixed."""
    types = {value.name: value.type.tensor_type for value in model.graph.input}
    return [
        torch.from_numpy(
            np.zeros(
                [dim.dim_value for dim in types[name].shape.dim],
                onnx.helper.tensor_dtype_to_np_dtype(types[name].elem_type),
            )
        )
        for name in names
    ]


def _operators(module: Any, makers: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return name and operator of the ONNX node behind each call of ``module``."""
    found = {}
    for node in module.graph.nodes:
        if node.op == "call_module":
            made = module.get_submodule(node.target).onnx_mapping.outputs
            source = makers[next(name for name in made if name)]
            found[node.name] = (source.name or source.output[0], source.op_type)
    return found


def _flat_outputs(module: Any, names: Sequence[str]) -> None:
    """Let ``module`` return a tuple with one tensor for each of ``names``."""
    made = {}
    for node in module.graph.nodes:
        if node.op == "call_module":
            outputs = module.get_submodule(node.target).onnx_mapping.outputs
            made.update({name: (node, index, len(outputs)) for index, name in enumerate(outputs)})
    (last,) = (node for node in module.graph.nodes if node.op == "output")
    flat = []
    with module.graph.inserting_before(last):
        for name in names:
            node, index, count = made[name]
            flat.append(
                module.graph.call_function(operator.getitem, (node, index)) if count > 1 else node
            )
    last.args = (tuple(flat),)
    module.recompile()
