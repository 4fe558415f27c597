"""Passes over an exported file: it is replaced by what comes out, under the same names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.errors import ExportError
from onnxbench.sources import DATA_FILE, INSIDE_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    import onnx


def simplify(model: Path) -> None:
    """Simplify the file with onnxslim. Raises ExportError when that is not installed or fails."""
    import onnx  # noqa: PLC0415 - imported where it is used, in the exporter's child

    try:
        import onnxslim  # noqa: PLC0415
    except ImportError as error:
        raise ExportError(
            f"--simplify needs onnxslim where the exporter runs: {error}",
            "pip install 'onnxbench[simplify]', or leave --simplify out",
        ) from error
    try:
        slim = onnxslim.slim(onnx.load(model))
    except Exception as error:
        message = f"onnxslim failed: {type(error).__name__}: {error}"
        raise ExportError(message, "leave --simplify out for this model") from error
    save(slim, model)


def save(proto: onnx.ModelProto, model: Path) -> None:
    """Write ``proto`` to ``model``, large weights beside it under `DATA_FILE`."""
    import onnx  # noqa: PLC0415

    data = model.with_name(DATA_FILE)
    data.unlink(missing_ok=True)
    if sum(len(each.raw_data) for each in proto.graph.initializer) <= INSIDE_BYTES:
        onnx.save(proto, model)
        return
    onnx.save(
        proto,
        model,
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=DATA_FILE,
        size_threshold=1024,
    )
