"""Networks whose work is known, and that a runtime cannot make less of.

Each is a chain, so that what a call costs and what crosses the boundary are a small part of it:

- ``matmul``, ``conv``: products of the sizes that networks have, one feeding the next. Rates of
  convolutions are of their own, for some kernels need fewer operations than are counted.
- ``weights``: one vector through many matrices: each weight is read once, for two FLOPs.
- ``activations``: one elementwise operator after another. A slice of every result is an output, so
  that none can be left in registers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from onnx import ModelProto, NodeProto, TensorProto

    Array = np.ndarray[Any, np.dtype[Any]]

Kind = Literal["matmul", "conv", "weights", "activations"]
Type = Literal["float32", "float16", "bfloat16", "int8"]
TYPES: tuple[Type, ...] = ("float32", "float16", "bfloat16", "int8")

OPSET, IR_VERSION = 17, 10
BFLOAT16_OPSET = 22
"""The first in which Conv takes bfloat16."""

SEED = 0

MATMULS = (("256", 256, 256, 256, 16), ("512", 512, 512, 512, 6), ("1024", 1024, 1024, 1024, 2),
           ("128x768x3072", 128, 768, 3072, 4))  # fmt: skip
"""Name, rows, and columns and rows of the two matrices that alternate; links of the chain."""

CONVS = ((64, 56, 3, 6), (128, 28, 3, 6), (256, 14, 3, 6), (256, 56, 3, 1), (512, 28, 3, 1),
         (64, 56, 1, 24), (256, 28, 1, 12), (512, 14, 1, 12))  # fmt: skip
"""Channels, height and width, kernel, links of the chain: the shapes of ResNet and VGG."""

SAMPLED = ("512", "1024")
SAMPLED_CONVS = ((128, 28, 3, 6), (256, 14, 3, 6), (256, 28, 1, 12))
"""Of the types other than float32, which fewer networks have."""

WORKING_SETS = (256 << 10, 1 << 20, 4 << 20, 16 << 20)
"""Bytes; those of most layers. One more is larger than every cache."""

MEMORY_BYTES = 256 << 20
MOST_MEMORY_BYTES = 1 << 30
CACHES = 4
"""A working set of so many last-level caches keeps no more than a fourth of itself in it."""

LINKS = 8
PLANE = (32, 32)


@dataclass(frozen=True, slots=True)
class Case:
    """One network. ``work``: FLOPs of one inference, or the bytes that it reads and writes.

    ``working_set``: bytes that each inference goes through, about; None where arithmetic is
    measured.
    ``sizes``: what it is made from.
    """

    name: str
    kind: Kind
    type: Type
    work: int
    sizes: tuple[int, ...]
    working_set: int | None = None

    def write(self, folder: Path) -> Path:
        """Write the network into ``folder``; return its file."""
        import onnx  # noqa: PLC0415 - 0.2 s

        path = folder / f"{self.name}.onnx"
        onnx.save(_MAKERS[self.kind](self), path)
        return path


def compute_cases(types: Sequence[Type]) -> list[Case]:
    """Return the networks that measure arithmetic in ``types``."""
    found = []
    for each in types:
        found += [
            Case(f"matmul-{each}-{name}", "matmul", each, 2 * m * k * n * links, (m, k, n, links))
            for name, m, k, n, links in MATMULS
            if each == "float32" or name in SAMPLED
        ]
        found += [
            Case(
                f"conv-{each}-{channels}x{side}x{side}-{kernel}x{kernel}",
                "conv",
                each,
                2 * links * (channels * kernel * side) ** 2,
                (channels, side, kernel, links),
            )
            for channels, side, kernel, links in CONVS
            if each == "float32" or (channels, side, kernel, links) in SAMPLED_CONVS
        ]
    return found


def memory_cases(cache_bytes: int | None, available_bytes: int | None) -> list[Case]:
    """Return the networks that measure memory, for a last-level cache of ``cache_bytes``.

    The largest takes no more than an eighth of ``available_bytes``.
    """
    largest = min(
        max(MEMORY_BYTES, CACHES * (cache_bytes or 0)),
        MOST_MEMORY_BYTES,
        (available_bytes or 8 * MEMORY_BYTES) // 8,
    )
    found = []
    for working_set in (*(each for each in WORKING_SETS if each < largest), largest):
        name = f"{working_set >> 10}KiB"
        side = int((working_set / LINKS / 4) ** 0.5) // 16 * 16
        rows = working_set // 2 // 4 // prod(PLANE)
        made: tuple[tuple[Kind, int, int], ...] = (
            ("weights", LINKS * side * side * 4, side),
            ("activations", 2 * LINKS * rows * prod(PLANE) * 4, rows),
        )
        found += [
            Case(f"{kind}-{name}", kind, "float32", moved, (size,), working_set)
            for kind, moved, size in made
        ]
    return found


# -------------------------------------------------------------------------------------- networks


def _matmul(case: Case) -> ModelProto:
    m, k, n, links = case.sizes
    chain = _Chain(case.type)
    for link in range(links):
        shape = (k, n) if link % 2 == 0 else (n, k)
        chain.product("MatMul", shape, fan_in=shape[0])
    return chain.model((m, k), (m, k if links % 2 == 0 else n))


def _conv(case: Case) -> ModelProto:
    channels, side, kernel, links = case.sizes
    chain = _Chain(case.type)
    for _ in range(links):
        shape = (channels, channels, kernel, kernel)
        fan_in = channels * kernel * kernel
        chain.product("Conv", shape, fan_in=fan_in, pads=[kernel // 2] * 4)
    return chain.model((1, channels, side, side), (1, channels, side, side))


def _weights(case: Case) -> ModelProto:
    (side,) = case.sizes
    chain = _Chain(case.type)
    for _ in range(LINKS):
        chain.product("MatMul", (side, side), fan_in=side)
    return chain.model((1, side), (1, side))


def _activations(case: Case) -> ModelProto:
    from onnx import helper  # noqa: PLC0415

    (rows,) = case.sizes
    chain = _Chain(case.type)
    slice_ = (("first", 0), ("last", 1), ("axis", 1))
    bounds = [chain.constant(name, [value]) for name, value in slice_]
    heads = []
    for link in range(LINKS):
        chain.node("Relu" if link % 2 == 0 else "Neg", [chain.last])
        heads.append(f"head{link}")
        chain.nodes.append(helper.make_node("Slice", [chain.last, *bounds], [heads[-1]]))
    chain.node("Concat", heads, axis=1)
    # An image without a batch, for not every runtime can slice along a first axis.
    return chain.model((1, rows, *PLANE), (1, LINKS, *PLANE))


_MAKERS = {"matmul": _matmul, "conv": _conv, "weights": _weights, "activations": _activations}


class _Chain:
    """A network in the making: each node takes what the one before it made.

    A network of int8 is one of float32 between QuantizeLinear and DequantizeLinear (QDQ), which is
    how such networks are passed on and what every runtime with int8 kernels takes.
    """

    SCALE = 6 / 255
    """Of activations: normal values of deviation 1 and less lie within ± 3."""

    def __init__(self, type_: Type) -> None:
        import numpy as np  # noqa: PLC0415

        self.nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self._type = type_
        self._random = np.random.default_rng(SEED)
        self.last = "x"
        if type_ == "int8":
            self._quantized()

    def node(self, op: str, inputs: Sequence[str], **attributes: Any) -> None:
        """Append a node of one output."""
        from onnx import helper  # noqa: PLC0415

        self.last = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [self.last], **attributes))

    def constant(self, name: str, values: Sequence[int]) -> str:
        """Add a list of int64."""
        from onnx import TensorProto, helper  # noqa: PLC0415

        tensor = helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        self._constants.append(tensor)
        return name

    def product(self, op: str, shape: Sequence[int], *, fan_in: int, **attributes: Any) -> None:
        """Append a product with new weights that keep the deviation of what passes through."""
        import numpy as np  # noqa: PLC0415

        values = self._random.standard_normal(shape, dtype=np.float32) / np.float32(fan_in**0.5)
        weights = f"w{len(self._constants)}"
        if self._type == "int8":
            scale = np.float32(np.abs(values).max() / 127)
            self._add(f"{weights}_stored", np.round(values / scale).astype(np.int8))
            self._add(f"{weights}_scale", scale)
            self._add(f"{weights}_zero", np.int8(0))
            before = self.last
            parts = [f"{weights}_stored", f"{weights}_scale", f"{weights}_zero"]
            self.node("DequantizeLinear", parts)
            weights, self.last = self.last, before
        else:
            self._add(weights, values)
        self.node(op, [self.last, weights], **attributes)
        if self._type == "int8":
            self._quantized()

    def model(self, taken: Sequence[int], made: Sequence[int]) -> ModelProto:
        """Return the network of input shape ``taken`` and output shape ``made``."""
        from onnx import TensorProto, helper  # noqa: PLC0415

        self.nodes[-1].output[0] = "y"
        number = {
            "float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16
        }.get(self._type, TensorProto.FLOAT)  # fmt: skip
        graph = helper.make_graph(
            self.nodes,
            "calibration",
            [helper.make_tensor_value_info("x", number, taken)],
            [helper.make_tensor_value_info("y", number, made)],
            self._constants,
        )
        opset = BFLOAT16_OPSET if self._type == "bfloat16" else OPSET
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)

    def _quantized(self) -> None:
        """Append a pair of QuantizeLinear and DequantizeLinear, to uint8 around 128."""
        import numpy as np  # noqa: PLC0415

        if not self._constants:
            self._add("scale", np.float32(self.SCALE))
            self._add("zero", np.uint8(128))
        for op in ("QuantizeLinear", "DequantizeLinear"):
            self.node(op, [self.last, "scale", "zero"])

    def _add(self, name: str, values: Any) -> None:
        import numpy as np  # noqa: PLC0415
        from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

        array: Array = np.asarray(values)
        if array.dtype == np.float32 and self._type == "float16":
            array = array.astype(np.float16)
        if array.dtype == np.float32 and self._type == "bfloat16":
            # The upper half of a float32, rounded down: any weight will do.
            bits = (array.view(np.uint32) >> 16).astype(np.uint16)
            tensor = helper.make_tensor(
                name, TensorProto.BFLOAT16, array.shape, bits.tobytes(), raw=True
            )
        else:
            tensor = numpy_helper.from_array(array, name)
        self._constants.append(tensor)
