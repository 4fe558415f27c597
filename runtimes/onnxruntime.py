"""ONNX Runtime, CPU provider. One session per process; every option is asked back.

Tried with onnxruntime 1.31.1. This module is imported in the worker and by the parent's probe;
onnxruntime itself is imported only by the worker.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.errors import InputRefused, NotInstalled, OutOfMemory, Unsupported
from onnxbench.runtimes import _onnxruntime_options as options
from onnxbench.runtimes._onnxruntime_profile import Profile
from onnxbench.types import Capability

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onnxbench.protocols import Tensor
    from onnxbench.types import BuildRequest, JsonObject, OpTime, PlacementDoc

    Array = np.ndarray[Any, np.dtype[Any]]

PROVIDER = "CPUExecutionProvider"

_RAW_BITS = {
    "bfloat16": 16,
    "float8e4m3fn": 17,
    "float8e4m3fnuz": 18,
    "float8e5m2": 19,
    "float8e5m2fnuz": 20,
}
"""Types that travel as raw bits → their number in onnx.TensorProto.DataType."""


_REFUSALS = ("Invalid rank for input", "invalid dimensions for input", "out of data bounds")
"""What an IO-binding, whose errors have no class of their own, says of inputs that do not fit."""

_NO_ARRAY = ("No corresponding Numpy type", "non-string numpy arrays", "convertible to Numpy")
"""What is said of values that the Python interface cannot take from or give to numpy."""


class OnnxRuntimeCpu:
    """The adapter behind runtime name ``cpu``."""

    name = "cpu"
    modules = ("onnxruntime",)

    def probe(self) -> Capability:
        """Look for the package without importing it."""
        if importlib.util.find_spec("onnxruntime") is None:
            return Capability(
                self.name,
                available=False,
                reason="the package onnxruntime is not installed",
                hint="pip install 'onnxbench[cpu]'",
            )
        distribution, version = _installed()
        return Capability(self.name, available=True, version=version, distribution=distribution)

    def build(self, request: BuildRequest) -> OnnxRuntimeEngine:
        """Create the session. Raises Unsupported, OutOfMemory, NotInstalled."""
        try:
            import onnxruntime as ort  # noqa: PLC0415 - worker only
        except ImportError as error:
            raise NotInstalled(str(error), "pip install 'onnxbench[cpu]'") from error
        settings = options.session_options(ort, request)
        try:
            session = ort.InferenceSession(request.model, settings, providers=[PROVIDER])
        except Exception as error:
            raise _translate(error, "load") from error
        return OnnxRuntimeEngine(ort, session, request)


class OnnxRuntimeEngine:
    """One session with its bound inputs.

    Boundary ``host`` calls ``session.run`` on numpy arrays, as users do: output arrays are
    allocated and filled in each call. Boundary ``device`` uses an IO-binding whose inputs and
    outputs were allocated before.
    """

    sync = None

    def __init__(self, ort: Any, session: Any, request: BuildRequest) -> None:
        self.run: Callable[[], object] = _not_bound
        self._ort = ort
        self._session = session
        self._boundary = request.boundary
        self._asked = dict(request.options)
        self._run_options = ort.RunOptions()
        self._output_names = [output.name for output in session.get_outputs()]
        self._binding: Any = None
        self._profile = Profile(session) if request.profile else None

    def bind(self, inputs: Sequence[Tensor]) -> None:
        """Bind ``inputs`` and run once where outputs must be allocated first."""
        self._check_names_and_types(inputs)
        feed = {tensor.name: self._value(tensor) for tensor in inputs}
        if self._boundary == "host":
            self.run = self._guarded(partial(self._session.run, self._output_names, feed))
        else:
            self._bind_device(feed)

    def outputs(self) -> dict[str, Array]:
        """Return the outputs by name; boundary ``host`` runs one inference more for them."""
        if self._binding is None:
            values = self.run()
            assert isinstance(values, list)
        else:
            try:
                values = [value.numpy() for value in self._binding.get_outputs()]
            except Exception as error:
                raise _translate(error, "outputs") from error
        return dict(zip(self._output_names, map(_as_array, values), strict=True))

    def facts(self) -> JsonObject:
        """Return versions and every session option as the session has it."""
        return {
            "runtime_version": self._ort.__version__,
            "runtime_build": self._ort.get_build_info(),
            "boundary": self._boundary,
            "options": options.effective(self._session.get_session_options(), self._asked),
        }

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
        self.run = _not_bound
        self._binding = None
        self._profile = None
        self._session = None

    def _check_names_and_types(self, inputs: Sequence[Tensor]) -> None:
        """Raise InputRefused by name: what the runtime says of a type names no input."""
        given = {tensor.name: f"tensor({tensor.dtype})" for tensor in inputs}
        wanted = {i.name: i.type for i in self._session.get_inputs()}
        known = wanted | {i.name: i.type for i in self._session.get_overridable_initializers()}
        for name in {**wanted, **given}:
            found, type_ = given.get(name, "nothing"), known.get(name, "nothing")
            if found != type_:
                raise InputRefused(
                    f"input {name!r} takes {type_}, given was {found}", "give it with --inputs"
                )

    def _value(self, tensor: Tensor) -> Any:
        if tensor.dtype not in _RAW_BITS:
            return tensor.array
        return self._ort.OrtValue.ortvalue_from_numpy_with_onnx_type(
            tensor.array, _RAW_BITS[tensor.dtype]
        )

    def _bind_device(self, feed: Mapping[str, Any]) -> None:
        binding = self._session.io_binding()
        make = self._ort.OrtValue.ortvalue_from_numpy
        try:
            for name, value in feed.items():
                bound = make(value) if isinstance(value, np.ndarray) else value
                binding.bind_ortvalue_input(name, bound)
            for name in self._output_names:
                binding.bind_output(name, "cpu")
        except Exception as error:
            raise _translate(error, "bind") from error
        call = partial(self._session.run_with_iobinding, binding)
        # The first run allocates the outputs; they stay bound, and later runs write into them.
        self._binding = binding
        self.run = self._guarded(call)

    def _guarded(self, call: Callable[..., object]) -> Callable[[], object]:
        """Return ``call`` with its first run under guard; later ones are the bare call.

        The first run can be interrupted, and what the runtime says of the inputs is put into our
        words. The hot path is then the runtime's own call as anybody would type it: no try block
        around it, and no run options, which cost boundary ``device`` more than a percent.
        """

        def first() -> object:
            try:
                result = call(self._run_options)
            except Exception as error:
                raise _translate(error, "run") from error
            self.run = call
            return result

        return first


CPU = OnnxRuntimeCpu()


def _not_bound() -> object:
    raise InputRefused("no inputs are bound", "this is a fault of onnxbench: report it")


def _as_array(value: Any) -> Array:
    """Return an output as an array; sequences and maps as an array of their text."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, list) and value and all(isinstance(v, np.ndarray) for v in value):
        return np.concatenate([v.ravel() for v in value])
    return np.array([repr(value)], dtype=object)


def _installed() -> tuple[str | None, str | None]:
    """Return distribution and version that provide the module ``onnxruntime``."""
    for name in importlib.metadata.packages_distributions().get("onnxruntime", []):
        return name, importlib.metadata.version(name)
    return None, None


def _translate(error: Exception, during: str) -> Exception:
    """Return ``error`` as one of ours, by its class and, for memory, by its message."""
    text, kind = str(error), type(error).__name__
    if isinstance(error, MemoryError) or any(
        sign in text for sign in ("Failed to allocate memory", "bad allocation", "bad_alloc")
    ):
        return OutOfMemory(text or "out of memory", "choose a smaller --batch or --shape")
    if any(sign in text for sign in _NO_ARRAY):
        return Unsupported(
            text, "no array holds this type; text and sequences need --boundary host"
        )
    if during != "load" and (kind == "InvalidArgument" or any(s in text for s in _REFUSALS)):
        named = re.search(r"input: (\S+)", text)
        name = named[1] if named else "NAME"
        return InputRefused(
            text, f"give another shape with --shape {name}:1x3x224x224, or real data with --inputs"
        )
    if during == "load" or kind in ("NotImplemented", "InvalidGraph"):
        return Unsupported(f"{kind}: {text}", "the runtime cannot load this model; see the message")
    return error
