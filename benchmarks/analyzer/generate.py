"""Networks of any size for the analyzer: decoders as the tracing exporter of torch writes them.

Every matrix is a weight of its own. Heads are split and merged by chains of Shape, Gather, Concat
and Reshape, which a tool has to follow to learn any shape at all. The same arguments give the same
file, byte for byte.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import onnx
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO


OPSET = 17
IR_VERSION = 8
NODES_PER_LAYER = 61
MODEL_GRAPH, GRAPH_INITIALIZER, TENSOR_RAW_DATA = 7, 5, 9
"""Numbers of fields in onnx.proto."""

Storage = Literal["embedded", "hole", "external"]


@dataclass(frozen=True, slots=True)
class Decoder:
    """``layers`` of attention and a feed-forward part over ``shape`` (batch, tokens): numbers, or
    names that stay open. ``width``, ``inner``: sizes of a token's state and inside the
    feed-forward part; ``heads`` divides ``width``."""

    layers: int
    width: int = 16
    inner: int = 64
    heads: int = 2
    shape: tuple[int | str, int | str] = (1, 128)

    @property
    def nodes(self) -> int:
        """Nodes of the graph."""
        return self.layers * NODES_PER_LAYER

    @property
    def weight_bytes(self) -> int:
        """Bytes of the matrices, in 32-bit floats."""
        return 4 * self.layers * self._matrices

    @property
    def macs(self) -> str:
        """MACs as a formula: projections and feed-forward part of each token, and attention."""
        batch, tokens = self.shape
        each = self.layers * self._matrices
        attention = 2 * self.layers * self.width
        return f"{each}*{batch}*{tokens} + {attention}*{batch}*{tokens}**2"

    @property
    def _matrices(self) -> int:
        return 4 * self.width**2 + 2 * self.width * self.inner


def decoder_of(nodes: int, shape: tuple[int | str, int | str] = (1, 128)) -> Decoder:
    """Return the smallest decoder of at least so many nodes."""
    return Decoder(layers=math.ceil(nodes / NODES_PER_LAYER), shape=shape)


def write(path: Path, decoder: Decoder, storage: Storage = "embedded") -> None:
    """Write ``decoder`` to ``path``.

    ``storage`` of the weights: ``embedded`` ones; ``hole``: embedded zeros that take no room on
    the disk; ``external``: the same in a file beside it.
    """
    stack = _Stack(decoder)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [*decoder.shape, decoder.width])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [*decoder.shape, decoder.width])
    graph = helper.make_graph(stack.nodes, "decoder", [x], [y], _constants(decoder))
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    if storage == "external":
        _write_external(path, model, stack.weights)
    else:
        _write_embedded(path, model, stack.weights, hole=storage == "hole")


@dataclass(slots=True)
class _Stack:
    """The nodes of a decoder, and its weights by name with their dims."""

    decoder: Decoder
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _where: str = ""

    def __post_init__(self) -> None:
        state = "x"
        for layer in range(self.decoder.layers):
            last = layer == self.decoder.layers - 1
            state = self._layer(f"/layers.{layer}", state, "y" if last else "")

    def _layer(self, path: str, state: str, output: str) -> str:
        self._where = f"{path}/attention"
        width, inner = self.decoder.width, self.decoder.inner
        normal = self._normalized(state)
        heads = {
            each: self._split(self._linear(normal, each, width, width), perm)
            for each, perm in (("q", (0, 2, 1, 3)), ("k", (0, 2, 3, 1)), ("v", (0, 2, 1, 3)))
        }
        scores = self._add("Mul", self._add("MatMul", heads["q"], heads["k"]), "scale")
        context = self._add("MatMul", self._add("Softmax", scores, axis=-1), heads["v"])
        merged = self._merged(self._add("Transpose", context, perm=[0, 2, 1, 3]))
        state = self._add("Add", state, self._linear(merged, "o", width, width))

        self._where = f"{path}/feed_forward"
        up = self._linear(self._normalized(state), "up", width, inner)
        grown = self._add("Add", self._add("Erf", self._add("Div", up, "root_of_2")), "one")
        active = self._add("Mul", self._add("Mul", up, grown), "half")
        return self._add("Add", state, self._linear(active, "down", inner, width), to=output)

    def _normalized(self, value: str) -> str:
        width = self.decoder.width
        names = [self._weight(f"norm.{each}", width) for each in ("weight", "bias")]
        return self._add("LayerNormalization", value, *names, axis=-1)

    def _linear(self, value: str, name: str, inputs: int, outputs: int) -> str:
        product = self._add("MatMul", value, self._weight(f"{name}.weight", inputs, outputs))
        return self._add("Add", product, self._weight(f"{name}.bias", outputs))

    def _split(self, value: str, perm: Sequence[int]) -> str:
        shape = self._add("Concat", *self._outer(value), "heads", "head_width", axis=0)
        return self._add("Transpose", self._add("Reshape", value, shape), perm=list(perm))

    def _merged(self, value: str) -> str:
        shape = self._add("Concat", *self._outer(value), "width", axis=0)
        return self._add("Reshape", value, shape)

    def _outer(self, value: str) -> list[str]:
        """Return batch and tokens of ``value``, read from its shape."""
        sizes = [self._add("Gather", self._add("Shape", value), axis) for axis in ("0", "1")]
        return [self._add("Unsqueeze", size, "axes") for size in sizes]

    def _weight(self, name: str, *dims: int) -> str:
        full = f"{self._where[1:].replace('/', '.')}.{name}"
        self.weights[full] = dims
        return full

    def _add(self, op: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        name = f"{self._where}/{op}_{len(self.nodes)}"
        output = to or f"{name}_output_0"
        self.nodes.append(helper.make_node(op, inputs, [output], name, **attributes))
        return output


def _constants(decoder: Decoder) -> list[TensorProto]:
    head_width = decoder.width // decoder.heads
    whole = {"heads": decoder.heads, "head_width": head_width, "width": decoder.width, "axes": 0}
    real = {"scale": head_width**-0.5, "root_of_2": math.sqrt(2), "one": 1.0, "half": 0.5}
    return [
        *(helper.make_tensor(str(axis), TensorProto.INT64, [], [axis]) for axis in (0, 1)),
        *(helper.make_tensor(name, TensorProto.INT64, [1], [size]) for name, size in whole.items()),
        *(helper.make_tensor(name, TensorProto.FLOAT, [], [at]) for name, at in real.items()),
    ]


def _write_external(
    path: Path, model: onnx.ModelProto, weights: dict[str, tuple[int, ...]]
) -> None:
    data = path.with_suffix(".data")
    offset = 0
    for name, dims in weights.items():
        tensor = _hollow(name, dims)
        length = 4 * math.prod(dims)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", data.name), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        model.graph.initializer.append(tensor)
        offset += length
    with data.open("wb") as file:
        file.truncate(offset)
    path.write_bytes(model.SerializeToString())


def _write_embedded(
    path: Path, model: onnx.ModelProto, weights: dict[str, tuple[int, ...]], *, hole: bool
) -> None:
    """Write fields one by one: a graph, and its weights as further fields of it.

    protobuf would need the payloads in memory; a hole in the file is as good for a reader.
    """
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    heads = {name: _head(name, dims) for name, dims in weights.items()}
    with path.open("wb") as file:
        file.write(model.SerializeToString())
        payloads = sum(len(heads[name]) + 4 * math.prod(dims) for name, dims in weights.items())
        file.write(_key(MODEL_GRAPH, len(graph) + payloads))
        file.write(graph)
        for name, dims in weights.items():
            file.write(heads[name])
            if hole:
                file.seek(4 * math.prod(dims), 1)
            else:
                _write_ones(file, math.prod(dims))
        file.truncate()


def _head(name: str, dims: tuple[int, ...]) -> bytes:
    """Return a field of the graph that holds a tensor, up to where its payload begins."""
    length = 4 * math.prod(dims)
    inside = _hollow(name, dims).SerializeToString() + _key(TENSOR_RAW_DATA, length)
    return _key(GRAPH_INITIALIZER, len(inside) + length) + inside


def _hollow(name: str, dims: tuple[int, ...]) -> TensorProto:
    return TensorProto(name=name, dims=dims, data_type=TensorProto.FLOAT)


def _write_ones(file: BinaryIO, count: int) -> None:
    file.write(b"\x00\x00\x80\x3f" * count)


def _key(field_number: int, length: int) -> bytes:
    """Return a length-delimited field's key and length, in protobuf's wire format."""
    return _varint(field_number << 3 | 2) + _varint(length)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
