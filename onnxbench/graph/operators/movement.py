"""Copies and views: no arithmetic, only bytes (V1, G1).

A view shares the bytes of its input, under a new shape or type. A copy reads its inputs and writes
its outputs; what looks rows up in a table reads these rows, not the table. A scatter writes the
whole tensor, for its result is a new one; TensorScatter, which exists to update a key-value cache
in place, only what it updates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import minimum
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.rules import alias, copy, moving, per_output, touched

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node

_CONTRIB = "com.microsoft"
_ML = "ai.onnx.ml"


@moving
def gather(node: Node) -> Cost:
    """No arithmetic: the rows that are looked up are read, not the whole table (G1)."""
    return Cost(bytes_read=touched(node, {0: node.output().elements}))


@moving
def slice_(node: Node) -> Cost:
    """No arithmetic: only what is kept is read."""
    kept = minimum(node.input(0).elements, node.output().elements)
    return Cost(bytes_read=touched(node, {0: kept}))


@moving
def cast_like(node: Node) -> Cost:
    """No arithmetic: of the second input only the type is looked at."""
    return Cost(bytes_read=node.input(0).bytes)


def scatter(node: Node) -> Cost:
    """No arithmetic, or 1 FLOP per update where it is added, multiplied or compared."""
    updates = node.input(2).elements if node.attribute("reduction", "none") != "none" else 0
    return Cost(flops=updates)


@moving
def tensor_scatter(node: Node) -> Cost:
    """No arithmetic: the update is read and written, the cache around it stays where it is."""
    updates = node.input(1)
    return Cost(bytes_read=touched(node, {0: 0}), bytes_written=updates.bytes)


@moving
def shape_alone(node: Node) -> Cost:
    """No arithmetic: of the input only the shape is looked at."""
    return Cost(bytes_read=0, bytes_written=node.output().bytes)


@moving
def sequence_of(node: Node) -> Cost:
    """No arithmetic: the tensors that are put into a sequence are copied."""
    total: Count = 0
    for tensor in node.inputs:
        if tensor is not None and tensor.dtype:
            total = total + tensor.bytes
    return Cost(bytes_read=total, bytes_written=total)


@moving
def split_to_sequence(node: Node) -> Cost:
    """No arithmetic: the tensor is copied in parts."""
    size = node.input(0).bytes
    return Cost(bytes_read=size, bytes_written=size)


@moving
def from_sequence(node: Node) -> Cost:
    """No arithmetic: what comes out of a sequence is copied."""
    size = node.output().bytes
    return Cost(bytes_read=size, bytes_written=size)


_COPY = Operator("movement", copy)
_COPY_IN_PLACE = Operator("movement", copy, in_place=True)
_VIEW = Operator("view", alias)
_GATHER = Operator("movement", gather)
_SLICE = Operator("movement", slice_)
_SCATTER = Operator("movement", scatter, in_place=True)
_SHAPE = Operator("movement", shape_alone)
_SEQUENCE_OF = Operator("movement", sequence_of)
_FROM_SEQUENCE = Operator("movement", from_sequence)
_BOOKKEEPING = Operator("control", alias)
_RANGE = Operator("movement", per_output(2, formula="start + i · delta"))

ROWS = {
    **dict.fromkeys((("", op) for op in (
        "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "BitCast",
        "Optional", "OptionalGetElement",
    )), _VIEW),
    **dict.fromkeys((("", op) for op in (
        "Constant", "ConstantOfShape", "OneHot", "Transpose", "Concat", "Split", "Expand", "Tile",
        "Pad", "DepthToSpace", "SpaceToDepth", "ReverseSequence",
    )), _COPY),
    **dict.fromkeys((("", op) for op in ("Cast", "Trilu")), _COPY_IN_PLACE),
    ("", "CastLike"): Operator("movement", cast_like, in_place=True),
    **dict.fromkeys((("", op) for op in ("Gather", "GatherElements", "GatherND")), _GATHER),
    **dict.fromkeys((("", op) for op in ("Slice", "CenterCropPad")), _SLICE),
    **dict.fromkeys((("", op) for op in ("Scatter", "ScatterElements", "ScatterND")), _SCATTER),
    ("", "TensorScatter"): Operator("movement", tensor_scatter, in_place=True),
    ("", "Shape"): _SHAPE,
    ("", "Size"): _SHAPE,
    ("", "EyeLike"): _SHAPE,
    ("", "Range"): _RANGE,
    ("", "SequenceConstruct"): _SEQUENCE_OF,
    ("", "SequenceInsert"): _SEQUENCE_OF,
    ("", "SplitToSequence"): Operator("movement", split_to_sequence),
    ("", "SequenceAt"): _FROM_SEQUENCE,
    ("", "ConcatFromSequence"): _FROM_SEQUENCE,
    **dict.fromkeys((("", op) for op in (
        "SequenceEmpty", "SequenceErase", "SequenceLength", "OptionalHasElement",
    )), _BOOKKEEPING),
    (_ML, "ArrayFeatureExtractor"): _GATHER,
    (_ML, "FeatureVectorizer"): _COPY,
    (_CONTRIB, "ExpandDims"): _VIEW,
    (_CONTRIB, "SampleOp"): _VIEW,
    (_CONTRIB, "GatherND"): _GATHER,
    (_CONTRIB, "TorchEmbedding"): _GATHER,
    (_CONTRIB, "Pad"): _COPY,
    (_CONTRIB, "Range"): _RANGE,
    (_CONTRIB, "Trilu"): _COPY_IN_PLACE,
    (_CONTRIB, "UnfoldTensor"): _COPY,
    (_CONTRIB, "RemovePadding"): _COPY,
    (_CONTRIB, "RestorePadding"): _COPY,
    ("com.microsoft.nchwc", "ReorderInput"): _COPY,
    ("com.microsoft.nchwc", "ReorderOutput"): _COPY,
}  # fmt: skip
