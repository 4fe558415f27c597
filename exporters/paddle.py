"""``paddle:NAME``: a network of ``ppcls.arch.backbone``, the model zoo of PaddleClas."""

from __future__ import annotations

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.errors import ExportError
from onnxbench.sources import (
    BATCH,
    DATA_FILE,
    DEFAULT_OPSET,
    MODEL_FILE,
    InputSpec,
    SourceFacts,
    Written,
)

from . import _paddle_weights, _paddle_zoo
from ._paddle_counts import count
from ._paddle_graph import Graph, name_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onnxbench.protocols import Array
    from onnxbench.sources import ExportRequest, SourceCounts

_IMAGE = InputSpec("image", (BATCH, 3, 224, 224))
_OPSETS = range(7, 22)
"""What paddle2onnx 2.1.0 takes; it aborts the process at others."""

_EXTERNAL_BYTES = 100_000_000
"""Weights above this lie in a file of their own."""


class PaddleExporter:
    """Builds a network of PaddleClas and writes it by way of paddle2onnx."""

    name = "paddle"
    revision = 1
    modules = ("paddle", "paddle2onnx", "paddleclas")
    distributions = ("paddlepaddle", "paddle2onnx", "paddleclas")
    environment = "paddle"

    def load(self, request: ExportRequest) -> PaddleSource:
        """Build the network, in evaluation mode. Raises ExportError."""
        opset = request.opset or DEFAULT_OPSET
        if opset not in _OPSETS:
            raise ExportError(
                f"paddle2onnx cannot write opset {opset}",
                f"--opset {_OPSETS[0]} to {_OPSETS[-1]}",
            )
        import paddle  # noqa: PLC0415

        paddle.set_device("cpu")
        paddle.seed(request.seed)
        np.random.seed(request.seed)  # noqa: NPY002 - some networks draw from it
        network = _paddle_zoo.build(
            request.location,
            pretrained=request.weights == "pretrained",
            arguments=dict(request.arguments),
        )
        network.eval()
        source = PaddleSource(network, request, opset)
        if request.weights == "random":
            _paddle_weights.randomize(network, source.pictures(2), request.seed)
        if request.fuse:
            _paddle_zoo.fuse(network)
        return source


class PaddleSource:
    """A paddle network that can run, be counted and be written."""

    def __init__(self, network: Any, request: ExportRequest, opset: int) -> None:
        self._network = network
        self._request = request
        self._opset = opset
        self._inputs = request.inputs or (_IMAGE,)

    @property
    def facts(self) -> SourceFacts:
        """Parameters without the running statistics, which paddle counts as parameters too."""
        norms = list(_paddle_weights.batch_norms(self._network))
        buffers = _elements(t for norm in norms for t in (norm._mean, norm._variance))  # noqa: SLF001
        everything = _elements(self._network.parameters())
        request = self._request
        random = request.weights == "random"
        return SourceFacts(
            inputs=self._inputs,
            outputs=self._output_names(),
            weights=f"random: seed {request.seed}" if random else f"pretrained: {request.location}",
            params=everything - buffers,
            norm_params=_elements(t for norm in norms for t in (norm.weight, norm.bias)),
            buffers=buffers,
            versions={name: version(name) for name in (*PaddleExporter.distributions, "onnx")},
            preprocess=request.preprocess,
        )

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs, in the order of `facts`. Raises ExportError."""
        import paddle  # noqa: PLC0415

        with paddle.no_grad():
            results = self._network(*(paddle.to_tensor(array) for array in inputs))
        return [value.numpy() for value in _flat(results)]

    def counts(self) -> SourceCounts | None:
        """Return the cost of one item, read from the static program at batch 1."""
        from paddle.static import InputSpec as Spec  # noqa: PLC0415

        specs = [Spec(i.sized(1), _paddle_type(i.dtype), i.name) for i in self._inputs]
        static = self._static(specs)
        try:
            program = static.forward.concrete_program.main_program
            return count(program.global_block().ops)
        finally:
            del self._network.forward

    def write(self) -> Written:
        """Trace with an open batch, convert the program alone, add the weights by name.

        So no weight passes through paddle2onnx, whose result cannot exceed 2 GB.
        """
        import onnx  # noqa: PLC0415

        proto, weights = self._convert()
        graph = Graph(proto.graph, weights)
        if missing := sorted(graph.missing()):
            raise ExportError(
                f"paddle2onnx wrote names without a value: {', '.join(missing[:3])}",
                "report this network with its name",
            )
        graph.tidy()
        notes = []
        if not self._request.keep_bn and (kept := graph.fold_batch_norms()):
            notes.append(f"{kept} BatchNormalization follow no convolution and stay")
        for value, name in zip(list(proto.graph.output), self._output_names(), strict=True):
            graph.rename(value.name, name)
        graph.store()
        name_batch([*proto.graph.input, *proto.graph.output], BATCH)
        onnx.checker.check_model(proto)
        path = Path(self._request.folder, MODEL_FILE)
        onnx.save_model(
            proto,
            path,
            save_as_external_data=sum(t.ByteSize() for t in proto.graph.initializer)
            > _EXTERNAL_BYTES,
            location=DATA_FILE,
        )
        return Written(
            route=f"paddle2onnx {version('paddle2onnx')}",
            opset=proto.opset_import[0].version,
            dynamic_batch=all(i.shape[0] == BATCH for i in self._inputs),
            notes=tuple(notes),
        )

    def pictures(self, batch: int) -> list[Any]:
        """Return seeded inputs at a batch size, as paddle tensors."""
        import paddle  # noqa: PLC0415

        rng = np.random.default_rng(self._request.seed)
        return [
            paddle.to_tensor(
                rng.standard_normal(i.sized(batch)).astype(np.float32)
                if i.dtype == "float"
                else rng.integers(0, i.high, i.sized(batch), i.dtype)
            )
            for i in self._inputs
        ]

    def _output_names(self) -> tuple[str, ...]:
        number = len(self.run([t.numpy() for t in self.pictures(1)]))
        return ("logits",) if number == 1 else tuple(f"logits_{i}" for i in range(number))

    def _static(self, specs: list[Any]) -> Any:
        from paddle import jit  # noqa: PLC0415

        return jit.to_static(self._network, input_spec=specs, full_graph=True)

    def _convert(self) -> tuple[Any, dict[str, Array]]:
        """Return the ONNX model without weights, and the weights by the names it has for them."""
        import onnx  # noqa: PLC0415
        import paddle2onnx.paddle2onnx_cpp2py_export as converter  # noqa: PLC0415
        from paddle import jit  # noqa: PLC0415
        from paddle.static import InputSpec as Spec  # noqa: PLC0415

        specs = [
            Spec([None if dim == BATCH else dim for dim in i.shape], _paddle_type(i.dtype), i.name)
            for i in self._inputs
        ]
        folder = tempfile.mkdtemp(dir=self._request.folder)
        try:
            static = self._static(specs)
            jit.save(static, str(Path(folder, "model")))
            tensors, _ = static.forward.concrete_program.parameters
            weights = {tensor.name: tensor.numpy() for tensor in tensors}
            text = converter.export(
                str(Path(folder, "model.json")),
                "",
                self._opset,
                True,  # auto_upgrade_opset
                False,  # verbose
                False,  # enable_onnx_checker
                True,  # enable_experimental_op
                True,  # enable_optimize
                {},
                "onnxruntime",
                "",
                "",
                False,  # export_fp16_model
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            del self._network.forward
        return onnx.load_from_string(text), weights


def _paddle_type(dtype: str) -> str:
    return "float32" if dtype == "float" else dtype


def _elements(tensors: Any) -> int:
    return sum({id(t): int(t.size) for t in tensors if t is not None}.values())


def _flat(results: Any) -> Iterator[Any]:
    """Yield the tensors of a network's result, whose nesting is its own affair."""
    if isinstance(results, (list, tuple)):
        for result in results:
            yield from _flat(result)
    else:
        yield results
