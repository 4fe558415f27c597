"""Gives an ONNX model the shapes that it will run with, for converters that want them fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxbench.errors import OutOfMemory, Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def with_shapes(onnx: Any, path: str, shapes: Mapping[str, Sequence[int]]) -> Any:
    """Return the model with the shapes of its inputs fixed and all others inferred from them.

    Raises Unsupported where the model does not take them, OutOfMemory.
    """
    try:
        model = onnx.load(path)
        for value in model.graph.input:
            if value.name in shapes:
                dims = value.type.tensor_type.shape.dim
                for dim, size in zip(dims, shapes[value.name], strict=True):
                    dim.Clear()
                    dim.dim_value = size
        for value in (*model.graph.value_info, *model.graph.output):
            for dim in value.type.tensor_type.shape.dim:
                if not dim.HasField("dim_value"):
                    dim.Clear()
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except MemoryError as error:
        raise OutOfMemory(str(error), "raise --max-memory") from error
    except Exception as error:
        raise Unsupported(
            f"{type(error).__name__}: {error}", "the model does not take these shapes"
        ) from error
