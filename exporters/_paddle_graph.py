"""Brings what paddle2onnx writes into the form that runtimes and readers expect.

paddle2onnx puts an Identity behind most operators and adds a convolution's bias by Reshape and
Add; it never folds BatchNormalization. All rewriting here is exact but for the rounding of folded
weights to float32.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Array = np.ndarray[Any, np.dtype[Any]]


class Graph:
    """An ONNX graph under rewriting: ``values`` holds the constants by name."""

    def __init__(self, proto: Any, weights: Mapping[str, Array]) -> None:
        """Take the graph of ``proto``, whose weights are still names without values."""
        from onnx import numpy_helper  # noqa: PLC0415

        self._proto = proto
        self.values: dict[str, Array] = {
            t.name: numpy_helper.to_array(t) for t in proto.initializer
        }
        self.nodes: list[Any] = []
        for node in proto.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            else:
                self.nodes.append(node)
        self._inner = {name for node in self.nodes for name in _read_inside(node)}
        read = {name for node in self.nodes for name in node.input} | self._inner
        self.values |= {name: array for name, array in weights.items() if name in read}

    def missing(self) -> set[str]:
        """Return the names that are read and that nobody defines."""
        known = {name for node in self.nodes for name in node.output} | self.values.keys()
        known |= {value.name for value in self._proto.input}
        return {name for node in self.nodes for name in node.input if name} - known

    def tidy(self) -> None:
        """Drop Identity, give constants their shape, make an added bias the convolution's."""
        self._drop_identities()
        self._shape_constants()
        self._rewrite("Conv", "Add", self._absorb_bias)

    def fold_batch_norms(self) -> int:
        """Fold each BatchNormalization into the Conv before it; return how many remain."""
        self._rewrite("Conv", "BatchNormalization", self._absorb_norm)
        return sum(node.op_type == "BatchNormalization" for node in self.nodes)

    def rename(self, old: str, new: str) -> None:
        """Give a value another name wherever it stands."""
        for node in self.nodes:
            node.input[:] = [new if name == old else name for name in node.input]
            node.output[:] = [new if name == old else name for name in node.output]
        for value in (*self._proto.input, *self._proto.output):
            value.name = new if value.name == old else value.name

    def store(self) -> None:
        """Write nodes and constants back; every node gets a name, what nobody reads goes."""
        from onnx import numpy_helper  # noqa: PLC0415

        read = {name for node in self.nodes for name in node.input} | self._inner
        count: Counter[str] = Counter()
        for node in self.nodes:
            node.name = f"{node.op_type}_{count[node.op_type]}"
            count[node.op_type] += 1
        del self._proto.node[:], self._proto.initializer[:], self._proto.value_info[:]
        self._proto.node.extend(self.nodes)
        for name in [name for name in self.values if name in read]:
            self._proto.initializer.append(numpy_helper.from_array(self.values.pop(name), name))

    def _drop_identities(self) -> None:
        kept = []
        same: dict[str, str] = {}
        for node in self.nodes:
            node.input[:] = [same.get(name, name) for name in node.input]
            if node.op_type == "Identity" and node.output[0] not in self._inner:
                same[node.output[0]] = node.input[0]
            else:
                kept.append(node)
        self.nodes = kept
        for value in self._proto.output:
            value.name = same.get(value.name, value.name)

    def _shape_constants(self) -> None:
        kept = []
        for node in self.nodes:
            arrays = [self.values[name] for name in node.input if name in self.values]
            if node.op_type not in {"Reshape", "Unsqueeze"} or len(arrays) < 2:
                kept.append(node)
                continue
            data, sizes = arrays
            self.values[node.output[0]] = (
                np.expand_dims(data, tuple(map(int, sizes)))
                if node.op_type == "Unsqueeze"
                else data.reshape([data.shape[i] if n == 0 else n for i, n in enumerate(sizes)])
            )
        self.nodes = kept

    def _rewrite(self, first: str, second: str, absorb: Callable[[Any, Any], bool]) -> None:
        """Let each ``first`` absorb the ``second`` that is the only reader of its result."""
        readers = Counter(name for node in self.nodes for name in node.input)
        readers.update(value.name for value in self._proto.output)
        readers.update(self._inner)
        makers = {node.output[0]: node for node in self.nodes if node.op_type == first}
        kept = []
        for node in self.nodes:
            maker = node.op_type == second and next(
                (makers[name] for name in node.input if name in makers and readers[name] == 1), None
            )
            if maker and absorb(maker, node):
                maker.output[0] = node.output[0]
                makers[maker.output[0]] = maker
            else:
                kept.append(node)
        self.nodes = kept

    def _absorb_bias(self, conv: Any, add: Any) -> bool:
        name = add.input[1] if add.input[0] == conv.output[0] else add.input[0]
        bias, weight = self.values.get(name), self.values.get(conv.input[1])
        if bias is None or weight is None or len(conv.input) > 2:
            return False
        if bias.shape != (1, len(weight), *(1,) * (weight.ndim - 2)):
            return False
        self.values[f"{name}.flat"] = bias.reshape(-1)
        conv.input.append(f"{name}.flat")
        return True

    def _absorb_norm(self, conv: Any, norm: Any) -> bool:
        """Scale the filters by gamma/sqrt(variance + epsilon), in float64."""
        arrays = [self.values.get(name) for name in (*conv.input[1:], *norm.input[1:])]
        if any(array is None for array in arrays) or norm.input[0] != conv.output[0]:
            return False
        weight, *bias, gamma, beta, mean, variance = (
            array.astype(np.float64) for array in arrays if array is not None
        )
        epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
        scale = gamma / np.sqrt(variance + epsilon)
        shift = beta + ((bias[0] if bias else 0) - mean) * scale
        filters = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
        # By the normalisation's names: the filter may serve another convolution too.
        names = [f"{norm.input[1]}.filters", f"{norm.input[2]}.shift"]
        self.values |= {
            name: array.astype(np.float32)
            for name, array in zip(names, (filters, shift), strict=True)
        }
        conv.input[1:] = names
        return True


def _read_inside(node: Any) -> Iterator[str]:
    """Yield the names that the branches of ``node`` read, their own ones among them."""
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from inner.input
            yield from _read_inside(inner)
        yield from (value.name for value in attribute.g.output)


def name_batch(values: Sequence[Any], name: str) -> None:
    """Name the open first dim of ``values``; other open dims keep their names."""
    for value in values:
        dims = value.type.tensor_type.shape.dim
        if dims and not dims[0].HasField("dim_value"):
            dims[0].dim_param = name
