"""Small transformers as exporters write them, with batch and sequence open and the cost by hand.

Shapes are computed in the graph (Shape, Gather, Concat, Reshape), as torch and Hugging Face
exports do; weights are of the right shape and hold nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


@dataclass(frozen=True)
class Transformer:
    """A model and its truth: ``macs`` as formula, ``params`` as number of elements."""

    model: Any
    macs: str
    params: int


class Writer:
    """Collects nodes and weights; every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.params = 0

    def op(self, op: str, *inputs: str, **attributes: Any) -> str:
        at = len(self.nodes)
        output = f"{op}_{at}_out"
        self.nodes.append(helper.make_node(op, inputs, [output], f"{op}_{at}", **attributes))
        return output

    def weight(self, *dims: int) -> str:
        name = f"weight_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.zeros(dims, np.float32), name))
        self.params += int(np.prod(dims))
        return name

    def ints(self, *values: int) -> str:
        name = f"ints_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def scalar(self, value: float) -> str:
        name = f"scalar_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def dim(self, of: str, axis: int) -> str:
        """The size of one axis, as a tensor [1]."""
        return self.op("Gather", self.op("Shape", of), self.ints(axis), axis=0)

    def linear(self, x: str, wide: int, out: int, *, bias: bool = True) -> str:
        y = self.op("MatMul", x, self.weight(wide, out))
        return self.op("Add", y, self.weight(out)) if bias else y

    def norm(self, x: str, hidden: int) -> str:
        return self.op("LayerNormalization", x, self.weight(hidden), self.weight(hidden), axis=-1)

    def heads(self, x: str, heads: int, head_dim: int) -> str:
        """[B, S, heads·d] → [B, heads, S, d]."""
        parts = (self.dim(x, 0), self.dim(x, 1), self.ints(heads), self.ints(head_dim))
        shape = self.op("Concat", *parts, axis=0)
        return self.op("Transpose", self.op("Reshape", x, shape), perm=[0, 2, 1, 3])

    def merged(self, x: str, hidden: int) -> str:
        """[B, heads, S, d] → [B, S, heads·d]."""
        x = self.op("Transpose", x, perm=[0, 2, 1, 3])
        shape = self.op("Concat", self.dim(x, 0), self.dim(x, 1), self.ints(hidden), axis=0)
        return self.op("Reshape", x, shape)

    def attend(self, q: str, k: str, v: str, head_dim: int) -> str:
        keys = self.op("Transpose", k, perm=[0, 1, 3, 2])
        scores = self.op("Div", self.op("MatMul", q, keys), self.scalar(head_dim**0.5))
        return self.op("MatMul", self.op("Softmax", scores, axis=-1), v)

    def model(self, inputs: list[Any], outputs: list[str], opset: int = 17) -> Any:
        infos = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "transformer", inputs, infos, self.initializers)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10
        )


def tokens() -> Any:
    return helper.make_tensor_value_info("input_ids", INT64, ["B", "S"])


def block(write: Writer, x: str, hidden: int, ffn: int, heads: int) -> str:
    """A pre-norm layer: 4·H² + 2·H·F MACs per token, 2·S·H for its attention."""
    head_dim = hidden // heads
    y = write.norm(x, hidden)
    q, k, v = (write.heads(write.linear(y, hidden, hidden), heads, head_dim) for _ in range(3))
    y = write.merged(write.attend(q, k, v, head_dim), hidden)
    x = write.op("Add", x, write.linear(y, hidden, hidden))
    y = write.linear(write.norm(x, hidden), hidden, ffn)
    y = write.op("Mul", y, write.op("Sigmoid", y))
    return write.op("Add", x, write.linear(y, ffn, hidden))


def bert(hidden: int = 32, ffn: int = 64, heads: int = 4, layers: int = 2) -> Transformer:
    """Encoder with a pooler on the first token."""
    write = Writer()
    x = write.op("Gather", write.weight(100, hidden), "input_ids")
    for _ in range(layers):
        x = block(write, x, hidden, ffn, heads)
    first = write.op("Gather", x, write.ints(0), axis=1)
    first = write.op("Squeeze", first, write.ints(1))
    pooled = write.op("Tanh", write.op("Gemm", first, write.weight(hidden, hidden)))
    per_token = layers * (4 * hidden**2 + 2 * hidden * ffn)
    macs = f"{layers * 2 * hidden}*B*S**2 + {per_token}*B*S + {hidden**2}*B"
    return Transformer(write.model([tokens()], [pooled]), macs, write.params)


def gpt2(hidden: int = 32, ffn: int = 128, heads: int = 4, layers: int = 2) -> Transformer:
    """Decoder whose head is tied to its embedding, with a causal mask sliced from a table."""
    write = Writer()
    vocab, context = 101, 64
    table = write.weight(vocab, hidden)
    x = write.op("Gather", table, "input_ids")
    length = write.dim("input_ids", 1)
    positions = write.op("Slice", write.weight(context, hidden), write.ints(0), length)
    x = write.op("Add", x, positions)
    for _ in range(layers):
        x = block(write, x, hidden, ffn, heads)
    logits = write.op("MatMul", x, write.op("Transpose", table, perm=[1, 0]))
    per_token = layers * (4 * hidden**2 + 2 * hidden * ffn) + vocab * hidden
    macs = f"{layers * 2 * hidden}*B*S**2 + {per_token}*B*S"
    return Transformer(write.model([tokens()], [logits]), macs, write.params)


def llama(
    hidden: int = 32, ffn: int = 48, heads: int = 4, kv_heads: int = 2, layers: int = 2
) -> Transformer:
    """Decoder with grouped queries and a key-value cache of open length P."""
    write = Writer()
    vocab, head_dim = 50, hidden // heads
    kv_hidden = kv_heads * head_dim
    inputs, outputs = [tokens()], []
    x = write.op("Gather", write.weight(vocab, hidden), "input_ids")
    for layer in range(layers):
        y = write.norm(x, hidden)
        q = write.heads(write.linear(y, hidden, hidden, bias=False), heads, head_dim)
        cached = []
        for part in ("key", "value"):
            past = f"past_key_values.{layer}.{part}"
            inputs.append(
                helper.make_tensor_value_info(past, FLOAT, ["B", kv_heads, "P", head_dim])
            )
            new = write.linear(y, hidden, kv_hidden, bias=False)
            new = write.heads(new, kv_heads, head_dim)
            new = write.op("Concat", past, new, axis=2)
            present = f"present.{layer}.{part}"
            write.nodes.append(helper.make_node("Identity", [new], [present]))
            outputs.append(present)
            cached.append(_repeated(write, new, heads, kv_heads, head_dim))
        y = write.merged(write.attend(q, cached[0], cached[1], head_dim), hidden)
        x = write.op("Add", x, write.linear(y, hidden, hidden, bias=False))
        y = write.norm(x, hidden)
        gate = write.linear(y, hidden, ffn, bias=False)
        gate = write.op("Mul", gate, write.op("Sigmoid", gate))
        y = write.op("Mul", gate, write.linear(y, hidden, ffn, bias=False))
        x = write.op("Add", x, write.linear(y, ffn, hidden, bias=False))
    logits = write.linear(x, hidden, vocab, bias=False)
    per_token = layers * (2 * hidden**2 + 2 * hidden * kv_hidden + 3 * hidden * ffn)
    attention = layers * 2 * hidden
    macs = f"{attention}*B*S**2 + {attention}*B*S*P + {per_token + vocab * hidden}*B*S"
    return Transformer(write.model(inputs, [logits, *outputs]), macs, write.params)


def _repeated(write: Writer, x: str, heads: int, kv_heads: int, head_dim: int) -> str:
    """[B, kv_heads, T, d] → [B, heads, T, d]: Unsqueeze, Expand, Reshape, as exporters do it."""
    groups = write.ints(heads // kv_heads)
    batch, length = write.dim(x, 0), write.dim(x, 2)
    wide = write.op(
        "Concat", batch, write.ints(kv_heads), groups, length, write.ints(head_dim), axis=0
    )
    x = write.op("Expand", write.op("Unsqueeze", x, write.ints(2)), wide)
    shape = write.op("Concat", batch, write.ints(heads), length, write.ints(head_dim), axis=0)
    return write.op("Reshape", x, shape)


def vit(hidden: int = 32, ffn: int = 64, heads: int = 4, layers: int = 2) -> Transformer:
    """Vision transformer of 32-pixel images in 8-pixel patches, with a class token."""
    write = Writer()
    image = helper.make_tensor_value_info("pixels", FLOAT, ["B", 3, 32, 32])
    x = write.op("Conv", "pixels", write.weight(hidden, 3, 8, 8), strides=[8, 8])
    batch = write.dim("pixels", 0)
    x = write.op("Reshape", x, write.op("Concat", batch, write.ints(hidden, 16), axis=0))
    x = write.op("Transpose", x, perm=[0, 2, 1])
    wide = write.op("Concat", batch, write.ints(1, hidden), axis=0)
    token = write.op("Expand", write.weight(1, 1, hidden), wide)
    x = write.op("Add", write.op("Concat", token, x, axis=1), write.weight(1, 17, hidden))
    for _ in range(layers):
        x = block(write, x, hidden, ffn, heads)
    first = write.op("Squeeze", write.op("Gather", x, write.ints(0), axis=1), write.ints(1))
    logits = write.op("Gemm", first, write.weight(hidden, 10), write.weight(10))
    per_layer = 17 * (4 * hidden**2 + 2 * hidden * ffn) + 2 * 17**2 * hidden
    macs = 16 * hidden * 3 * 64 + layers * per_layer + 10 * hidden
    return Transformer(write.model([image], [logits]), f"{macs}*B", write.params)
