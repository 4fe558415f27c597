"""PyTorch on the processor: eager as ``torch``, and ``torch-compile``, as two runtimes.

Two names, for a row of a table has to tell them apart. Both run what onnx2torch makes of the ONNX
file, for a fixed shape. Tried with torch 2.13.0 and onnx2torch 1.5.15.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from onnxbench.adapting import installed, refused_option
from onnxbench.errors import NotInstalled, Unsupported
from onnxbench.runtimes import _torch_compile, _torch_convert
from onnxbench.runtimes._torch_engine import PROVIDER, TorchEngine
from onnxbench.types import Capability

if TYPE_CHECKING:
    from onnxbench.runtimes._torch_convert import Converted
    from onnxbench.types import BuildRequest

INSTALL = "onnxbench install torch"

_NO_ARRAYS = ("bfloat16", "float8", "string", "uint4", "int4")


class Torch:
    """The adapter behind the runtime name ``torch``: eager mode, in `torch.inference_mode`."""

    name = "torch"
    modules = ("torch", "onnx", "onnxbench.runtimes._torch_libraries")
    distributions = ("torch", "onnx2torch")
    environment = "torch"
    provider = PROVIDER
    device = "cpu"
    options: tuple[str, ...] = ()

    def probe(self) -> Capability:
        """Look for torch and onnx2torch without importing them."""
        return installed(self.name, self.distributions, INSTALL)

    def build(self, request: BuildRequest) -> TorchEngine:
        """Convert and load the model. Raises Unsupported, OutOfMemory, NotInstalled."""
        torch, converted = self._converted(request)
        return TorchEngine(torch, converted, converted.module, request, {})

    def _converted(self, request: BuildRequest) -> tuple[Any, Converted]:
        self._check(request)
        try:
            import torch  # noqa: PLC0415 - worker only
        except ImportError as error:
            raise NotInstalled(str(error), INSTALL) from error
        torch.set_num_threads(request.threads)
        torch.set_num_interop_threads(1)
        if request.precision == "model":
            torch.set_float32_matmul_precision("highest")
        outputs = [spec.name for spec in request.outputs]
        return torch, _torch_convert.convert(torch, request.model, request.shapes, outputs)

    def _check(self, request: BuildRequest) -> None:
        for name in request.options:
            if name not in self.options:
                raise refused_option(self.name, name, self.options)
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
    options = ("mode", "freezing")

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
        """Convert, trace and compile, which takes seconds to minutes without a cache."""
        torch, converted = self._converted(request)
        call, facts = _torch_compile.compiled(torch, converted, request)
        return TorchEngine(torch, converted, call, request, facts)


TORCH = Torch()
TORCH_COMPILE = TorchCompile()
