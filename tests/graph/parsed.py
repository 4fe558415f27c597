"""Small graphs from ONNX's own text form, as the analyzer sees them."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnxbench.graph.profile import Binding
from onnxbench.graph.reader import strip
from onnxbench.graph.shapes import infer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onnxbench.graph.network import Graph
    from onnxbench.graph.reader import Payload

HEAD = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1, "local" : 1, "custom" : 1]>\n'

Read = tuple["Graph", "Mapping[int, Payload]"]


def model(text: str, head: str = HEAD) -> onnx.ModelProto:
    """Return the model ``text``. What it declares and nothing makes is a weight of zeros."""
    parsed = onnx.parser.parse_model(head + text)
    graph = parsed.graph
    made = {name for node in graph.node for name in node.output}
    for info in graph.value_info:
        if info.name not in made:
            dims = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
            graph.initializer.append(zeros(info.name, info.type.tensor_type.elem_type, dims))
    return parsed


def zeros(name: str, dtype: int, dims: list[int]) -> onnx.TensorProto:
    """Return a tensor of zeros."""
    array = np.zeros(dims, onnx.helper.tensor_dtype_to_np_dtype(dtype))
    return onnx.numpy_helper.from_array(array, name)


def read(parsed: onnx.ModelProto, **dims: int) -> Read:
    """Return the graph of a model with open ``dims`` bound, and the payloads left behind."""
    with tempfile.TemporaryFile() as file:
        file.write(parsed.SerializeToString())
        file.flush()
        stripped = strip(file.fileno())
        return infer(stripped, Binding(dims=dims)), stripped.dropped


def read_file(path: Path) -> Read:
    """Return the graph of a file, and the payloads left behind."""
    with path.open("rb") as file:
        stripped = strip(file.fileno())
        return infer(stripped, Binding()), stripped.dropped
