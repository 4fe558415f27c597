"""ONNX Runtime as the judge of an exported file: its CPU provider, as everybody runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxbench.errors import ExportError

if TYPE_CHECKING:
    from pathlib import Path

_ERRORS_ONLY = 3


def open_session(model: str | Path, threads: int = 0) -> Any:
    """Return a session on the file; ``threads`` 0 leaves their number to the runtime.

    Raises ExportError where ONNX Runtime is not installed; its own errors pass.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - in the exporter's child alone
    except ImportError as error:
        raise ExportError(
            f"nothing here can verify an export: {error}", "pip install 'onnxbench[cpu]'"
        ) from error
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
