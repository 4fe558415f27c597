"""The form of a probe, and what builds its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, FunctionProto, ModelProto, NodeProto, TensorProto, helper
from onnx.numpy_helper import from_array

from onnxbench.graph.formulas import parse
from onnxbench.graph.payloads import BITS
from onnxbench.graph.profile import GraphProfile

Shape = Sequence[int | str]
MS = "com.microsoft"

FLOAT, UINT8, INT8, INT32, INT64, BOOL, HALF = 1, 2, 3, 6, 7, 9, 10


@dataclass(frozen=True)
class Probe:
    """One trap as a tiny model, with what is true of it by arithmetic.

    ``truth``: any of ``macs``, ``elementwise`` (FLOPs without 2 · MACs) and ``transcendentals`` as
    a number or a formula in the file's dim names; ``macs_least`` where the count is only bounded;
    ``params``, ``buffers``, ``other``, ``dead`` (elements), ``weight_bytes``, ``sparse_stored``;
    ``bytes_read`` and ``bytes_written`` of the whole model; ``precision`` of its contraction;
    ``unknown``: operators that nobody can count. Without ``macs_least`` and ``unknown`` the model
    must be reported as exact. ``note``: what makes it a trap.
    """

    id: str
    trap: str
    model: Callable[[], ModelProto]
    truth: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


FORMULAS = {"macs", "macs_least", "elementwise", "transcendentals", "bytes_read", "bytes_written"}


def differences(probe: Probe, found: GraphProfile) -> dict[str, tuple[Any, Any]]:
    """Return what ``found`` says otherwise than the truth: each figure with (said, true)."""
    said = _figures(found)
    truth = {
        name: parse(each) if name in FORMULAS and isinstance(each, str) else each
        for name, each in probe.truth.items()
        if name != "note"
    }
    truth["exact"] = "macs_least" not in truth and "unknown" not in truth
    return {name: (said[name], each) for name, each in truth.items() if said[name] != each}


def _figures(found: GraphProfile) -> dict[str, Any]:
    """Return what a truth may speak of."""
    parameters = found.parameters
    names = ("params", "buffers", "other", "dead", "weight_bytes", "sparse_stored", "tied")
    return {
        "macs": found.macs,
        "macs_least": found.macs_least,
        "elementwise": found.flops - 2 * found.macs,
        "transcendentals": found.transcendentals,
        "bytes_read": found.bytes_read,
        "bytes_written": found.bytes_written,
        "unknown": tuple(each.op for each in found.unknown),
        "precision": "".join(found.macs_by_precision),
        "exact": found.exact,
        **{name: getattr(parameters, name) for name in names},
    }


def node(
    op: str, inputs: str, outputs: str = "y", domain: str = "", **attributes: Any
) -> NodeProto:
    """Return a node; names are separated by blanks, ``-`` stands for a missing one."""
    return helper.make_node(
        op,
        ["" if each == "-" else each for each in inputs.split()],
        ["" if each == "-" else each for each in outputs.split()],
        domain=domain,
        **attributes,
    )


def value(name: str, shape: Shape | None, dtype: int = FLOAT) -> onnx.ValueInfoProto:
    """Return a typed value; a string in the shape is the name of an open dim."""
    return helper.make_tensor_value_info(name, dtype, shape)


Typed = Shape | tuple[Shape, int]
"""A shape of floats, or a shape and its type."""


def model(
    nodes: NodeProto | Sequence[NodeProto],
    inputs: Mapping[str, Typed],
    weights: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Typed] | None = None,
    *,
    opset: int = 17,
    functions: Sequence[FunctionProto] = (),
    domains: Mapping[str, int] | None = None,
    sparse: Sequence[onnx.SparseTensorProto] = (),
) -> ModelProto:
    """Return a model; its output is y, of the shape that onnx infers, unless others are given."""
    sequence = [nodes] if isinstance(nodes, NodeProto) else list(nodes)
    stored = {**(weights or {})}
    graph = helper.make_graph(
        sequence,
        "probe",
        [value(name, *_typed(given)) for name, given in inputs.items()],
        [value(name, *_typed(given)) for name, given in (outputs or {}).items()]
        or [onnx.ValueInfoProto(name="y")],
        [_tensor(name, given) for name, given in stored.items()],
        sparse_initializer=sparse,
    )
    used = {each.domain for each in sequence if each.domain} | {each.domain for each in functions}
    versions = {"": opset, **dict.fromkeys(sorted(used), 1), **(domains or {})}
    imports = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    made = helper.make_model(
        graph, opset_imports=imports, functions=functions, ir_version=8 if opset < 19 else 13
    )
    if outputs:
        return made
    made = onnx.shape_inference.infer_shapes(made, strict_mode=True)
    # An output's type that was not given is put among those of intermediate values, too.
    for each in [each for each in made.graph.value_info if each.name == "y"]:
        made.graph.value_info.remove(each)
    return made


def zeros(*shape: int, dtype: Any = np.float32) -> np.ndarray[Any, np.dtype[Any]]:
    """Return weights."""
    return np.zeros(shape, dtype)


def low(dtype: int, *shape: int) -> TensorProto:
    """Return packed zeros of a type below a byte, named by `model`."""
    count = int(np.prod(shape))
    raw = bytes(-(-count * BITS[dtype] // 8))
    return TensorProto(data_type=dtype, dims=shape, raw_data=raw)


def ints(*values: int, dtype: Any = np.int64) -> np.ndarray[Any, np.dtype[Any]]:
    """Return a list of integers."""
    return np.array(values, dtype)


def scalar(number: float, dtype: Any = np.float32) -> np.ndarray[Any, np.dtype[Any]]:
    """Return a tensor without axes."""
    return np.array(number, dtype)


def graph(
    nodes: NodeProto | Sequence[NodeProto],
    inputs: Mapping[str, Typed],
    outputs: Mapping[str, Typed],
    weights: Mapping[str, Any] | None = None,
) -> onnx.GraphProto:
    """Return a subgraph."""
    return helper.make_graph(
        [nodes] if isinstance(nodes, NodeProto) else list(nodes),
        "body",
        [value(name, *_typed(given)) for name, given in inputs.items()],
        [value(name, *_typed(given)) for name, given in outputs.items()],
        [_tensor(name, given) for name, given in (weights or {}).items()],
    )


def reference(name: str, kind: int = AttributeProto.INT) -> AttributeProto:
    """Return an attribute of a function's node that takes the call's value."""
    return AttributeProto(name=name, ref_attr_name=name, type=kind)  # type: ignore[arg-type]


def _typed(given: Typed) -> tuple[Shape, int]:
    if len(given) == 2 and isinstance(given[0], list | tuple):
        shape, dtype = given
        return shape, dtype  # type: ignore[return-value]
    return given, FLOAT  # type: ignore[return-value]


def _tensor(name: str, given: Any) -> TensorProto:
    if isinstance(given, TensorProto):
        named = TensorProto()
        named.CopyFrom(given)
        named.name = name
        return named
    return from_array(np.asarray(given), name)
