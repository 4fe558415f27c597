"""What a bad input is, and the few lines that all builders share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import onnx
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from onnxbench.types import Status

REFUSED: frozenset[Status] = frozenset({"refused-input"})
STOPPED: frozenset[Status] = frozenset({"timeout-soft", "timeout-hard", "oom"})
"""How an endless or boundless model may end."""

NOT_TAKEN: frozenset[Status] = frozenset({"unsupported", "error"})
"""How a model ends that the runtime refuses, when it loads or when it runs."""

OPSET = 17
IR_VERSION = 10


@dataclass(frozen=True, slots=True)
class Case:
    """One bad input and what must become of it.

    ``build`` writes it into an empty folder and returns the path of the model. ``stage`` is where
    it ends: in pre-flight, in a runtime, or in either. ``reason`` is that of the RefusedInput, for
    a case that pre-flight refuses. ``statuses``: the states that a cell may end in. ``number``:
    its line in the list of 46 (docs/method.md). ``as_user``: root would be let in.
    """

    name: str
    number: int
    build: Callable[[Path], Path]
    stage: Literal["preflight", "run", "either"] = "preflight"
    reason: str | None = None
    statuses: frozenset[Status] = REFUSED
    note: str = ""
    as_user: bool = False


def refused(name: str, number: int, reason: str, build: Callable[[Path], Path]) -> Case:
    """Return a case that pre-flight refuses for ``reason``."""
    return Case(name, number, build, reason=reason)


def of_bytes(data: bytes) -> Callable[[Path], Path]:
    """Return a builder of a model file that holds ``data``."""

    def build(folder: Path) -> Path:
        path = folder / "model.onnx"
        path.write_bytes(data)
        return path

    return build


def of_model(make: Callable[[], onnx.ModelProto]) -> Callable[[Path], Path]:
    """Return a builder of the model that ``make`` makes."""

    def build(folder: Path) -> Path:
        return of_bytes(make().SerializeToString())(folder)

    return build


def value(
    name: str, dims: Sequence[int | str | None] | None = (2,), dtype: int = TensorProto.FLOAT
) -> onnx.ValueInfoProto:
    """Return the declaration of a tensor; ``dims`` None: of unknown rank."""
    return helper.make_tensor_value_info(name, dtype, dims)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto] | None = None,
    outputs: Sequence[onnx.ValueInfoProto] | None = None,
    constants: Sequence[TensorProto] = (),
    *,
    domains: Sequence[str] = (),
    opset: int = OPSET,
) -> onnx.ModelProto:
    """Return a model; by default of one input ``x`` and one output ``y``, two floats each."""
    graph = helper.make_graph(
        nodes,
        "bad",
        [value("x")] if inputs is None else inputs,
        [value("y")] if outputs is None else outputs,
        constants,
    )
    opsets = [helper.make_opsetid("", opset)]
    opsets += [helper.make_opsetid(domain, 1) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def relu() -> onnx.ModelProto:
    """Return the smallest good model: y = relu(x)."""
    return model_of([helper.make_node("Relu", ["x"], ["y"], name="relu")])


def field(number: int, data: bytes) -> bytes:
    """Return ``data`` as a length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(number: int) -> bytes:
    """Return ``number`` as protobuf writes it."""
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])
