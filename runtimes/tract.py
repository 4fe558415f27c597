"""tract, the inference engine in Rust by Sonos, which reads ONNX itself.

Tried with tract 0.23.9. It has neither options nor a switch for precision, and its Python package
has no call for the number of threads: one thread computes.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from onnxbench.adapting import (
    SMALLER,
    PlainEngine,
    guarded,
    installed,
    longest_first,
    not_bound,
    one_place,
    refuse_misfits,
    refuse_types,
    refused_option,
)
from onnxbench.errors import NotInstalled, OutOfMemory, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np

    from onnxbench.protocols import Tensor
    from onnxbench.types import (
        BuildRequest,
        Capability,
        JsonObject,
        OpTime,
        PlacementDoc,
        TensorSpec,
    )

    Array = np.ndarray[Any, np.dtype[Any]]

PROVIDER = "tract CPU"
INSTALL = "onnxbench install tract"

_TYPES = {
    "float": "f32",
    "double": "f64",
    "float16": "f16",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "uint16": "u16",
    "uint32": "u32",
    "uint64": "u64",
    "bool": "bool",
}
"""ONNX element type → tract's name of it, of those that its Python package can pass on."""

_PRECISIONS = {"F16": "float16", "F32": "float32", "F64": "float64", "I8": "int8", "U8": "int8"}

_IDLE = ("Const", "Source")
"""Nodes that compute nothing."""


class Tract:
    """The adapter behind runtime name ``tract``."""

    name = "tract"
    modules = ("tract",)
    distributions = ("tract",)
    environment = "tract"
    provider = PROVIDER
    device = "cpu"

    def probe(self) -> Capability:
        """Look for the package without importing it."""
        return installed(self.name, self.distributions, INSTALL)

    def build(self, request: BuildRequest) -> TractEngine:
        """Read, fix the shapes and optimise. Raises Unsupported, OutOfMemory, NotInstalled."""
        try:
            import tract  # noqa: PLC0415 - worker only
        except ImportError as error:
            raise NotInstalled(str(error), INSTALL) from error
        for name in request.options:
            raise refused_option("tract", name, ())
        refuse_types(request, _TYPES, "tract's Python package cannot pass on")
        try:
            return TractEngine(tract, request)
        except (tract.TractError, MemoryError) as error:
            raise _translate(error, "load") from error


class TractEngine(PlainEngine):
    """One optimised model.

    Boundary ``host`` takes and gives numpy arrays, which tract's package copies both ways.
    Boundary ``device`` has inputs in tensors of tract's own and leaves outputs in them.
    """

    def __init__(self, tract: Any, request: BuildRequest) -> None:
        self.run: Callable[[], object] = not_bound
        self._tract = tract
        self._asked = request
        self._feed: list[Any] = []
        self._repeated = 0
        try:
            self._names, self._runnable = _optimized(tract, request, symbolic=True)
        except tract.TractError:  # a shape that can only be inferred from numbers
            self._names, self._runnable = _optimized(tract, request, symbolic=False)
        if self._runnable.output_count() != len(request.outputs):
            raise Unsupported(
                f"tract gives {self._runnable.output_count()} outputs, the file has "
                f"{len(request.outputs)}",
                "this model cannot be compared, so it is not measured",
            )

    def bind(self, inputs: Sequence[Tensor]) -> None:
        """Take the inputs; boundary ``device`` copies them into tensors of tract's own."""
        self._check(inputs)
        arrays = {tensor.name: tensor.array for tensor in inputs}
        self._feed = [arrays[name] for name in self._names]
        if self._asked.boundary == "device":
            self._feed = [self._tract.Tensor.from_numpy(array) for array in self._feed]
            call: Callable[[], object] = partial(self._runnable.run, self._feed)
        else:
            call = self._run_host
        self.run = guarded(self, call, partial(_translate, during="run"))

    def outputs(self, result: list[Any]) -> dict[str, Array]:
        """Return ``result`` of the last run by name."""
        names = [output.name for output in self._asked.outputs]
        if self._asked.boundary == "device":
            result = [tensor.to_numpy() for tensor in result]
        return dict(zip(names, result, strict=True))

    def facts(self) -> JsonObject:
        """Return version and what there is to say of threads."""
        return {
            "runtime_version": self._tract.version(),
            "boundary": self._asked.boundary,
            "options": {},
            "threads_control": "tract's Python package cannot be told: one thread computes",
            "spinning": False,
            "precision_from": "the type of most multiplications that tract counts",
        }

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return the nodes of the optimised model, and the type of most multiplications."""
        nodes = self._nodes(None)
        operators = Counter(node["op_name"] for node in nodes)
        return [one_place(PROVIDER, operators)], _precision(nodes)

    def op_times(self) -> list[OpTime]:
        """Return time per node. tract repeats the inference for five seconds to find out."""
        if all(node["op_name"] in _IDLE for node in self._nodes(None)):
            return []  # it aborts the process when there is nothing to time
        nodes, runs = self._nodes(self._feed), self._repeated
        spent = [round(node.get("secs_per_iter", 0.0) * 1e9) * runs for node in nodes]
        return longest_first(
            (node["node_name"], node["op_name"], PROVIDER, time, runs)
            for node, time in zip(nodes, spent, strict=True)
            if time
        )

    def close(self) -> None:
        """Drop the model and its inputs."""
        self.run = not_bound
        self._feed = []
        self._runnable = None

    def _run_host(self) -> list[Array]:
        return [tensor.to_numpy() for tensor in self._runnable.run(self._feed)]

    def _check(self, inputs: Sequence[Tensor]) -> None:
        """Raise InputRefused by name: tract knows its inputs by number alone."""
        given = {t.name: _fact(t.array.shape, _TYPES[t.dtype]) for t in inputs}
        wanted = {
            name: str(self._runnable.input_fact(index)) for index, name in enumerate(self._names)
        }
        refuse_misfits(given, wanted)

    def _nodes(self, inputs: list[Any] | None) -> list[dict[str, Any]]:
        """Return the nodes of the optimised model, with times if there are ``inputs``.

        Those that compute nothing are left out unless there are no others; nodes of subgraphs are
        part of the node that runs them.
        """
        found = json.loads(self._runnable.profile_json(inputs))
        self._repeated = (found.get("profiling_info") or {}).get("iterations", 0)
        outer = [node for node in found["nodes"] if not node["qualified_id"][0]]
        return [node for node in outer if node["op_name"] not in _IDLE] or outer


TRACT = Tract()


def _optimized(tract: Any, request: BuildRequest, *, symbolic: bool) -> tuple[list[str], Any]:
    """Return the names of the inputs in tract's order, and the model at the request's shapes.

    ``symbolic``: infer shapes with the file's named dimensions and put the numbers in afterwards.
    Files that name them for inner tensors too contradict numbers that are put in at first.
    """
    model = tract.onnx().load(request.model)
    names = [model.input_name(index) for index in range(model.input_count())]
    declared = {tensor.name: tensor for tensor in request.inputs}
    symbols: dict[str, int] = {}
    for index, name in enumerate(names):
        shape, spec = request.shapes[name], declared[name]
        named = _named(spec, shape)
        if symbolic and named is not None:
            symbols |= named
        else:
            model.set_input_fact(index, _fact(shape, _TYPES[spec.dtype]))
    typed = model.into_model()
    if symbols:
        typed.transform(tract.SetSymbols(symbols))
    return names, typed.into_runnable()


def _named(spec: TensorSpec, shape: tuple[int, ...]) -> dict[str, int] | None:
    """Return the size of each dimension with a name, None if names and numbers do not say all.

    A name that is no identifier is an expression for tract: ``N + 1`` has the symbol ``N``.
    """
    if spec.shape is None or len(spec.shape) != len(shape):
        return None
    pairs = list(zip(spec.shape, shape, strict=True))
    if all(dim == size or (isinstance(dim, str) and dim.isidentifier()) for dim, size in pairs):
        return {dim: size for dim, size in pairs if isinstance(dim, str)}
    return None


def _fact(shape: Iterable[int], type_: str) -> str:
    return ",".join([*map(str, shape), type_])


def _precision(nodes: list[dict[str, Any]]) -> str | None:
    """Return the type that tract says most multiplications are done in, None if it names none.

    It counts them per node, as ``FMA(F32)``.
    """
    counts = Counter[str]()
    for node in nodes:
        for kind, count in node.get("cost", {}).items():
            name, _, type_ = kind.rstrip(")").partition("(")
            if name == "FMA" and type_ in _PRECISIONS and count.isdecimal():
                counts[_PRECISIONS[type_]] += int(count)
    return counts.most_common(1)[0][0] if counts else None


def _translate(error: Exception, during: str) -> Exception:
    """Return ``error`` as one of ours, without the stack that tract appends."""
    text = str(error).partition("Stack backtrace")[0].strip()
    if isinstance(error, MemoryError):
        return OutOfMemory(text or "out of memory", SMALLER)
    if during == "load":
        return Unsupported(text, "tract cannot load this model or shape; see the message")
    return Unsupported(text, "tract cannot run this model; see the message")
