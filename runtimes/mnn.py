"""MNN on the CPU, through its session interface, from a file that its converter makes of ONNX.

Tried with MNN 3.6.1. Importing it and running a model open no socket and start no process (strace,
2026-11), nor does converting with ``_tools`` (Python's audit hook). The scripts ``mnnconvert`` and
``mnn`` do both: they install an SDK with pip and report each use. Nothing of them, nor of
``MNN.tools``, is imported here.
"""

from __future__ import annotations

import importlib.metadata
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.adapting import SMALLER, PlainEngine, installed, not_bound, one_place
from onnxbench.errors import InputRefused, NotInstalled, OutOfMemory, Unsupported
from onnxbench.runtimes import _mnn_options as options
from onnxbench.runtimes._captured import said_again
from onnxbench.runtimes._mnn_profile import Watched

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
    )

    Array = np.ndarray[Any, np.dtype[Any]]

PROVIDER = "MNN CPU"
INSTALL = "onnxbench install mnn"
FILE = "model.mnn"

_OTHER = "choose another runtime for this model"

_NUMPY = {"float": "float32", "double": "float64", "float16": "float16", "bool": "bool"} | {
    f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
"""ONNX element types that MNN's values can be given back in."""


class Mnn:
    """The adapter behind runtime name ``mnn``."""

    name = "mnn"
    modules = ("MNN",)
    distributions = ("MNN",)
    environment = "mnn"
    provider = PROVIDER
    revision = 1

    def probe(self) -> Capability:
        """Look for the package without importing it."""
        return installed(self.name, self.distributions, INSTALL)

    def convert(self, request: ConvertRequest) -> JsonObject:
        """Write `FILE` into the folder. MNN's converter aborts the process at what it cannot read.

        Raises Unsupported, NotInstalled.
        """
        options.chosen(request.precision, request.options)
        try:
            import _tools  # noqa: PLC0415 - MNN's converter without its telemetry
        except ImportError as error:
            raise NotInstalled(str(error), INSTALL) from error
        path = Path(request.folder, FILE)
        arguments = [
            "mnnconvert", "--framework", "ONNX", "--modelFile", request.model,
            "--MNNModel", str(path), "--bizCode", "onnxbench",
        ]  # fmt: skip
        if not _tools.mnnconvert(arguments) or not path.is_file():
            said = said_again(partial(_tools.mnnconvert, arguments))
            raise Unsupported(f"MNN's converter failed; the last it said: {said}", _OTHER)
        return {"converter": f"MNN {importlib.metadata.version('MNN')}"}

    def build(self, request: BuildRequest) -> MnnEngine:
        """Create the session. Raises Unsupported, NotInstalled."""
        try:
            import MNN  # noqa: PLC0415 - worker only
        except ImportError as error:
            raise NotInstalled(str(error), INSTALL) from error
        return MnnEngine(MNN, request)


class MnnEngine(PlainEngine):
    """One session at fixed shapes, at the boundary ``host``.

    As MNN's guide has it, arrays become tensors that are copied into the session's, and its outputs
    are copied into tensors and arrays. There is no boundary ``device``: a session plans memory so
    that a run overwrites its inputs, and a second run without them gives another answer.
    """

    def __init__(self, mnn: Any, request: BuildRequest) -> None:
        assert request.converted is not None
        if request.boundary == "device":
            raise Unsupported(
                "MNN overwrites its inputs in each run: they cannot stay where it computes",
                "--boundary host",
            )
        self.run: Callable[[], list[Array]] = not_bound
        self._mnn = mnn
        self._request = request
        self._path = str(Path(request.converted, FILE))
        self._modes = options.chosen(request.precision, request.options)
        self._net, self._session = self._open(self._modes)
        self._inputs = self._net.getSessionInputAll(self._session)
        self._results = self._outputs_of(self._net, self._session)
        self._types: dict[Any, np.dtype[Any]] = {
            mnn.Halide_Type_Float: np.dtype(np.float32),
            mnn.Halide_Type_Int: np.dtype(np.int32),
            mnn.Halide_Type_Int64: np.dtype(np.int64),
            mnn.Halide_Type_Uint8: np.dtype(np.uint8),
        }
        self._feed: list[tuple[Any, tuple[int, ...], Any, Array]] = []

    def bind(self, inputs: Sequence[Tensor]) -> None:
        """Take arrays, in the types that the session has for them."""
        given = {tensor.name: tensor for tensor in inputs}
        self._feed = []
        for spec in self._request.inputs:
            if spec.name not in given:
                raise InputRefused(f"input {spec.name!r} was not given", "give it with --inputs")
            self._feed.append(self._as_mnn(given[spec.name]))
        self._fill(self._feed)
        self.run = self._run

    def outputs(self, result: list[Array]) -> dict[str, Array]:
        """Return ``result`` of the last run in the types of the ONNX file."""
        return self._declared(result)

    def facts(self) -> JsonObject:
        """Return versions and what the session says of itself."""
        return {
            "runtime_version": self._mnn.version(),
            "boundary": self._request.boundary,
            "options": options.effective(self._net, self._session),
            "options_told": dict(self._modes),
            "threads_control": "exact",
            # MNN's pool: busy while a run lasts, asleep between two.
            "spinning": self._request.threads > 1 and "during a run; asleep between runs",
        }

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return the operators that ran, and the precision.

        MNN does not tell its precision. ``high`` is float32 by its definition; anything else is
        computed beside it, and has narrowed nothing where no bit of the outputs differs.
        """
        operators = Watched(self._net, self._session).operators()
        backend = options.backend(self._net, self._session)
        provider = PROVIDER if backend in options.CPU.values() else f"MNN {backend}"
        return [one_place(provider, operators)], self._precision()

    def op_times(self) -> list[OpTime]:
        """Return time per operator."""
        return Watched(self._net, self._session).times(PROVIDER)

    def close(self) -> None:
        """Drop session and net."""
        self.run = not_bound
        self._feed = []
        self._inputs, self._results = {}, []
        self._session = self._net = None

    def _open(self, modes: dict[str, str]) -> tuple[Any, Any]:
        """Return net and session at the shapes of the request. Raises Unsupported."""
        config = options.session_config(self._request.threads, modes)
        try:
            net = self._mnn.Interpreter(self._path)
            session = net.createSession(config)
        except Exception as error:
            said = said_again(lambda: self._mnn.Interpreter(self._path).createSession(config))
            raise Unsupported(f"MNN cannot load the model: {said or error}", _OTHER) from error
        tensors = net.getSessionInputAll(session)
        for name, shape in self._request.shapes.items():
            if name not in tensors:
                raise Unsupported(f"MNN's converter left out input {name!r}", _OTHER)
            if tuple(tensors[name].getShape()) != tuple(shape):
                net.resizeTensor(tensors[name], tuple(shape))
        net.resizeSession(session)
        if not options.is_ready(net, session):
            said = said_again(partial(net.resizeSession, session))
            raise Unsupported(
                f"MNN cannot plan the model at these shapes: {said or 'it does not say why'}",
                _OTHER,
            )
        return net, session

    def _outputs_of(self, net: Any, session: Any) -> list[tuple[Any, Any]]:
        """Return each output and a tensor in host memory for it, in the order of the file."""
        found = net.getSessionOutputAll(session)
        lacking = [spec.name for spec in self._request.outputs if spec.name not in found]
        if lacking:
            raise Unsupported(f"MNN's converter left out output {lacking[0]!r}", _OTHER)
        caffe = self._mnn.Tensor_DimensionType_Caffe  # the order of axes is that of the file
        tensors = [found[spec.name] for spec in self._request.outputs]
        return [(tensor, self._mnn.Tensor(tensor, caffe)) for tensor in tensors]

    def _as_mnn(self, tensor: Tensor) -> tuple[Any, tuple[int, ...], Any, Array]:
        """Return the session's tensor, shape, type and values. Raises InputRefused."""
        target, wanted = self._inputs[tensor.name], tuple(self._request.shapes[tensor.name])
        kind = target.getDataType()
        array = tensor.array
        if array.shape != wanted:
            raise InputRefused(
                f"input {tensor.name!r} takes shape {list(wanted)}, given was {list(array.shape)}",
                "give it with --inputs",
            )
        if kind not in self._types or tensor.dtype not in _NUMPY:
            what = f"input {tensor.name!r} is of type {tensor.dtype}"
            raise InputRefused(f"{what}, which MNN does not have", _OTHER)
        values = np.ascontiguousarray(array, self._types[kind])
        if not np.array_equal(values, array) and array.dtype.kind in "iu":
            raise InputRefused(
                f"input {tensor.name!r} has values beyond {values.dtype}, which MNN takes for it",
                "give other values with --inputs",
            )
        return target, wanted, kind, values.reshape(wanted)

    def _fill(self, feed: Sequence[tuple[Any, tuple[int, ...], Any, Array]]) -> None:
        make, caffe = self._mnn.Tensor, self._mnn.Tensor_DimensionType_Caffe
        for target, shape, kind, array in feed:
            target.copyFrom(make(shape, kind, array, caffe))

    def _run(self) -> list[Array]:
        self._fill(self._feed)
        code = self._net.runSession(self._session)
        if code != 0:
            raise _failure(code)
        return self._read(self._results)

    @staticmethod
    def _read(results: Sequence[tuple[Any, Any]]) -> list[Array]:
        for tensor, host in results:
            tensor.copyToHostTensor(host)
        # What getNumpyData returns is the tensor's own memory, and does not keep it alive.
        return [np.array(host.getNumpyData()) for _, host in results]

    def _declared(self, values: Sequence[Array]) -> dict[str, Array]:
        found = {}
        for spec, value in zip(self._request.outputs, values, strict=True):
            if spec.dtype not in _NUMPY:
                what = f"output {spec.name!r} is of type {spec.dtype}"
                raise Unsupported(f"{what}, which MNN does not have", _OTHER)
            found[spec.name] = value.astype(_NUMPY[spec.dtype], copy=False)
        return found

    def _precision(self) -> str:
        mode = self._modes.get("precision", "normal")
        if mode == "high" or not self._differs_from_high():
            return "float32"
        return options.NARROWER.get(mode, "float16")

    def _differs_from_high(self) -> bool:
        net, session = self._open({**self._modes, "precision": "high"})
        inputs = net.getSessionInputAll(session)
        names = [spec.name for spec in self._request.inputs]
        self._fill(
            [(inputs[name], *rest) for name, (_, *rest) in zip(names, self._feed, strict=True)]
        )
        net.runSession(session)
        exact = self._read(self._outputs_of(net, session))
        ours = self._run()
        return any(a.tobytes() != b.tobytes() for a, b in zip(ours, exact, strict=True))


MNN = Mnn()


def _failure(code: int) -> Exception:
    """Return the error for what ``runSession`` returned (ErrorCode.hpp)."""
    if code == 1:
        return OutOfMemory("MNN ran out of memory", SMALLER)
    return Unsupported(f"MNN cannot run the model (code {code})", _OTHER)
