"""ncnn on the CPU, from files that pnnx makes of ONNX.

Tried with ncnn 1.0.20261020, whose blobs have a batch axis (those of older ones do not). Importing
it starts no process and opens no socket (strace, 2026-11). Its Vulkan backend is not used.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.adapting import SMALLER, PlainEngine, installed, not_bound, one_place
from onnxbench.errors import InputRefused, NotInstalled, OutOfMemory, Unsupported
from onnxbench.runtimes import _ncnn_convert, _ncnn_options, _ncnn_profile
from onnxbench.runtimes._captured import said_again

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxbench.protocols import Tensor
    from onnxbench.types import (
        BuildRequest,
        Capability,
        ConvertRequest,
        JsonObject,
        OpTime,
        PlacementDoc,
        TensorSpec,
    )

    Array = np.ndarray[Any, np.dtype[Any]]

PROVIDER = "ncnn CPU"
INSTALL = "onnxbench install ncnn"

NO_AXIS = 233
"""What ncnn and pnnx call the axis of a batch that is not there."""

_OUT_OF_MEMORY = -100
"""What ncnn's functions return when they cannot allocate."""

_NUMPY = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "uint8": "uint8",
    "bool": "bool",
}
"""ONNX element types that ncnn's values can be given back in."""


class Ncnn:
    """The adapter behind runtime name ``ncnn``."""

    name = "ncnn"
    modules = ("ncnn",)
    distributions = ("ncnn", "pnnx")
    environment = "ncnn"
    provider = PROVIDER
    revision = 1

    def probe(self) -> Capability:
        """Look for the packages without importing them."""
        return installed(self.name, self.distributions, INSTALL)

    def convert(self, request: ConvertRequest) -> JsonObject:
        """Let pnnx convert. Raises Unsupported, NotInstalled."""
        ncnn = _module()
        _ncnn_options.apply(ncnn, ncnn.Option(), 1, request.precision, request.options)
        return _ncnn_convert.convert(ncnn, request)

    def build(self, request: BuildRequest) -> NcnnEngine:
        """Load the converted files. Raises Unsupported, NotInstalled."""
        return NcnnEngine(_module(), request)


class NcnnEngine(PlainEngine):
    """One net with its inputs. A run makes an extractor, as ncnn is used.

    Boundary ``host``: arrays are copied into blobs and blobs read as arrays in each run.
    ``device``: the inputs are blobs already, and the outputs stay blobs.
    """

    def __init__(self, ncnn: Any, request: BuildRequest) -> None:
        assert request.converted is not None
        self.run: Callable[[], list[Any]] = not_bound
        self._ncnn = ncnn
        self._request = request
        self._folder = Path(request.converted)
        self._call = json.loads((self._folder / _ncnn_convert.CALL).read_text(encoding="utf-8"))
        self._net = self._load()
        self._feed: list[tuple[str, Array, int]] = []
        self._blobs: list[tuple[str, Any]] = []
        self._wanted = [(out["blob"], out["axis"]) for out in self._call["outputs"]]
        integers = [spec.dtype.startswith(("int", "uint")) for spec in request.outputs]
        self._formats = ["i" if integer else "" for integer in integers]

    def bind(self, inputs: Sequence[Tensor]) -> None:
        """Take arrays in the types that ncnn computes in: float32 and int32."""
        given = {tensor.name: tensor for tensor in inputs}
        self._feed = []
        for entry, spec in zip(self._call["inputs"], self._request.inputs, strict=True):
            if spec.name not in given:
                raise InputRefused(f"input {spec.name!r} was not given", "give it with --inputs")
            array = _as_ncnn(given[spec.name], spec, self._request.shapes[spec.name])
            axis = entry["axis"]
            if axis != NO_AXIS and array.shape[axis] == 1:
                array, axis = array.squeeze(axis), NO_AXIS
            self._feed.append((entry["blob"], array, axis))
        self._blobs = [(blob, self._mat(array, axis)) for blob, array, axis in self._feed]
        on_host = self._request.boundary == "host"
        self.run = partial(self._run_host if on_host else self._run_device, self._net)

    def outputs(self, result: list[Any]) -> dict[str, Array]:
        """Return ``result`` of the last run as the ONNX file declares the outputs."""
        values = self._arrays(result) if self._request.boundary == "device" else result
        symbols = self._symbols()
        return {
            spec.name: _as_declared(value, spec, symbols)
            for value, spec in zip(values, self._request.outputs, strict=True)
        }

    def facts(self) -> JsonObject:
        """Return versions and every option as the net has it."""
        option = self._net.opt
        return {
            "runtime_version": self._ncnn.__version__,
            "boundary": self._request.boundary,
            "options": _ncnn_options.read(option),
            "threads_control": "exact",
            "spinning": _ncnn_options.spinning(self._ncnn, option),
        }

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return the layers, which have nowhere else to run, and the precision."""
        operators = Counter(layer.type for layer in _ncnn_profile.layers(self._net))
        weights = self._call["weights"]
        precision = _ncnn_profile.precision(self._ncnn, self._net.opt, weights, self._without)
        return [one_place(PROVIDER, operators)], precision

    def op_times(self) -> list[OpTime]:
        """Return time per layer."""
        return _ncnn_profile.time_layers(self._net, self._give, PROVIDER)

    def close(self) -> None:
        """Drop blobs and net."""
        self.run = not_bound
        self._blobs = []
        self._net.clear()

    def _load(self, off: Sequence[str] = ()) -> Any:
        """Return the net, without the options ``off``."""
        net = self._ncnn.Net()
        request = self._request
        _ncnn_options.apply(
            self._ncnn, net.opt, request.threads, request.precision, request.options
        )
        for name in off:
            setattr(net.opt, name, False)
        for load, name in (
            (net.load_param, _ncnn_convert.PARAM),
            (net.load_model, _ncnn_convert.BIN),
        ):
            code = load(str(self._folder / name))
            if code != 0:
                said = said_again(partial(load, str(self._folder / name)))
                raise Unsupported(
                    f"ncnn cannot load {name}, which pnnx wrote (code {code}): {said}",
                    "choose another runtime for this model",
                )
        return net

    def _mat(self, array: Array, axis: int) -> Any:
        """Return a blob with the values of ``array``; ``axis`` is that of the batch."""
        if axis == NO_AXIS:
            # A blob that only points at an array crashes layers that compute in place.
            return self._ncnn.Mat(array).clone()
        return self._ncnn.Mat(array, axis)

    def _run_host(self, net: Any) -> list[Array]:
        extractor = net.create_extractor()
        for blob, array, axis in self._feed:
            extractor.input(blob, self._mat(array, axis))
        return self._arrays(self._extracted(extractor))

    def _run_device(self, net: Any) -> list[Any]:
        extractor = net.create_extractor()
        self._give(extractor)
        return self._extracted(extractor)

    def _extracted(self, extractor: Any) -> list[Any]:
        """Return the blobs of the outputs, which are computed by this."""
        found = []
        for blob, _ in self._wanted:
            code, mat = extractor.extract(blob)
            if code != 0:
                raise _failure(blob, code)
            found.append(mat)
        return found

    def _arrays(self, mats: Sequence[Any]) -> list[Array]:
        return [
            mat.numpy(kind, axis)
            for mat, (_, axis), kind in zip(mats, self._wanted, self._formats, strict=True)
        ]

    def _give(self, extractor: Any) -> None:
        for blob, mat in self._blobs:
            extractor.input(blob, mat)

    def _without(self, off: Sequence[str]) -> list[Array]:
        """Return the outputs of the net without the options ``off``."""
        return self._run_host(self._load(off) if off else self._net)

    def _symbols(self) -> dict[str, int]:
        """Return the sizes of named dimensions, as the inputs have them."""
        return {
            dim: size
            for spec in self._request.inputs
            for dim, size in zip(spec.shape or (), self._request.shapes[spec.name], strict=False)
            if isinstance(dim, str)
        }


NCNN = Ncnn()


def _module() -> Any:
    try:
        import ncnn  # noqa: PLC0415 - worker only
    except ImportError as error:
        raise NotInstalled(str(error), INSTALL) from error
    return ncnn


def _failure(blob: str, code: int) -> Exception:
    if code == _OUT_OF_MEMORY:
        return OutOfMemory("ncnn could not allocate a blob", SMALLER)
    return Unsupported(
        f"ncnn could not compute blob {blob} (code {code})", "choose another runtime for this model"
    )


def _as_ncnn(tensor: Tensor, spec: TensorSpec, shape: Sequence[int]) -> Array:
    """Return the values of ``tensor`` as ncnn takes them. Raises InputRefused."""
    array = tensor.array
    if tensor.dtype != spec.dtype or array.shape != tuple(shape):
        raise InputRefused(
            f"input {spec.name!r} takes {spec.dtype} of shape {list(shape)}, "
            f"given was {tensor.dtype} of {list(array.shape)}",
            "give it with --inputs",
        )
    if array.dtype.kind == "f":
        return np.ascontiguousarray(array, np.float32)
    if array.dtype.kind in "iu" and spec.dtype in _NUMPY:
        limits = np.iinfo(np.int32)
        if array.size and (array.min() < limits.min or array.max() > limits.max):
            raise InputRefused(f"input {spec.name!r} has values beyond int32, which ncnn has",
                               "give other values with --inputs")  # fmt: skip
        return np.ascontiguousarray(array, np.int32)
    raise InputRefused(
        f"input {spec.name!r} is of type {spec.dtype}, which ncnn has not",
        "choose another runtime for this model",
    )


def _as_declared(value: Array, spec: TensorSpec, symbols: dict[str, int]) -> Array:
    """Return ``value`` in the shape and type of ``spec``, as far as those are known."""
    if spec.dtype not in _NUMPY:
        raise Unsupported(f"output {spec.name!r} is of type {spec.dtype}, which ncnn has not",
                          "choose another runtime for this model")  # fmt: skip
    array = np.array(value, _NUMPY[spec.dtype], order="C")
    if spec.shape is None:
        return array
    dims = [dim if isinstance(dim, int) else symbols.get(dim or "", -1) for dim in spec.shape]
    known = int(np.prod([dim for dim in dims if dim >= 0], dtype=np.int64))
    unknown = dims.count(-1)
    fits = known == array.size if unknown == 0 else known > 0 and array.size % known == 0
    return array.reshape(dims) if unknown <= 1 and fits else array
