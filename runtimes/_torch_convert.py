"""ONNX → a torch.fx module of fixed shapes, by onnx2torch.

What depends on shapes alone is computed once, here: an exporter writes chains of Shape, Gather and
Concat in front of every Reshape, which a network written in torch does not have either.
"""

from __future__ import annotations

import importlib
import operator
import time
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.errors import NotInstalled, OutOfMemory, Unsupported
from onnxbench.runtimes import _torch_operators
from onnxbench.runtimes._onnx_shapes import with_shapes
from onnxbench.runtimes._torch_engine import Network
from onnxbench.runtimes._torch_fold import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_BY_VALUE = ("NonZero", "NonMaxSuppression", "TopK", "Unique", "Compress")
"""Operators whose outputs' shapes may depend on values: with one of them, no shape is constant."""

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "LSTM", "GRU", "RNN")


class Converted(Network):
    """A network that is one torch.fx module and returns a tuple.

    ``operators``: fx node → name and operator of its ONNX node.
    """

    def __init__(
        self,
        torch: Any,
        module: Any,
        inputs: Sequence[str],
        examples: list[Any],
        operators: Mapping[str, tuple[str, str]],
    ) -> None:
        super().__init__(torch, module, inputs, examples, {"module": "onnx2torch"})
        self._operators = dict(operators)

    def flat(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``call`` itself: what it returns is flat."""
        return call

    def to_compile(self) -> tuple[Any, str]:
        """Return the module as one graph of torch's operators; itself, and why, where it is none.

        onnx2torch's own modules break the graph of torch.compile in many places.
        """
        from torch.fx.experimental.proxy_tensor import make_fx  # noqa: PLC0415

        try:
            with self._torch.no_grad():
                make = make_fx(self.module, tracing_mode="real", pre_dispatch=True)
                traced = make(*self.examples)
        except Exception as error:  # noqa: BLE001 - whatever it was, the module is still there
            return self.module, f"{type(error).__name__}: {error}"[:300]
        traced.graph.eliminate_dead_code()
        traced.recompile()
        return traced, ""

    def counts(self) -> dict[str, int]:
        """Return nodes that run, by operator."""
        left = (node.name for node in self.module.graph.nodes)
        return dict(Counter(self._operators[name][1] for name in left if name in self._operators))

    def types(self, tensors: Sequence[Any]) -> Counter[tuple[str, bool]]:
        """Return output elements by type and whether a layer made them; runs once."""
        torch, types, operators = self._torch, Counter[tuple[str, bool]](), self._operators
        interpreter: Any = torch.fx.Interpreter

        class Looker(interpreter):  # type: ignore[misc]
            def run_node(self, node: Any) -> Any:
                value = super().run_node(node)
                if isinstance(value, torch.Tensor) and node.name in operators:
                    is_layer = operators[node.name][1] in _LAYERS
                    kind = str(value.dtype).removeprefix("torch.")
                    types[kind, is_layer] += value.numel()
                return value

        with torch.inference_mode():
            Looker(self.module).run(*tensors)
        return types

    def times(self, tensors: Sequence[Any], runs: int) -> dict[tuple[str, str], int]:
        """Return ns of ``runs`` runs by name and operator of the ONNX node."""
        spent = Counter[str]()
        interpreter: Any = self._torch.fx.Interpreter

        class Timer(interpreter):  # type: ignore[misc]
            def run_node(self, node: Any) -> Any:
                start = time.perf_counter_ns()
                value = super().run_node(node)
                spent[node.name] += time.perf_counter_ns() - start
                return value

        with self._torch.inference_mode():
            for _ in range(runs):
                Timer(self.module).run(*tensors)
        known = self._operators
        return {known[node]: ns for node, ns in spent.items() if node in known}


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
    return Converted(torch, module, inputs, examples, operators)


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
