"""OpenVINO's own CPU plug-in, which reads ONNX itself.

Tried with openvino 2026.4.1. By default it computes float32 networks in bfloat16 where the
processor can; precision ``model`` switches that off, and what was computed is asked back either
way. Its cache of compiled models stays off: it would hide the time of loading.
"""

from __future__ import annotations

import importlib.metadata
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.adapting import SMALLER, guarded, installed, not_bound, refuse_misfits, refuse_types
from onnxbench.errors import NotInstalled, OutOfMemory, Unsupported
from onnxbench.runtimes import _openvino_properties as properties
from onnxbench.runtimes._openvino_profile import Profile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxbench.protocols import Tensor
    from onnxbench.types import BuildRequest, Capability, JsonObject, OpTime, PlacementDoc

    Array = np.ndarray[Any, np.dtype[Any]]

INSTALL = "onnxbench install openvino"

_TYPES = {
    "float": "f32",
    "double": "f64",
    "float16": "f16",
    "bfloat16": "bf16",
    "float8e4m3fn": "f8e4m3",
    "float8e5m2": "f8e5m2",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "uint16": "u16",
    "uint32": "u32",
    "uint64": "u64",
    "bool": "boolean",
}
"""ONNX element type → OpenVINO's name of it. Text is missing: its tensors copy each string."""

_RAW_BITS = {"bf16", "f8e4m3", "f8e5m2"}
"""Types that numpy lacks, which travel as raw bits."""


class OpenVino:
    """The adapter behind runtime name ``openvino``."""

    name = "openvino"
    modules = ("onnxbench.runtimes._openvino_quiet", "openvino")
    distributions = ("openvino",)
    environment = "openvino"
    provider = f"OpenVINO {properties.DEVICE}"
    device = "cpu"

    def probe(self) -> Capability:
        """Look for the package without importing it."""
        return installed(self.name, self.distributions, INSTALL)

    def build(self, request: BuildRequest) -> OpenVinoEngine:
        """Read, reshape and compile. Raises Unsupported, OutOfMemory, NotInstalled."""
        try:
            import openvino  # noqa: PLC0415 - worker only
        except ImportError as error:
            raise NotInstalled(str(error), INSTALL) from error
        refuse_types(request, _TYPES, "is not given to OpenVINO")
        core = openvino.Core()
        try:
            model = core.read_model(request.model)
            if request.shapes:
                model.reshape({name: list(shape) for name, shape in request.shapes.items()})
            settings = properties.config(core, model, request)
            compiled = core.compile_model(model, properties.DEVICE, settings)
            return OpenVinoEngine(openvino, compiled, request, self.provider)
        except (RuntimeError, TypeError, MemoryError) as error:
            raise _translate(error, "load") from error


class OpenVinoEngine:
    """One compiled model with one inference request.

    Boundary ``host`` is the call of a compiled model as its documentation shows it: the inputs'
    memory is lent, outputs are copied into new arrays. Boundary ``device`` has input tensors set
    before and leaves outputs in the request's own tensors.
    """

    sync = None

    def __init__(self, openvino: Any, compiled: Any, request: BuildRequest, provider: str) -> None:
        self.run: Callable[[], object] = not_bound
        self._openvino = openvino
        self._compiled = compiled
        self._asked = request
        self._bound: Sequence[Tensor] = ()
        self._request = compiled.create_infer_request()
        self._names = [output.name for output in request.outputs]
        if len(self._names) != len(compiled.outputs):
            raise Unsupported(
                f"OpenVINO gives {len(compiled.outputs)} outputs, the file {len(self._names)}",
                "this model cannot be compared, so it is not measured",
            )
        self._profile = Profile(compiled, provider) if request.profile else None

    def bind(self, inputs: Sequence[Tensor]) -> None:
        """Lend the inputs' memory to OpenVINO."""
        self._check(inputs)
        feed = {tensor.name: self._value(tensor) for tensor in inputs}
        if self._asked.boundary == "host":
            call = partial(self._request.infer, feed, share_inputs=True)
        else:
            for name, value in feed.items():
                lent = value if isinstance(value, self._openvino.Tensor) else self._lent(value)
                self._request.set_tensor(name, lent)
            call = partial(self._request.infer, share_outputs=True)
        self._bound = inputs  # what is lent has to live as long as it is read
        if self._profile is not None:
            call = partial(self._counted, call, self._profile)
        self.run = guarded(self, call, partial(_translate, during="run"))

    def outputs(self, result: object) -> dict[str, Array]:
        """Return the outputs by name, as the last run left them in the request."""
        del result
        tensors = self._request.output_tensors
        return dict(zip(self._names, map(_as_array, tensors), strict=True))

    def facts(self) -> JsonObject:
        """Return versions and every property as the compiled model has it."""
        options = properties.effective(self._compiled)
        took = options.get("INFERENCE_NUM_THREADS")
        return {
            "runtime_version": importlib.metadata.version("openvino"),
            "runtime_build": self._openvino.__version__,
            "boundary": self._asked.boundary,
            "options": options,
            "threads_control": "exact" if took == self._asked.threads else f"OpenVINO took {took}",
            # Seen in /proc/self/task: its workers sleep between inferences that are 0.1 s apart.
            "spinning": False,
            "telemetry": "off" if sys.modules.get("openvino_telemetry") is None else "on",
        }

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return the layers that the plug-in made, and the type that they computed in."""
        assert self._profile is not None
        return self._profile.placement()

    def op_times(self) -> list[OpTime]:
        """Return time per layer, as the plug-in measured it."""
        assert self._profile is not None
        return self._profile.op_times()

    def interrupt(self) -> None:
        """Cancel the request: the plug-in looks at it between two layers."""
        self._request.cancel()

    def close(self) -> None:
        """Drop request and compiled model."""
        self.run = not_bound
        self._profile = None
        self._request = None
        self._compiled = None

    def _check(self, inputs: Sequence[Tensor]) -> None:
        """Raise InputRefused by name: OpenVINO itself converts another type without a word."""
        given = {t.name: f"{_TYPES.get(t.dtype, t.dtype)}{list(t.array.shape)}" for t in inputs}
        wanted = {}
        for port in self._compiled.inputs:
            name = next((name for name in port.get_names() if name in given), port.get_any_name())
            shape = port.get_partial_shape()
            wanted[name] = given.get(name, "")  # whatever it is, unless the shape is known
            if shape.is_static:
                type_ = port.get_element_type().get_type_name()
                wanted[name] = f"{type_}{list(shape.to_shape())}"
        refuse_misfits(given, wanted)

    def _value(self, tensor: Tensor) -> Any:
        """Return the array, or a tensor of a type that numpy lacks over its memory."""
        kind = _TYPES[tensor.dtype]
        if kind not in _RAW_BITS:
            return tensor.array
        shape = self._openvino.Shape(list(tensor.array.shape))
        return self._openvino.Tensor(tensor.array, shape, getattr(self._openvino.Type, kind))

    def _lent(self, array: Array) -> Any:
        return self._openvino.Tensor(array, shared_memory=True)

    def _counted(self, call: Callable[[], object], profile: Profile) -> object:
        """Run once and let ``profile`` know; the times of an engine that has one are not used."""
        result = call()
        profile.ran()
        return result


OPENVINO = OpenVino()


def _as_array(tensor: Any) -> Array:
    """Return a copy of an output; bfloat16, which OpenVINO labels float16, as raw bits."""
    values: Array = tensor.data.copy()
    if tensor.element_type.get_type_name() == "bf16":
        return values.view(np.uint16)
    return values


def _translate(error: Exception, during: str) -> Exception:
    """Return ``error`` as one of ours; OpenVINO knows RuntimeError alone."""
    text = str(error)
    if isinstance(error, MemoryError) or any(
        sign in text for sign in ("bad_alloc", "Cannot allocate", "could not allocate")
    ):
        return OutOfMemory(text or "out of memory", SMALLER)
    if during == "load" or "not supported" in text.lower() or "Not Implemented" in text:
        return Unsupported(text, "OpenVINO cannot load this model or shape; see the message")
    return error
