"""An adapter that imports all that ONNX Runtime's does and then builds an engine without a model.

Its child lives through every step of a real one except the runtime's own work on a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.runtimes.onnxruntime import CPU
from onnxbench.runtimes.proof import ProofEngine

if TYPE_CHECKING:
    from onnxbench.types import BuildRequest


class ImportOnly:
    """Takes modules and probe from the real adapter."""

    name = "import-only"
    modules = CPU.modules
    probe = CPU.probe

    def build(self, _request: BuildRequest) -> ProofEngine:
        """Return an engine that does nothing."""
        return ProofEngine()


IMPORT_ONLY = ImportOnly()
