"""A torch module with bound inputs: run as torch does, or compiled."""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.adapting import (
    SMALLER,
    PlainEngine,
    guarded,
    longest_first,
    mainly,
    not_bound,
    one_place,
)
from onnxbench.errors import InputRefused, OutOfMemory, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxbench.protocols import Tensor
    from onnxbench.runtimes._torch_convert import Converted
    from onnxbench.types import BuildRequest, JsonObject, OpTime, PlacementDoc

    Array = np.ndarray[Any, np.dtype[Any]]

PROVIDER = "torch CPU"

RUNS = 10
"""Runs whose operators are timed."""

_NUMPY = {"float": "float32", "double": "float64"}
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "LSTM", "GRU", "RNN")
_MATMUL = {"high": "tf32", "medium": "bfloat16"}
"""What torch may compute products of float32 in, by get_float32_matmul_precision."""


class TorchEngine(PlainEngine):
    """Calls ``call``, the module or what was compiled from it, on tensors that share memory with
    the bound arrays.

    Boundary ``host``: arrays become tensors and tensors arrays, neither of which copies.
    ``device``: tensors in and out. The outputs are new ones in every run, as torch makes them.
    """

    def __init__(
        self,
        torch: Any,
        converted: Converted,
        call: Callable[..., Any],
        request: BuildRequest,
        facts: JsonObject,
    ) -> None:
        self.run: Callable[[], object] = not_bound
        self._torch = torch
        self._converted = converted
        self._call = torch.inference_mode()(call)
        self._call_is_module = call is converted.module
        self._request = request
        self._facts = facts
        self._watch = _Watch(torch, converted) if request.profile else None

    def bind(self, inputs: Sequence[Tensor]) -> None:
        """Bind ``inputs`` in the order of the module. Raises InputRefused."""
        given = {tensor.name: self._checked(tensor) for tensor in inputs}
        if lacking := [name for name in self._converted.inputs if name not in given]:
            raise InputRefused(f"input {lacking[0]!r} is not given", "give it with --inputs")
        arrays = [given[name] for name in self._converted.inputs]
        call, tensors = self._call, [self._torch.from_numpy(array) for array in arrays]
        bare: Callable[[], object]
        if self._request.boundary == "device":

            def bare() -> object:
                return call(*tensors)

        else:
            from_numpy = self._torch.from_numpy

            def bare() -> object:
                return [output.numpy() for output in call(*map(from_numpy, arrays))]

        if self._watch is not None:
            self._watch.look(tensors)
        self.run = guarded(self, bare, translate)

    def outputs(self, result: Any) -> dict[str, Array]:
        """Return ``result`` of the last run by name, in the types of the ONNX file."""
        return {
            spec.name: np.asarray(value).astype(_NUMPY.get(spec.dtype, spec.dtype), copy=False)
            for spec, value in zip(self._request.outputs, result, strict=True)
        }

    def facts(self) -> JsonObject:
        """Return versions and settings as torch has them."""
        torch = self._torch
        return {
            "runtime_version": torch.__version__,
            "boundary": self._request.boundary,
            "options": {
                "num_threads": torch.get_num_threads(),
                "num_interop_threads": torch.get_num_interop_threads(),
                "float32_matmul_precision": torch.get_float32_matmul_precision(),
                "onednn": torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled,
            },
            "threads_control": "exact",
            "spinning": _spinning(),
            **self._facts,
        }

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return the operators, which all run in torch's kernels on the processor."""
        effective = mainly(self._watch.types) if self._watch is not None else None
        if effective == "float32":
            effective = _MATMUL.get(self._torch.get_float32_matmul_precision(), effective)
        return [one_place(PROVIDER, self._converted.counts())], effective

    def op_times(self) -> list[OpTime]:
        """Return the time of each operator over `RUNS` runs of their own, the longest first.

        Eager: by ONNX node. Compiled: by torch's own operator, as its profiler tells them apart;
        fused loops are part of the graph that calls them.
        """
        if self._watch is None:
            return []
        if self._call_is_module:
            spent, known = self._watch.times(), self._converted.operators
            named = {known[node]: ns for node, ns in spent.items() if node in known}
        else:
            named = {(name, name): ns for name, ns in self._profiled().items()}
        return longest_first((name, op, PROVIDER, ns, RUNS) for (name, op), ns in named.items())

    def close(self) -> None:
        """Drop module and tensors."""
        self.run = not_bound
        self._call = not_bound
        self._watch = None
        del self._converted
        gc.collect()  # a module and its fx graph refer to one another

    def _profiled(self) -> dict[str, int]:
        with self._torch.profiler.profile(
            activities=[self._torch.profiler.ProfilerActivity.CPU]
        ) as profile:
            for _ in range(RUNS):
                self.run()
        events = profile.key_averages()
        return {event.key: round(event.self_cpu_time_total * 1000) for event in events}

    def _checked(self, tensor: Tensor) -> Array:
        wanted = self._request.shapes.get(tensor.name)
        if tensor.array.shape != wanted:
            raise InputRefused(
                f"input {tensor.name!r} has the shape {list(tensor.array.shape)}; the module was "
                f"made for {None if wanted is None else list(wanted)}",
                "choose it with --shape",
            )
        return tensor.array


class _Watch:
    """Looks at the module operator by operator, outside of what is run: types and times."""

    def __init__(self, torch: Any, converted: Converted) -> None:
        self.types = Counter[tuple[str, bool]]()
        self._torch = torch
        self._converted = converted
        self._tensors: list[Any] = []

    def look(self, tensors: list[Any]) -> None:
        """Run once on ``tensors``, and remember in which types the layers compute."""
        self._tensors = tensors
        self.types = _types(self._torch, self._converted, tensors)

    def times(self) -> Counter[str]:
        """Return ns per fx node over `RUNS` runs of the module, one operator after another."""
        return _times(self._torch, self._converted, self._tensors)


def _types(torch: Any, converted: Converted, tensors: list[Any]) -> Counter[tuple[str, bool]]:
    """Return output elements by type and whether a layer made them."""
    types, operators = Counter[tuple[str, bool]](), converted.operators

    class Looker(torch.fx.Interpreter):  # type: ignore[misc]
        def run_node(self, node: Any) -> Any:
            value = super().run_node(node)
            if isinstance(value, torch.Tensor) and node.name in operators:
                is_layer = operators[node.name][1] in _LAYERS
                kind = str(value.dtype).removeprefix("torch.")
                types[kind, is_layer] += value.numel()
            return value

    with torch.inference_mode():
        Looker(converted.module).run(*tensors)
    return types


def _times(torch: Any, converted: Converted, tensors: list[Any]) -> Counter[str]:
    spent = Counter[str]()

    class Timer(torch.fx.Interpreter):  # type: ignore[misc]
        def run_node(self, node: Any) -> Any:
            start = time.perf_counter_ns()
            value = super().run_node(node)
            spent[node.name] += time.perf_counter_ns() - start
            return value

    with torch.inference_mode():
        for _ in range(RUNS):
            Timer(converted.module).run(*tensors)
    return spent


def translate(error: Exception) -> Exception:
    """Return ``error`` as one of ours: torch raises RuntimeError for nearly everything."""
    text = str(error)
    if isinstance(error, MemoryError) or "not enough memory" in text or "bad_alloc" in text:
        return OutOfMemory(text or "out of memory", SMALLER)
    return Unsupported(f"{type(error).__name__}: {text}", "torch cannot run this model")


def _spinning() -> bool | str:
    """Return what libgomp, which torch's wheels bring along, does with idle threads."""
    policy = os.environ.get("OMP_WAIT_POLICY", "").lower()
    known = {"active": True, "passive": False}
    return known.get(policy, "for some milliseconds, then they sleep (OMP_WAIT_POLICY is not set)")
