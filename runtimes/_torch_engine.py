"""A torch module with bound inputs: run as torch does, or compiled."""

from __future__ import annotations

import gc
import os
from abc import ABC, abstractmethod
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
    from collections import Counter
    from collections.abc import Callable, Sequence

    from onnxbench.protocols import Tensor
    from onnxbench.types import BuildRequest, JsonObject, OpTime, PlacementDoc

    Array = np.ndarray[Any, np.dtype[Any]]

PROVIDER = "torch CPU"

RUNS = 10
"""Runs whose operators are timed."""

_NUMPY = {"float": "float32", "double": "float64"}
_MATMUL = {"high": "tf32", "medium": "bfloat16"}
"""What torch may compute products of float32 in, by get_float32_matmul_precision."""


class Network(ABC):
    """What runs: a module in evaluation mode, however it came to be.

    It takes the ``inputs``, by position and named in the order of the module; ``examples``: zeros
    for them. ``facts``: what a record says of it.
    """

    def __init__(
        self,
        torch: Any,
        module: Any,
        inputs: Sequence[str],
        examples: list[Any],
        facts: JsonObject,
    ) -> None:
        self.module = module
        self.inputs = tuple(inputs)
        self.examples = examples
        self.facts = facts
        self._torch = torch

    @abstractmethod
    def flat(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``call``, the module or what was compiled of it, so that it returns a sequence
        with one tensor per output, in the order of the ONNX file."""

    @abstractmethod
    def to_compile(self) -> tuple[Any, str]:
        """Return what torch.compile is given, and why it is not one graph where that is known."""

    @abstractmethod
    def counts(self) -> dict[str, int]:
        """Return the operators that run, by kind."""

    @abstractmethod
    def types(self, tensors: Sequence[Any]) -> Counter[tuple[str, bool]]:
        """Return output elements by type and whether a heavy layer made them; runs once."""

    @abstractmethod
    def times(self, tensors: Sequence[Any], runs: int) -> dict[tuple[str, str], int]:
        """Return ns of ``runs`` eager runs by name and kind of operator."""


class TorchEngine(PlainEngine):
    """Calls ``compiled``, or the module of ``network``, on tensors that share memory with the
    bound arrays.

    Boundary ``host``: arrays become tensors and tensors arrays, neither of which copies.
    ``device``: tensors in and out. The outputs are new ones in every run, as torch makes them.
    """

    def __init__(
        self,
        torch: Any,
        network: Network,
        request: BuildRequest,
        compiled: Callable[..., Any] | None,
        facts: JsonObject,
    ) -> None:
        self.run: Callable[[], object] = not_bound
        self._torch = torch
        self._network = network
        self._is_eager = compiled is None
        call = network.flat(network.module) if compiled is None else compiled
        self._call = torch.inference_mode()(call)
        self._request = request
        self._facts = {**network.facts, **facts}
        self._tensors: list[Any] = []

    def bind(self, inputs: Sequence[Tensor]) -> None:
        """Bind ``inputs`` in the order of the module. Raises InputRefused."""
        given = {tensor.name: self._checked(tensor) for tensor in inputs}
        if lacking := [name for name in self._network.inputs if name not in given]:
            raise InputRefused(f"input {lacking[0]!r} is not given", "give it with --inputs")
        arrays = [given[name] for name in self._network.inputs]
        call, tensors = self._call, [self._torch.from_numpy(array) for array in arrays]
        bare: Callable[[], object]
        if self._request.boundary == "device":

            def bare() -> object:
                return call(*tensors)

        else:
            from_numpy = self._torch.from_numpy

            def bare() -> object:
                return [output.numpy() for output in call(*map(from_numpy, arrays))]

        self._tensors = tensors
        self.run = guarded(self, bare, translate)

    def outputs(self, result: Any) -> dict[str, Array]:
        """Return ``result`` of the last run by name, in the types of the ONNX file."""
        return {
            spec.name: np.asarray(value).astype(numpy_type(spec.dtype), copy=False)
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
        effective = mainly(self._network.types(self._tensors))
        if effective == "float32":
            effective = _MATMUL.get(self._torch.get_float32_matmul_precision(), effective)
        return [one_place(PROVIDER, self._network.counts())], effective

    def op_times(self) -> list[OpTime]:
        """Return the time of each operator over `RUNS` runs of their own, the longest first.

        Eager: by ONNX node, or by module of the source. Compiled: by torch's own operator, as its
        profiler tells them apart; fused loops are part of the graph that calls them.
        """
        if self._is_eager:
            named = self._network.times(self._tensors, RUNS)
        else:
            named = {(name, name): ns for name, ns in self._profiled().items()}
        return longest_first((name, op, PROVIDER, ns, RUNS) for (name, op), ns in named.items())

    def close(self) -> None:
        """Drop module and tensors."""
        self.run = not_bound
        self._call = not_bound
        self._tensors = []
        del self._network
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


def numpy_type(dtype: str) -> str:
    """Return numpy's name of the ONNX type ``dtype``."""
    return _NUMPY.get(dtype, dtype)


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
