"""The reference evaluator of onnx: what the operators' specification says, computed by numpy.

The oracle where ONNX Runtime's CPU provider is missing or cannot run a model. It is never timed
for a result: most operators are loops in Python. Tried with onnx 1.23.2.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.adapting import SMALLER, PlainEngine, installed, not_bound, refused_option
from onnxbench.errors import InputRefused, NotInstalled, OutOfMemory, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxbench.protocols import Tensor
    from onnxbench.types import BuildRequest, Capability, JsonObject, PlacementDoc

    Array = np.ndarray[Any, np.dtype[Any]]

INSTALL = "pip install onnx"

_RAW_BITS = ("bfloat16", "float8")
"""How the types begin that travel as raw bits and that the evaluator has in arrays of ml_dtypes."""

_OLDEST_QUANTIZED = 19
"""The evaluator has QuantizeLinear and DequantizeLinear from this version of the operators on."""


class Reference:
    """The adapter behind the runtime name ``reference``; an oracle, no entry point."""

    name = "reference"
    modules = ("onnx.reference",)
    distributions = ("onnx",)
    environment = ""
    provider = ""
    device = "cpu"

    def probe(self) -> Capability:
        """Look for the package without importing it."""
        return installed(self.name, self.distributions, INSTALL)

    def build(self, request: BuildRequest) -> ReferenceEngine:
        """Read the model, external data included. Raises Unsupported, OutOfMemory, NotInstalled."""
        for name in request.options:
            raise refused_option("the reference evaluator", name, ())
        if request.boundary != "host":
            raise Unsupported("the reference evaluator takes arrays alone", "--boundary host")
        try:
            import onnx  # noqa: PLC0415 - worker only
            from onnx.reference import ReferenceEvaluator  # noqa: PLC0415
        except ImportError as error:
            raise NotInstalled(str(error), INSTALL) from error
        try:
            model = onnx.load(request.model)
            evaluator = ReferenceEvaluator(model, new_ops=_older_operators(model))
        except MemoryError as error:
            raise OutOfMemory(str(error), "raise --max-memory") from error
        except Exception as error:
            raise _unsupported(error) from error
        return ReferenceEngine(onnx, evaluator)


class ReferenceEngine(PlainEngine):
    """One evaluator with its bound inputs."""

    def __init__(self, onnx: Any, evaluator: Any) -> None:
        self.run: Callable[[], object] = not_bound
        self._onnx = onnx
        self._evaluator = evaluator
        self._names: list[str] = list(evaluator.output_names)

    def bind(self, inputs: Sequence[Tensor]) -> None:
        """Bind ``inputs``; which shapes and types fit is found out by the first run."""
        wanted, given = set(self._required()), {tensor.name for tensor in inputs}
        if lacking := sorted(wanted - given):
            raise InputRefused(f"input {lacking[0]!r} is not given", "give it with --inputs")
        feed = {tensor.name: self._value(tensor) for tensor in inputs}
        self.run = partial(self._run, feed)

    def outputs(self, result: list[Any]) -> dict[str, Array]:
        """Return ``result`` of the last run by name."""
        return dict(zip(self._names, map(_as_array, result), strict=True))

    def facts(self) -> JsonObject:
        """Return the version, and that numpy's threads are out of reach."""
        return {
            "runtime_version": self._onnx.__version__,
            "boundary": "host",
            "options": {},
            "threads_control": "numpy's BLAS reads its number of threads when it is imported",
            "spinning": "up to numpy's BLAS",
        }

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return nothing: every operator is computed by numpy, in the types of its inputs."""
        return [], None

    def close(self) -> None:
        """Drop the evaluator."""
        self.run = not_bound
        self._evaluator = None

    def _run(self, feed: dict[str, Array]) -> list[Any]:
        try:
            found: list[Any] = self._evaluator.run(None, feed)
        except MemoryError as error:
            raise OutOfMemory(str(error), SMALLER) from error
        except Exception as error:
            raise _unsupported(error) from error
        return found

    def _required(self) -> list[str]:
        graph = self._evaluator.proto_.graph
        weights = {tensor.name for tensor in graph.initializer}
        weights |= {tensor.values.name for tensor in graph.sparse_initializer}
        return [value.name for value in graph.input if value.name not in weights]

    def _value(self, tensor: Tensor) -> Array:
        if not tensor.dtype.startswith(_RAW_BITS):
            return tensor.array
        number = self._onnx.TensorProto.DataType.Value(tensor.dtype.upper())
        return tensor.array.view(self._onnx.helper.tensor_dtype_to_np_dtype(number))


REFERENCE = Reference()


def _as_array(value: Any) -> Array:
    """Return an output as an array: a sequence flat, a type that numpy lacks as its raw bits."""
    if isinstance(value, list) and value and all(isinstance(v, np.ndarray) for v in value):
        return np.concatenate([v.ravel() for v in value])
    if isinstance(value, list | dict):
        return np.array([repr(value)], dtype=object)
    array = np.asarray(value)
    if array.dtype.name.startswith(_RAW_BITS):
        return array.view(f"uint{8 * array.dtype.itemsize}")
    return array


def _older_operators(model: Any) -> list[Any]:
    """Return what the evaluator lacks for ``model``: operators whose later versions only add."""
    versions = {opset.domain: opset.version for opset in model.opset_import}
    if versions.get("", _OLDEST_QUANTIZED) >= _OLDEST_QUANTIZED:
        return []
    from onnx.reference.ops import op_dequantize_linear, op_quantize_linear  # noqa: PLC0415

    latest = {
        "QuantizeLinear": op_quantize_linear.QuantizeLinear_25,
        "DequantizeLinear": op_dequantize_linear.DequantizeLinear_25,
    }
    return [type(name, (kind,), {"op_domain": ""}) for name, kind in latest.items()]


def _unsupported(error: Exception) -> Unsupported:
    return Unsupported(
        f"{type(error).__name__}: {error}", "the reference evaluator cannot run this model"
    )
