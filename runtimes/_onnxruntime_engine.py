"""A session of ONNX Runtime with its bound inputs: what is measured."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.adapting import guarded, not_bound, refuse_misfits
from onnxbench.errors import Unsupported
from onnxbench.runtimes import _onnxruntime_cuda as cuda
from onnxbench.runtimes import _onnxruntime_options as options
from onnxbench.runtimes import _onnxruntime_precision as precision
from onnxbench.runtimes._onnxruntime_errors import translate
from onnxbench.runtimes._onnxruntime_profile import Profile
from onnxbench.runtimes._onnxruntime_profiles import CPU_PROVIDER, PLUGIN_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onnxbench.protocols import Tensor
    from onnxbench.runtimes._onnxruntime_profiles import ProviderProfile
    from onnxbench.runtimes._onnxruntime_session import Opened
    from onnxbench.types import BuildRequest, JsonObject, OpTime, PlacementDoc

    Array = np.ndarray[Any, np.dtype[Any]]

_RAW_BITS = {
    "bfloat16": 16,
    "float8e4m3fn": 17,
    "float8e4m3fnuz": 18,
    "float8e5m2": 19,
    "float8e5m2fnuz": 20,
}
"""Types that travel as raw bits → their number in onnx.TensorProto.DataType."""


class OnnxRuntimeEngine:
    """One session with its bound inputs.

    Boundary ``host`` calls ``session.run`` on numpy arrays, as users do: output arrays are
    allocated and filled in each call, and copied from the device where there is one. Boundary
    ``device`` uses an IO-binding whose inputs and outputs were allocated before, in the memory that
    the provider computes in.

    Either call returns when the outputs are complete: ONNX Runtime waits for the provider's stream
    at the end of a run unless ``disable_synchronize_execution_providers`` is set, which it is not.
    So ``sync`` is None on every provider.
    """

    sync = None

    def __init__(
        self, ort: Any, profile: ProviderProfile, opened: Opened, request: BuildRequest
    ) -> None:
        self.run: Callable[[], object] = not_bound
        self._ort = ort
        self._row = profile
        self._opened = opened
        self._session = opened.session
        self._boundary = request.boundary
        self._threads = request.threads
        self._asked = dict(request.options)
        self._run_options = ort.RunOptions()
        self._output_names = [output.name for output in self._session.get_outputs()]
        self._device = int(opened.told.get("device_id", "0")) if profile.memory != "cpu" else 0
        self._binding: Any = None
        self._bound: dict[str, Any] = {}
        self._profile = self._make_profile() if request.profile else None

    def bind(self, inputs: Sequence[Tensor]) -> None:
        """Bind ``inputs`` and run once where outputs must be allocated first."""
        self._check_names_and_types(inputs)
        if self._bound and self._row.memory != "cpu":
            # A captured CUDA graph reads the addresses it was captured with: only values change.
            for tensor in inputs:
                self._bound[tensor.name].update_inplace(tensor.array)
            if not self._opened.has_graph:
                self._bind_outputs(self._binding)  # whose shapes may depend on the values
            return
        feed = {tensor.name: self._value(tensor) for tensor in inputs}
        if self._boundary == "host":
            self.run = self._guarded(partial(self._session.run, self._output_names, feed))
        else:
            self._bind_device(feed)

    def outputs(self, result: Any) -> dict[str, Array]:
        """Return the outputs by name: ``result`` of the last run, or what it left bound."""
        values = result
        if self._binding is not None:
            try:
                values = [value.numpy() for value in self._binding.get_outputs()]
            except Exception as error:
                raise translate(error, "outputs") from error
        return dict(zip(self._output_names, map(_as_array, values), strict=True))

    def facts(self) -> JsonObject:
        """Return versions and every option as the session has it."""
        settings = self._session.get_session_options()
        found: JsonObject = {
            "runtime_version": self._ort.__version__,
            "runtime_build": self._ort.get_build_info(),
            "boundary": self._boundary,
            "options": options.effective(settings, self._asked),
            "threads_control": self._threads_control(),
            "spinning": options.spinning(settings),
            **self._opened.facts,
        }
        if not precision.has_assignment(self._session):
            found["placement_source"] = (
                "the profile alone: this ONNX Runtime does not tell which nodes it assigned"
            )
        if why := precision.untold(self._row, self._opened):
            found["precision_reason"] = why
        if self._opened.provider != CPU_PROVIDER:
            found |= self._provider_facts()
        return found

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return nodes per provider (assignment info) and their share of time (profile)."""
        assert self._profile is not None
        return self._profile.placement()

    def op_times(self) -> list[OpTime]:
        """Return time per operator from the profile."""
        assert self._profile is not None
        return self._profile.op_times()

    def interrupt(self) -> None:
        """Set the terminate flag of the first run: ONNX Runtime looks at it between two nodes."""
        self._run_options.terminate = True

    def close(self) -> None:
        """Drop binding and session."""
        self.run = not_bound
        self._binding = None
        self._bound = {}
        self._profile = None
        self._session = None
        self._opened.session = None

    def _make_profile(self) -> Profile:
        shown = {}
        if self._row.provider == PLUGIN_PROVIDER:
            shown[self._opened.provider] = PLUGIN_PROVIDER
        naming = precision.naming(self._row, self._session, self._opened, self._device)
        return Profile(self._session, naming, shown)

    def _provider_facts(self) -> JsonObject:
        """Return the provider's options: those it was told, and all it says that it has.

        Most providers built in answer with nothing; a plugin's answer repeats what it was told.
        """
        name = self._opened.provider
        found: JsonObject = {
            "provider": name,
            "provider_options_told": dict(self._opened.told),
            "provider_options": dict(self._session.get_provider_options().get(name, {})),
            "synchronization": "a run returns when the provider's work is complete",
        }
        if self._row.nvidia:
            found["gpu"] = cuda.describe(self._device)
            found["tf32_override"] = os.environ.get("NVIDIA_TF32_OVERRIDE")
        return found

    def _threads_control(self) -> str:
        if self._row.provider == CPU_PROVIDER or self._row.threads_option:
            return "exact"
        if self._row.device in ("cuda", "rocm", "gpu"):
            return "the device computes; the pool of ONNX Runtime on the host is told exactly"
        return f"{self._opened.provider} has no option for it that is known here"

    def _check_names_and_types(self, inputs: Sequence[Tensor]) -> None:
        """Raise InputRefused by name: what the runtime says of a type names no input."""
        given = {tensor.name: f"tensor({tensor.dtype})" for tensor in inputs}
        wanted = {i.name: i.type for i in self._session.get_inputs()}
        known = wanted | {i.name: i.type for i in self._session.get_overridable_initializers()}
        overridden = {name: known[name] for name in given if name in known}
        refuse_misfits(given, wanted | overridden)

    def _value(self, tensor: Tensor) -> Any:
        if tensor.dtype not in _RAW_BITS:
            return tensor.array
        if self._boundary == "device" and self._row.memory != "cpu":
            message = f"input {tensor.name!r}: no {tensor.dtype} goes to the device from Python"
            raise Unsupported(message, "use --boundary host")
        return self._ort.OrtValue.ortvalue_from_numpy_with_onnx_type(
            tensor.array, _RAW_BITS[tensor.dtype]
        )

    def _bind_device(self, feed: Mapping[str, Any]) -> None:
        binding = self._session.io_binding()
        make = self._ort.OrtValue.ortvalue_from_numpy
        where = (self._row.memory, self._device)
        bound = {}
        try:
            for name, value in feed.items():
                bound[name] = make(value, *where) if isinstance(value, np.ndarray) else value
                binding.bind_ortvalue_input(name, bound[name])
            self._bind_outputs(binding)
        except Exception as error:
            raise translate(error, "bind") from error
        call = partial(self._session.run_with_iobinding, binding)
        # The first run allocates the outputs; they stay bound, and later runs write into them.
        self._binding = binding
        # Values on the CPU are the caller's arrays, which not every version keeps alive.
        self._bound = bound
        self.run = self._guarded(call)

    def _bind_outputs(self, binding: Any) -> None:
        """Let the next run allocate the outputs on the device."""
        binding.clear_binding_outputs()
        for name in self._output_names:
            binding.bind_output(name, self._row.memory, self._device)

    def _guarded(self, call: Callable[..., object]) -> Callable[[], object]:
        """Return ``call``, whose first run can be interrupted.

        Later runs have no run options, which cost boundary ``device`` more than a percent.
        """
        first = partial(call, self._run_options)
        return guarded(self, call, partial(translate, during="run"), first)


def _as_array(value: Any) -> Array:
    """Return an output as an array; sequences and maps as an array of their text."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, list) and value and all(isinstance(v, np.ndarray) for v in value):
        return np.concatenate([v.ravel() for v in value])
    return np.array([repr(value)], dtype=object)
