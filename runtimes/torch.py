"""PyTorch on the processor: eager as ``torch``, and ``torch-compile``, as two runtimes.

Two names, for a row of a table has to tell them apart. Both run, for a fixed shape, what onnx2torch
makes of the ONNX file or, with ``module=source``, the module that the file was exported from. Tried
with torch 2.13.0 and onnx2torch 1.5.15.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from onnxbench.adapting import installed, refused_option
from onnxbench.errors import NotInstalled, Unsupported
from onnxbench.runtimes import _torch_compile, _torch_convert, _torch_source
from onnxbench.runtimes._torch_engine import PROVIDER, TorchEngine
from onnxbench.types import Capability

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.runtimes._torch_engine import Network
    from onnxbench.types import BuildRequest

INSTALL = "onnxbench install torch"

MODULES = ("onnx2torch", "source")

_NO_ARRAYS = ("bfloat16", "float8", "string", "uint4", "int4")


class Torch:
    """The adapter behind the runtime name ``torch``: eager mode, in `torch.inference_mode`."""

    name = "torch"
    modules = ("torch", "onnx", "onnxbench.runtimes._torch_libraries")
    distributions = ("torch", "onnx2torch")
    environment = "torch"
    provider = PROVIDER
    device = "cpu"
    options: tuple[str, ...] = ("module",)

    def wants_origin(self, options: Mapping[str, str]) -> bool:
        """Tell whether the exporter's own module is to run."""
        return options.get("module") == "source"

    def probe(self) -> Capability:
        """Look for torch and onnx2torch without importing them."""
        return installed(self.name, self.distributions, INSTALL)

    def build(self, request: BuildRequest) -> TorchEngine:
        """Convert or build the network. Raises Unsupported, OutOfMemory, NotInstalled."""
        torch, network = self._network(request)
        return TorchEngine(torch, network, request, None, {})

    def _network(self, request: BuildRequest) -> tuple[Any, Network]:
        self._check(request)
        try:
            import torch  # noqa: PLC0415 - worker only
        except ImportError as error:
            raise NotInstalled(str(error), INSTALL) from error
        torch.set_num_interop_threads(1)
        _settle(torch, request)
        if not self.wants_origin(request.options):
            outputs = [spec.name for spec in request.outputs]
            return torch, _torch_convert.convert(torch, request.model, request.shapes, outputs)
        network = _torch_source.load(torch, request)
        _settle(torch, request)  # whoever built it may have told torch otherwise
        return torch, network

    def _check(self, request: BuildRequest) -> None:
        for name in request.options:
            if name not in self.options:
                raise refused_option(self.name, name, self.options)
        module = request.options.get("module", MODULES[0])
        if module not in MODULES:
            raise Unsupported(f"module={module!r} is not known", f"one of: {', '.join(MODULES)}")
        for spec in (*request.inputs, *request.outputs):
            if spec.dtype.startswith(_NO_ARRAYS):
                raise Unsupported(
                    f"{spec.name!r} is {spec.dtype}, of which torch makes no numpy array",
                    "another runtime may take it",
                )


class TorchCompile(Torch):
    """The adapter behind the runtime name ``torch-compile``: torch.compile with inductor.

    Weights are frozen (constants that inductor folds and packs) unless told otherwise; torch itself
    leaves them variable by default.
    """

    name = "torch-compile"
    build_s = 1200.0  # inductor takes minutes for a network of a hundred layers
    options = ("module", "mode", "freezing")

    def probe(self) -> Capability:
        """Look for torch, onnx2torch and a C++ compiler, which inductor calls."""
        if shutil.which(os.environ.get("CXX", "g++")) is None:
            return Capability(
                self.name,
                available=False,
                possible=False,
                reason="torch.compile needs a C++ compiler, and there is no g++",
                hint="install g++, or name another one in CXX",
            )
        return super().probe()

    def build(self, request: BuildRequest) -> TorchEngine:
        """Convert or build, then compile, which takes seconds to minutes without a cache."""
        torch, network = self._network(request)
        call, facts = _torch_compile.compiled(torch, network, request)
        return TorchEngine(torch, network, request, call, facts)


def _settle(torch: Any, request: BuildRequest) -> None:
    """Tell torch threads and precision."""
    torch.set_num_threads(request.threads)
    if request.precision == "model":
        torch.set_float32_matmul_precision("highest")


TORCH = Torch()
TORCH_COMPILE = TorchCompile()
