"""Infers the shapes of every value of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.build import build

if TYPE_CHECKING:
    from onnxbench.graph.network import Graph
    from onnxbench.graph.profile import Binding
    from onnxbench.graph.reader import Stripped


def infer(stripped: Stripped, binding: Binding) -> Graph:
    """Return the main graph of a stripped model with the shapes of its values."""
    import onnx  # noqa: PLC0415

    del binding
    return build(onnx.shape_inference.infer_shapes(onnx.ModelProto.FromString(stripped.model)))
