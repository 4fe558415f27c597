"""``paddle:NAME``: a network of ``ppcls.arch.backbone``, the model zoo of PaddleClas."""

from __future__ import annotations

import functools
import shutil
import tempfile
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.errors import ExportError
from onnxbench.sources import (
    BATCH,
    DATA_FILE,
    DEFAULT_OPSET,
    INSIDE_BYTES,
    MODEL_FILE,
    InputSpec,
    SourceFacts,
    Written,
)

from . import _paddle_weights, _paddle_zoo
from ._paddle_counts import Executed, examine
from ._paddle_graph import Graph, name_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from onnxbench.protocols import Array
    from onnxbench.sources import ExportRequest, SourceCounts

_IMAGE = InputSpec("image", (BATCH, 3, 224, 224))
_OPSETS = range(7, 22)
"""What paddle2onnx 2.1.0 takes; it aborts the process at others."""


class PaddleExporter:
    """Builds a network of PaddleClas and writes it by way of paddle2onnx."""

    name = "paddle"
    revision = 1
    modules = ("paddle", "paddle2onnx", "paddleclas")
    distributions = ("paddlepaddle", "paddle2onnx", "paddleclas", "onnx", "numpy")
    environment = "paddle"

    def load(self, request: ExportRequest) -> PaddleSource:
        """Build the network, in evaluation mode. Raises ExportError."""
        if request.opset is not None and request.opset not in _OPSETS:
            raise ExportError(
                f"paddle2onnx cannot write opset {request.opset}",
                f"--opset {_OPSETS[0]} to {_OPSETS[-1]}",
            )
        import paddle  # noqa: PLC0415
        from paddle.utils import unique_name  # noqa: PLC0415

        paddle.set_device("cpu")
        _paddle_weights.seed_everything(request.seed)
        with unique_name.guard():  # tensors are numbered from 0, in whichever process
            network = _paddle_zoo.build(
                request.location,
                pretrained=request.weights == "pretrained",
                arguments=dict(request.arguments),
            )
            network.eval()
            if request.weights == "random":
                _paddle_weights.randomise(network, _sample(request, 2), request.seed)
            notes = _paddle_zoo.fuse(network) if request.fuse else ()
        return PaddleSource(network, request, notes)


class PaddleSource:
    """A paddle network that can run, be counted and be written."""

    def __init__(self, network: Any, request: ExportRequest, notes: tuple[str, ...]) -> None:
        self._network = network
        self._request = request
        self._inputs = _inputs(request)
        self._notes = notes

    @functools.cached_property
    def facts(self) -> SourceFacts:
        """Parameters are those that the forward pass reads: some networks keep others for training
        or for another form. Raises ExportError."""
        request = self._request
        random = request.weights == "random"
        outputs = self.run([tensor.numpy() for tensor in _sample(request, 1)])
        names = tuple(f"logits_{i}" for i in range(len(outputs)))
        everything = {id(t): t for t in self._network.parameters()}
        read = [t for t in everything.values() if t.name in self._executed.parameters]
        buffers = {id(t) for t in _paddle_weights.statistics(self._network)}
        norms = _paddle_weights.batch_norms(self._network)
        scales = {id(t) for norm in norms for t in (norm.weight, norm.bias)}
        notes = self._notes + (_paddle_weights.check(outputs) if random else ())
        if unread := _elements(everything.values()) - _elements(read):
            notes += (f"{unread} elements of weights that the network never reads are not counted",)
        return SourceFacts(
            inputs=self._inputs,
            outputs=names if len(names) > 1 else ("logits",),
            weights=f"random: seed {request.seed}" if random else f"pretrained: {request.location}",
            params=_elements(t for t in read if id(t) not in buffers),
            norm_params=_elements(t for t in read if id(t) in scales),
            buffers=_elements(t for t in read if id(t) in buffers),
            versions={name: version(name) for name in PaddleExporter.distributions},
            preprocess=request.preprocess,
            notes=notes,
        )

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs, in the order of `facts`."""
        import paddle  # noqa: PLC0415

        with paddle.no_grad():
            results = self._network(*(paddle.to_tensor(array) for array in inputs))
        return [value.numpy() for value in _leaves(results)]

    def counts(self) -> SourceCounts | None:
        """Return what running one item costs, None where paddle's program does not show it."""
        return self._executed.counts

    def write(self) -> Written:
        """Trace with an open batch, convert the program alone, add the weights by their names.

        So no weight passes through paddle2onnx, whose result cannot exceed 2 GB.
        Raises ExportError.
        """
        import onnx  # noqa: PLC0415

        proto, graph = self._convert()
        if missing := graph.missing():
            raise ExportError(
                f"paddle2onnx wrote names without a value: {', '.join(sorted(missing)[:3])}",
                "report this network with its name",
            )
        graph.tidy()
        kept = 0 if self._request.keep_bn else graph.fold_batch_norms()
        for value, name in zip(proto.graph.output, self.facts.outputs, strict=True):
            graph.rename(value.name, name)
        graph.store()
        name_batch([*proto.graph.input, *proto.graph.output], BATCH)
        size = sum(tensor.ByteSize() for tensor in proto.graph.initializer)
        path = Path(self._request.folder, MODEL_FILE)
        external = size > INSIDE_BYTES
        onnx.save_model(proto, path, save_as_external_data=external, location=DATA_FILE)
        onnx.checker.check_model(path)
        return Written(
            route=f"paddle2onnx {version('paddle2onnx')}",
            opset=proto.opset_import[0].version,
            dynamic_batch=all(spec.shape[0] == BATCH for spec in self._inputs),
            notes=(f"{kept} BatchNormalization follow no convolution and stay",) if kept else (),
        )

    @functools.cached_property
    def _executed(self) -> Executed:
        with self._traced(1) as static:
            return examine(static.concrete_program.main_program)

    @contextmanager
    def _traced(self, batch: int | None) -> Iterator[Any]:
        """Give the forward function as a static program; the network itself stays as it is."""
        from paddle import jit  # noqa: PLC0415
        from paddle.static import InputSpec as Spec  # noqa: PLC0415

        specs = [
            Spec(
                [dim if isinstance(dim, int) else batch for dim in spec.shape],
                _paddle_type(spec.dtype),
                spec.name,
            )
            for spec in self._inputs
        ]
        try:
            yield jit.to_static(self._network, input_spec=specs, full_graph=True).forward
        finally:
            del self._network.forward

    def _convert(self) -> tuple[Any, Graph]:
        """Return the ONNX model, and its graph with the weights."""
        import onnx  # noqa: PLC0415
        import paddle2onnx.paddle2onnx_cpp2py_export as converter  # noqa: PLC0415
        from paddle import jit  # noqa: PLC0415

        folder = tempfile.mkdtemp(dir=self._request.folder)
        try:
            with self._traced(None) as static:
                jit.save(self._network, str(Path(folder, "model")))
                tensors, _ = static.concrete_program.parameters
            # Not paddle2onnx.export: that folds constants with a tool that installs packages.
            text = converter.export(
                str(Path(folder, "model.json")),
                "",  # no weights
                self._request.opset or DEFAULT_OPSET,
                True,  # the lowest opset above it if an operator needs that
                False,  # verbose
                False,  # check the result, which is not whole yet
                True,  # experimental operators
                True,  # its own optimiser
                {},  # custom operators
                "onnxruntime",
                "",  # calibration
                "",  # external data
                False,  # float16
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        weights = {tensor.name: tensor.numpy() for tensor in tensors}
        if len(weights) < len({id(tensor) for tensor in tensors}):
            raise ExportError("two of the network's tensors have one name", "report its name")
        proto = onnx.load_from_string(text)
        return proto, Graph(proto.graph, weights)


def _inputs(request: ExportRequest) -> tuple[InputSpec, ...]:
    return request.inputs or (_IMAGE,)


def _sample(request: ExportRequest, batch: int) -> list[Any]:
    """Return seeded inputs as paddle tensors."""
    import paddle  # noqa: PLC0415

    rng = np.random.default_rng(request.seed)
    return [
        paddle.to_tensor(
            rng.standard_normal(spec.sized(batch), np.float32)
            if spec.dtype == "float"
            else rng.integers(0, spec.high, spec.sized(batch)).astype(spec.dtype)
        )
        for spec in _inputs(request)
    ]


def _paddle_type(dtype: str) -> str:
    return "float32" if dtype == "float" else dtype


def _elements(tensors: Iterable[Any]) -> int:
    return sum(int(tensor.size) for tensor in tensors)


def _leaves(results: Any) -> Iterator[Any]:
    """Yield the tensors of a network's result, whose nesting is its own affair."""
    if isinstance(results, (list, tuple)):
        for result in results:
            yield from _leaves(result)
    else:
        yield results
