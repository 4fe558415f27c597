"""ONNX → TensorFlow Lite by onnx2tf, which needs neither TensorFlow nor a network for it.

Tried with onnx2tf 2.6.9. It runs in the process of `convert`; three of its habits matter here:

- It writes over the file that it is given a path of, so it gets the model itself, never a path.
- Left to fix open dims, it writes code that computes shapes at run time (a third of MobileNetV2's
  nodes, none of which XNNPACK takes); so the shapes are fixed before.
- Inputs of rank 4 become channels-last, all others are told to stay as they are. The outputs have
  the layout of the ONNX file; where it differs, the transposition is part of the graph.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench.errors import NotInstalled, OutOfMemory, Unsupported
from onnxbench.runtimes._onnx_shapes import with_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxbench.types import ConvertRequest, JsonObject

MODEL, PLAN = "model.tflite", "plan.json"
"""The converted model, and what is to be done with its inputs and outputs."""

CHANNELS_LAST = (0, 2, 3, 1)
_PICTURE_RANK = 4
_SAID = 1500
"""Last characters of what the converter printed that an error repeats."""


def convert(request: ConvertRequest) -> JsonObject:
    """Write `MODEL` and `PLAN` into ``request.folder``. Raises Unsupported, NotInstalled."""
    try:
        import onnx  # noqa: PLC0415 - of the runtime's environment
        import onnx2tf  # noqa: PLC0415
    except ImportError as error:
        raise NotInstalled(str(error), "onnxbench install litert") from error
    model = with_shapes(onnx, request.model, request.shapes)
    last = channels_last(request.shapes)
    made = _write(onnx2tf, model, [name for name in request.shapes if name not in last])
    folder = Path(request.folder)
    shutil.move(made, folder / MODEL)
    plan = {"channels_last": last, "outputs": _output_shapes(model)}
    (folder / PLAN).write_text(json.dumps(plan), encoding="utf-8")
    return {"converter": "onnx2tf, flatbuffer_direct, float32", "channels_last": last}


def channels_last(shapes: Mapping[str, Sequence[int]]) -> list[str]:
    """Return the inputs that become channels-last: those of rank 4 whose shape shows whether.

    [1, 8, 8, 8] reads the same either way, so such an input is told to stay as it is.
    """
    pictures = {name: shape for name, shape in shapes.items() if len(shape) == _PICTURE_RANK}
    return [name for name, shape in pictures.items() if len(set(shape[1:])) > 1]


def _write(onnx2tf: Any, model: Any, unchanged: Sequence[str]) -> Path:
    """Let onnx2tf write into the working folder; return the path of the float32 file."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            onnx2tf.convert(
                onnx_graph=model,
                output_folder_path="onnx2tf",
                tflite_backend="flatbuffer_direct",
                not_use_onnxsim=True,
                keep_shape_absolutely_input_names=list(unchanged),
                non_verbose=True,
                verbosity="error",
            )
    except MemoryError as error:
        raise OutOfMemory(str(error), "raise --max-memory") from error
    except (Exception, SystemExit) as error:  # it ends the process where it gives up
        message = str(error) if isinstance(error, Exception) else said.getvalue()[-_SAID:]
        raise Unsupported(f"onnx2tf: {message}", "the converter cannot do this model") from error
    found = sorted(Path("onnx2tf").glob("*_float32.tflite"))
    if len(found) != 1:
        raise Unsupported(
            f"onnx2tf wrote {len(found)} models: {said.getvalue()[-_SAID:]}",
            "more than one GiB is split into several, which cannot be run as one",
        )
    return found[0]


def _output_shapes(model: Any) -> dict[str, list[int] | None]:
    """Return the shape of each output, None where it depends on values."""
    found: dict[str, list[int] | None] = {}
    for value in model.graph.output:
        tensor = value.type.tensor_type
        known = tensor.HasField("shape") and all(
            dim.HasField("dim_value") for dim in tensor.shape.dim
        )
        found[value.name] = [dim.dim_value for dim in tensor.shape.dim] if known else None
    return found
