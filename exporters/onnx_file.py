"""``onnx:PATH``: a file that exists already, written anew: another opset, or simplified.

`onnxbench export model.onnx --simplify` comes here; the reference is the file itself, run in ONNX
Runtime.
"""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench.errors import ExportError
from onnxbench.sources import BATCH, MODEL_FILE, InputSpec, SourceFacts, Written

from ._onnxruntime import open_session
from ._passes import save

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.protocols import Array
    from onnxbench.sources import ExportRequest, SourceCounts

_DTYPES = {1: "float", 10: "float16", 11: "double", 7: "int64", 6: "int32", 9: "bool"}


class OnnxFileExporter:
    """Rewrites an ONNX file."""

    name = "onnx"
    revision = 1
    modules = ("onnx", "onnxruntime")
    distributions = ("onnx", "onnxruntime", "onnxslim")
    environment = ""

    def load(self, request: ExportRequest) -> OnnxFile:
        """Read the file. Raises ExportError for inputs that cannot be made up."""
        import onnx  # noqa: PLC0415 - not in the parent

        try:
            return OnnxFile(onnx.load(request.location), request)
        except ExportError:
            raise
        except Exception as error:  # protobuf's own is no ValueError
            message = f"{request.location} cannot be read: {error}"
            raise ExportError(message, "onnxbench run on the file says what is wrong") from error


class OnnxFile:
    """A model in memory, and a session on the file that it came from."""

    def __init__(self, proto: Any, request: ExportRequest) -> None:
        self._proto = proto
        self._request = request
        self._session: Any = None
        initialized = {each.name for each in proto.graph.initializer}
        given = [each for each in proto.graph.input if each.name not in initialized]
        self.facts = SourceFacts(
            inputs=request.inputs or tuple(map(_input, given)),
            outputs=tuple(each.name for each in proto.graph.output),
            weights="file",
            params=None,  # the file is its own source
            norm_params=0,
            buffers=0,
            versions={"python": platform.python_version()}
            | {name: metadata.version(name) for name in ("onnx", "onnxruntime")},
            preprocess=request.preprocess,
        )

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Return what ONNX Runtime gives for the file as it is."""
        if self._session is None:
            self._session = open_session(self._request.location)
        names = [each.name for each in self.facts.inputs]
        found: Sequence[Array] = self._session.run(None, dict(zip(names, inputs, strict=True)))
        return found

    def counts(self) -> SourceCounts | None:
        """Return None: the file is its own source."""
        return None

    def write(self) -> Written:
        """Write the file, in the opset that was asked for. Raises ExportError."""
        import onnx  # noqa: PLC0415
        import onnx.version_converter  # noqa: PLC0415

        own = next(e.version for e in self._proto.opset_import if e.domain in {"", "ai.onnx"})
        opset = self._request.opset or own
        if opset != own:
            try:
                self._proto = onnx.version_converter.convert_version(self._proto, opset)
            except Exception as error:
                message = f"opset {own} cannot be converted to {opset}: {error}"
                raise ExportError(message, "leave --opset out for this file") from error
        save(self._proto, Path(self._request.folder, MODEL_FILE))
        dynamic = any(isinstance(dim, str) for each in self.facts.inputs for dim in each.shape)
        return Written("onnx", opset, dynamic)


def _input(value: Any) -> InputSpec:
    tensor = value.type.tensor_type
    if tensor.elem_type not in _DTYPES:
        raise ExportError(
            f"no values can be made up for input {value.name!r}, so nothing could be verified",
            "name the inputs under `inputs` in models.yaml",
        )
    shape: list[int | str] = []
    for axis, dim in enumerate(tensor.shape.dim):
        if dim.HasField("dim_value") and dim.dim_value > 0:
            shape.append(dim.dim_value)
        elif axis == 0:
            shape.append(BATCH)
        else:
            raise ExportError(
                f"input {value.name!r} has an open dim beside the batch",
                "name the input and its shape under `inputs` in models.yaml",
            )
    return InputSpec(value.name, tuple(shape), _DTYPES[tensor.elem_type])
