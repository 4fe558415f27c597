"""LiteRT, formerly TensorFlow Lite, on the processor, with XNNPACK, its default delegate.

Tried with ai-edge-litert 2.3.0 and onnx2tf 2.6.9 on x86-64. The converted model takes pictures
channels-last; the inputs are put into that layout when they are bound, for whoever uses LiteRT
makes them so in the first place. What boundary ``host`` times: copies of the inputs into the
interpreter, the inference, copies of the outputs out of it. ``device``: the inference alone, its
inputs and outputs staying in the interpreter.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.adapting import (
    SMALLER,
    PlainEngine,
    guarded,
    installed,
    not_bound,
    refuse_types,
    refused_option,
)
from onnxbench.errors import InputRefused, NotInstalled, OutOfMemory, Unsupported
from onnxbench.runtimes import _litert_convert as conversion
from onnxbench.runtimes import _litert_placement as placing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onnxbench.protocols import Tensor
    from onnxbench.types import (
        BuildRequest,
        Capability,
        ConvertRequest,
        JsonObject,
        PlacementDoc,
    )

    Array = np.ndarray[Any, np.dtype[Any]]

INSTALL = "onnxbench install litert"

_RESOLVER = "experimental_op_resolver_type"
OPTIONS = (
    _RESOLVER,
    "experimental_default_delegate_latest_features",
    "experimental_disable_delegate_clustering",
)
"""Arguments of LiteRT's Interpreter that ``--set NAME=VALUE`` may give."""

_TRUE, _FALSE = {"1", "true", "on", "yes"}, {"0", "false", "off", "no"}
_NUMPY = {"float": "float32", "double": "float64"}
_TYPES = {"float", "double", "float16", "bool"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
_SPINNING = "XNNPACK's threads wait busily for a moment, then sleep"


class LiteRt:
    """The adapter behind the runtime name ``litert``.

    It has no ``provider`` that every node has to be on: what XNNPACK leaves to LiteRT's own kernels
    (paddings with another value than 0, gathers …) is still LiteRT on this processor.
    """

    name = "litert"
    modules = ("ai_edge_litert.interpreter",)
    distributions = ("ai-edge-litert", "onnx2tf")
    environment = "litert"
    provider = ""
    device = "cpu"
    revision = 1

    def probe(self) -> Capability:
        """Look for the runtime and its converter without importing them."""
        return installed(self.name, self.distributions, INSTALL)

    def convert(self, request: ConvertRequest) -> JsonObject:
        """Write the TensorFlow Lite file. Raises Unsupported, OutOfMemory, NotInstalled."""
        _check_options(request.options)
        refuse_types(request, _TYPES, "TensorFlow Lite does not take from here")
        return conversion.convert(request)

    def build(self, request: BuildRequest) -> LiteRtEngine:
        """Load the converted file. Raises Unsupported, OutOfMemory, NotInstalled."""
        _check_options(request.options)
        try:
            from ai_edge_litert import interpreter as litert  # noqa: PLC0415 - worker only
        except ImportError as error:
            raise NotInstalled(str(error), INSTALL) from error
        if request.converted is None:
            raise Unsupported("LiteRT reads no ONNX file", "the model has to be converted first")
        folder = Path(request.converted)
        plan = json.loads((folder / conversion.PLAN).read_text(encoding="utf-8"))
        arguments = _arguments(litert, request.options)
        try:
            interpreter = litert.Interpreter(
                str(folder / conversion.MODEL), num_threads=request.threads, **arguments
            )
            interpreter.allocate_tensors()
        except Exception as error:
            raise _translate(error) from error
        return LiteRtEngine(interpreter, plan, request)


class LiteRtEngine(PlainEngine):
    """One interpreter with its inputs bound."""

    def __init__(self, interpreter: Any, plan: JsonObject, request: BuildRequest) -> None:
        self.run: Callable[[], object] = not_bound
        self._interpreter = interpreter
        self._plan = plan
        self._request = request
        self._inputs = {each["name"]: each for each in interpreter.get_input_details()}
        self._outputs = {each["name"]: each for each in interpreter.get_output_details()}
        self._bound: list[tuple[int, Array]] = []
        self._check_names()

    def bind(self, inputs: Sequence[Tensor]) -> None:
        """Bring ``inputs`` into the layout and types of the converted model, and set them."""
        values = {tensor.name: self._value(tensor) for tensor in inputs}
        if lacking := sorted(set(self._inputs) - set(values)):
            raise InputRefused(f"input {lacking[0]!r} is not given", "give it with --inputs")
        # What the converter found to have no effect is no input any more.
        self._bound = [
            (self._inputs[name]["index"], value)
            for name, value in values.items()
            if name in self._inputs
        ]
        for index, value in self._bound:
            self._interpreter.set_tensor(index, value)
        call = self._interpreter.invoke if self._request.boundary == "device" else self._host_call()
        self.run = guarded(self, call, _translate)

    def outputs(self, result: object) -> dict[str, Array]:
        """Return what the last run left in the interpreter, as the ONNX file declares it."""
        del result
        return {spec.name: self._output(spec.name, spec.dtype) for spec in self._request.outputs}

    def facts(self) -> JsonObject:
        """Return the version, what was asked of the interpreter, and how inputs are laid out."""
        return {
            "runtime_version": importlib.metadata.version("ai-edge-litert"),
            "converter_version": importlib.metadata.version("onnx2tf"),
            "boundary": self._request.boundary,
            "options": {},  # the interpreter can be asked for none of them
            "options_told": {"num_threads": self._request.threads, **self._request.options},
            "threads_control": "exact",
            "spinning": _SPINNING,
            "inputs": {
                name: {
                    "shape": [int(size) for size in each["shape"]],
                    "dtype": each["dtype"].__name__,
                    "layout": "NHWC" if name in self._plan["channels_last"] else "as in ONNX",
                }
                for name, each in self._inputs.items()
            },
        }

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return which operators XNNPACK took, and the type of most multiplications."""
        # No public call lists operators; what is public about them is printed text.
        ops = self._interpreter._get_ops_details()  # noqa: SLF001
        tensors = {each["index"]: each for each in self._interpreter.get_tensor_details()}
        return placing.placement(ops), placing.precision(ops, tensors)

    def close(self) -> None:
        """Drop the interpreter."""
        self.run = not_bound
        self._bound = []
        self._interpreter = None

    def _check_names(self) -> None:
        """Raise Unsupported where the converter renamed what cannot be told apart then."""
        declared = {spec.name for spec in self._request.outputs}
        if lacking := sorted(declared - set(self._outputs)):
            raise Unsupported(
                f"the converted model has no output {lacking[0]!r}",
                "the converter wrote another graph than it was given",
            )

    def _value(self, tensor: Tensor) -> Array:
        wanted = self._inputs.get(tensor.name)
        expected = self._request.shapes.get(tensor.name)
        if expected is None or tensor.array.shape != tuple(expected):
            raise InputRefused(
                f"input {tensor.name!r} has the shape {list(tensor.array.shape)}; the model was "
                f"converted for {None if expected is None else list(expected)}",
                "choose it with --shape",
            )
        if wanted is None:
            return tensor.array
        moved = tensor.array
        if tensor.name in self._plan["channels_last"]:
            moved = moved.transpose(conversion.CHANNELS_LAST)
        if moved.shape != tuple(wanted["shape"]) or tensor.dtype.startswith(("bfloat", "float8")):
            raise Unsupported(
                f"the converted input {tensor.name!r} is {list(wanted['shape'])} of "
                f"{wanted['dtype'].__name__}, for {list(tensor.array.shape)} of {tensor.dtype}",
                "the converter wrote another graph than it was given",
            )
        return np.asarray(moved, dtype=wanted["dtype"], order="C")

    def _output(self, name: str, dtype: str) -> Array:
        value: Array = self._interpreter.get_tensor(self._outputs[name]["index"])
        shape = self._plan["outputs"].get(name)
        if shape is not None and value.shape != tuple(shape):
            if _without_ones(value.shape) != _without_ones(shape):
                raise Unsupported(
                    f"output {name!r} came as {list(value.shape)} instead of {shape}",
                    "the converter wrote another graph than it was given",
                )
            value = value.reshape(shape)
        return value.astype(_NUMPY.get(dtype, dtype), copy=False)

    def _host_call(self) -> Callable[[], object]:
        put, invoke, get = (
            self._interpreter.set_tensor,
            self._interpreter.invoke,
            self._interpreter.get_tensor,
        )
        bound = self._bound
        indices = [each["index"] for each in self._outputs.values()]

        def call() -> list[Array]:
            for index, value in bound:
                put(index, value)
            invoke()
            return [get(index) for index in indices]

        return call


LITERT = LiteRt()


def _check_options(options: Mapping[str, str]) -> None:
    for name in options:
        if name not in OPTIONS:
            raise refused_option("LiteRT", name, OPTIONS)


def _arguments(litert: Any, options: Mapping[str, str]) -> JsonObject:
    found: JsonObject = {}
    for name, text in options.items():
        if name == _RESOLVER:
            kinds = litert.OpResolverType.__members__
            if text.upper() not in kinds:
                raise Unsupported(f"{name}={text!r} is not known", f"one of: {', '.join(kinds)}")
            found[name] = kinds[text.upper()]
        elif text.lower() in _TRUE | _FALSE:
            found[name] = text.lower() in _TRUE
        else:
            raise Unsupported(f"{name}={text!r} is neither true nor false", f"--set {name}=1")
    return found


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size != 1]


def _translate(error: Exception) -> Exception:
    """Return ``error`` as one of ours: LiteRT raises ValueError and RuntimeError for everything."""
    text = str(error)
    if isinstance(error, MemoryError) or "bad_alloc" in text or "Failed to allocate" in text:
        return OutOfMemory(text or "out of memory", SMALLER)
    return Unsupported(f"{type(error).__name__}: {text}", "LiteRT cannot run this model")
