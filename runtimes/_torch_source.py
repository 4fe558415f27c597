"""The module that an ONNX file was exported from, built again by the exporter that built it then.

Weights, seed, arguments and fusing are those of the export: that it is the same network is what the
comparison with ONNX Runtime proves.
"""

from __future__ import annotations

import importlib
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from onnxbench.errors import OnnxBenchError, Unsupported
from onnxbench.runtimes._torch_engine import Network, numpy_type, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from onnxbench.types import BuildRequest, JsonObject

_WITHOUT = "leave --set module=source out"


class SourceModule(Network):
    """A network of any ``module``, which may return anything that holds tensors. It is looked at by
    hooks: it need not be traceable."""

    def __init__(
        self,
        torch: Any,
        module: Any,
        inputs: Sequence[str],
        examples: list[Any],
        facts: JsonObject,
    ) -> None:
        super().__init__(torch, module, inputs, examples, facts)
        with torch.inference_mode():
            result = module(*examples)
        self._is_flat = isinstance(result, (tuple, list)) and all(map(torch.is_tensor, result))
        self.outputs = len(_leaves(torch, result))

    def flat(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``call`` with the tensors in what it returns as a sequence."""
        if self._is_flat:
            return call
        torch = self._torch

        def flattened(*inputs: Any) -> Any:
            return _leaves(torch, call(*inputs))

        return flattened

    def to_compile(self) -> tuple[Any, str]:
        """Return the module: torch.compile is given it as any user would."""
        return self.module, ""

    def counts(self) -> dict[str, int]:
        """Return the calls of modules without parts, by class."""
        calls = Counter[str]()

        def called(module: Any, _inputs: Any, _output: Any) -> None:
            if next(module.children(), None) is None:
                calls[type(module).__name__] += 1

        self._observed(self.examples, after=called)
        return dict(calls)

    def types(self, tensors: Sequence[Any]) -> Counter[tuple[str, bool]]:
        """Return output elements of the modules by type and whether a heavy layer made them."""
        torch, types = self._torch, Counter[tuple[str, bool]]()
        nn = torch.nn
        # The convolutions have no other class in common.
        heavy = (nn.modules.conv._ConvNd, nn.Linear, nn.Bilinear, nn.RNNBase, nn.MultiheadAttention)  # noqa: SLF001

        def called(module: Any, _inputs: Any, output: Any) -> None:
            is_layer = isinstance(module, heavy)
            if is_layer or next(module.children(), None) is None:
                for tensor in _leaves(torch, output):
                    types[str(tensor.dtype).removeprefix("torch."), is_layer] += tensor.numel()

        self._observed(tensors, after=called)
        return types

    def times(self, tensors: Sequence[Any], runs: int) -> dict[tuple[str, str], int]:
        """Return ns of ``runs`` runs by name and class of the module.

        A module's time is its own: without that of its parts, with that of the functions that it
        calls. The whole network has the name of its class.
        """
        names = {module: name for name, module in self.module.named_modules()}
        spent = Counter[tuple[str, str]]()
        running: list[list[int]] = []  # when it began, ns of its parts

        def begun(_module: Any, _inputs: Any) -> None:
            running.append([time.perf_counter_ns(), 0])

        def called(module: Any, _inputs: Any, _output: Any) -> None:
            began, parts = running.pop()
            took = time.perf_counter_ns() - began
            kind = type(module).__name__
            spent[names[module] or kind, kind] += took - parts
            if running:
                running[-1][1] += took

        self._observed(tensors, before=begun, after=called, runs=runs)
        return dict(spent)

    def _observed(
        self,
        tensors: Sequence[Any],
        *,
        after: Callable[..., None],
        before: Callable[..., None] | None = None,
        runs: int = 1,
    ) -> None:
        with self._torch.inference_mode(), _hooks(self.module, before, after):
            for _ in range(runs):
                self.module(*tensors)


def load(torch: Any, request: BuildRequest) -> SourceModule:
    """Return the module that the file of ``request`` was exported from. Raises Unsupported.

    What an exporter sets for the sake of the export is undone: the module runs as torch runs it.
    """
    source = _source(request)
    torch.backends.mha.set_fastpath_enabled(True)
    facts = source.facts
    module = getattr(source, "module", None)
    if not isinstance(module, torch.nn.Module):
        raise Unsupported("the exporter hands no torch module out", _WITHOUT)
    declared = {spec.name: spec.dtype for spec in request.inputs}
    inputs = [spec.name for spec in facts.inputs]
    if sorted(inputs) != sorted(declared):
        raise Unsupported(
            f"the module takes {', '.join(inputs)}, the file {', '.join(declared)}", _WITHOUT
        )
    examples = [
        torch.zeros(request.shapes[name], dtype=getattr(torch, numpy_type(declared[name])))
        for name in inputs
    ]
    said: JsonObject = {
        "module": "source",
        "source": {"weights": facts.weights, "versions": facts.versions},
        "mha_fastpath": torch.backends.mha.get_fastpath_enabled(),
    }
    try:
        network = SourceModule(torch, module, inputs, examples, said)
    except Exception as error:
        raise translate(error) from error
    if network.outputs != len(request.outputs):
        raise Unsupported(
            f"the module returns {network.outputs} tensors, the file {len(request.outputs)}",
            _WITHOUT,
        )
    return network


def _source(request: BuildRequest) -> Any:
    """Return what the exporter builds. Raises Unsupported, OutOfMemory."""
    from onnxbench.sources import ExportRequest  # noqa: PLC0415 - of no other runtime

    origin = request.origin
    if origin is None:
        raise Unsupported("module=source: this is a file, and nobody knows its module", _WITHOUT)
    if "torch" not in origin.modules:
        raise Unsupported(f"module=source: {origin.exporter} exports no torch module", _WITHOUT)
    module, _, attribute = origin.exporter.partition(":")
    try:
        exporter = getattr(importlib.import_module(module), attribute)()
        return exporter.load(ExportRequest.read(origin.request))
    except OnnxBenchError as error:
        raise Unsupported(f"{module}: {error.message}", error.hint) from error
    except Exception as error:
        raise translate(error) from error


@contextmanager
def _hooks(
    module: Any, before: Callable[..., None] | None, after: Callable[..., None]
) -> Iterator[None]:
    """Call ``before`` and ``after`` around every part of ``module``, and around the whole."""
    handles = [each.register_forward_hook(after) for each in module.modules()]
    if before is not None:
        handles += [each.register_forward_pre_hook(before) for each in module.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _leaves(torch: Any, result: Any) -> list[Any]:
    """Return the tensors in ``result``, in the order in which torch's exporters take them."""
    if torch.is_tensor(result):  # as nearly always, in each timed run
        return [result]
    return [leaf for leaf in torch.utils._pytree.tree_leaves(result) if torch.is_tensor(leaf)]  # noqa: SLF001
