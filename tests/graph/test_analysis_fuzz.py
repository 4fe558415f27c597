"""Models damaged where protobuf is still well-formed: a profile or a named error, nothing else."""

from __future__ import annotations

import collections
import random
from typing import TYPE_CHECKING, Any

import pytest
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper

from onnxbench.errors import OnnxBenchError
from onnxbench.graph.analysis import analyze
from onnxbench.graph.static import static_document
from onnxbench.types import canonical_json
from tests.graph import parsed, transformers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CASES = 500

TEXTS = {
    "attention": """g (float[2,5,192] x, float[2,2,4,16] k, float[2,2,4,16] v, int32[2] lengths,
        int32 most) => (z, a, b) <float[128,384] w, float[384] bias>
        { y, a, b = com.microsoft.GroupQueryAttention <num_heads = 8, kv_num_heads = 2>
            (x, , , k, v, lengths, most)
          z = com.microsoft.Attention <num_heads = 8> (y, w, bias) }""",
    "convolutions": """g (float[N,3,17,17] x) => (y)
        <float[8,3,3,3] w, float[8] b, float[8,2,4,4] t, int64[4] sizes = {1, 4, 9, 9}>
        { c = Conv <auto_pad = "SAME_UPPER", strides = [2, 2]> (x, w, b) r = Relu (c)
          d = ConvTranspose <group = 2, strides = [2, 2], pads = [1, 1, 1, 1]> (r, t)
          p = MaxPool <kernel_shape = [3, 3], ceil_mode = 1> (d)
          y = Resize <mode = "linear"> (p, , , sizes) }""",
    "data": """g (float[N,8] x, int64[2] s) => (y, z)
        { i = NonZero (x) t = Transpose (i) v = GatherND (x, t) y = Exp (v)
          z = Reshape (x, s) }""",
    "if": """g (bool c, float[4,8] x) => (y) <float[8,8] w, float[8,2] v>
        { y = If (c) <then_branch = one () => (float[4,8] a) { a = MatMul (x, w) },
                      else_branch = two () => (float[4,2] b) { b = MatMul (x, v) }> }""",
    "loop": """g (int64 m, bool c, float[4,8] x) => (y, z) <float[8,8] w>
        { y, z = Loop (m, c, x) <body = b (int64 i, bool go, float[4,8] s)
            => (bool on, float[4,8] t, float[4,8] u)
            { on = Identity (go) t = MatMul (s, w) u = Tanh (t) }> }""",
    "products": """g (float[2,3,4,5] x) => (y)
        <float[5,6] w, float[3,7,6] v, int8[7,9] q, float scale = {1}>
        { a = MatMul (x, w) b = Einsum <equation = "bijk,inl->bijn"> (a, v)
          d = DequantizeLinear (q, scale) c = MatMul (b, d)
          y = LayerNormalization (c, scale) }""",
    "recurrent": """g (float[T,2,5] x) => (y, h) <float[2,12,5] w, float[2,12,3] r, float[2,24] b>
        { y, h = LSTM <hidden_size = 3, direction = "bidirectional"> (x, w, r, b) }""",
    "scan": """g (float[8] h, float[T,8] x) => (y, z) <float[8,8] w>
        { y, z = Scan <num_scan_inputs = 1, body = b (float[8] s, float[8] e)
            => (float[8] t, float[8] o) { m = MatMul (s, w) t = Add (m, e) o = Identity (t) }>
            (h, x) }""",
    "shapes": """g (float[N,S,16] x) => (y, z, p)
        <int64[1] one = {1}, int64[1] two = {2}, int64[1] rest = {-1},
         int64[6] wide = {0, 1, 0, 0, 2, 0}>
        { s = Shape (x) n = Slice (s, one, two) l = Concat <axis = 0> (rest, n) e = Reshape (x, l)
          y, z = Split <axis = 0, num_outputs = 2> (e) p = Pad (x, wide) }""",
}


def _seed(name: str) -> ModelProto:
    made: Callable[[], transformers.Transformer] | None = getattr(transformers, name, None)
    return parsed.model(TEXTS[name]) if made is None else made().model


SEEDS = {name: _seed(name) for name in ("bert", "llama", *TEXTS)}

OPERATORS = (
    "Attention", "Concat", "Conv", "Einsum", "Gather", "Gemm", "If", "LSTM", "Loop", "MatMul",
    "Nothing", "Pad", "Reshape", "Resize", "Slice", "Split",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    0,
    -1,
    5,
    10**12,
    -(2**63),
    2**63 - 1,
    1.5,
    "x",
    [],
    [1, 2, 3],
    [-1] * 5,
    [10**9] * 3,
)
DIMS = ("N", "?", "a b", "s0+1", "floor(N/0)", "max", "N**9", 0, 1, 7, 2**31, 2**62)


def _nodes(model: ModelProto) -> list[NodeProto]:
    found = list(model.graph.node)
    for node in found:  # grows: nodes of subgraphs join
        for each in node.attribute:
            if each.type == AttributeProto.GRAPH:
                found += each.g.node
    return found


def _lose_input(node: NodeProto, pick: random.Random) -> None:
    if node.input:
        node.input[pick.randrange(len(node.input))] = pick.choice(("", "", "undefined"))


def _cut_inputs(node: NodeProto, _: random.Random) -> None:
    del node.input[-1:]


def _repeat_input(node: NodeProto, pick: random.Random) -> None:
    if node.input:
        node.input.append(pick.choice(node.input))


def _add_output(node: NodeProto, _: random.Random) -> None:
    node.output.append(f"{node.output[0]}+" if node.output else "+")


def _drop_attribute(node: NodeProto, pick: random.Random) -> None:
    if node.attribute:
        del node.attribute[pick.randrange(len(node.attribute))]


def _set_attribute(node: NodeProto, pick: random.Random) -> None:
    if node.attribute:
        attribute, value = pick.choice(node.attribute), pick.choice(VALUES)
        kind = AttributeProto.INTS if value == [] else None
        attribute.CopyFrom(helper.make_attribute(attribute.name, value, attr_type=kind))


def _rename(node: NodeProto, pick: random.Random) -> None:
    node.op_type = pick.choice(OPERATORS)


def _move(node: NodeProto, pick: random.Random) -> None:
    node.domain = pick.choice(("", "com.microsoft", "x"))


OF_NODES = (
    _lose_input, _cut_inputs, _repeat_input, _add_output,
    _drop_attribute, _set_attribute, _rename, _move,
)  # fmt: skip


def _damage_input(model: ModelProto, pick: random.Random) -> None:
    """Change the rank or a dim of an input."""
    if not model.graph.input:
        return
    of = pick.choice(model.graph.input).type
    if not of.HasField("tensor_type"):
        return
    dims = of.tensor_type.shape.dim
    dim: Any = pick.choice([*dims, None])
    if dim is None and pick.random() < 0.5:
        of.tensor_type.ClearField("shape")
    else:
        dim = dims.add() if dim is None else dim
        size = pick.choice(DIMS)
        setattr(dim, "dim_param" if isinstance(size, str) else "dim_value", size)


def _damage_constant(model: ModelProto, pick: random.Random) -> None:
    """Replace an initializer by two integers."""
    if model.graph.initializer:
        found = pick.choice(model.graph.initializer)
        values = [pick.choice((0, -1, 2**62)), 5]
        found.CopyFrom(helper.make_tensor(found.name, TensorProto.INT64, [2], values))


def damaged(seed: int) -> ModelProto:
    """Return one of the seeds with one to three damages, the same for the same ``seed``."""
    pick = random.Random(seed)
    model = ModelProto()
    model.CopyFrom(SEEDS[pick.choice(sorted(SEEDS))])
    for _ in range(pick.randint(1, 3)):
        if pick.random() < 0.25:
            pick.choice((_damage_input, _damage_constant))(model, pick)
        else:
            pick.choice(OF_NODES)(pick.choice(_nodes(model)), pick)
    return model


def _outcome(model: ModelProto, path: Path) -> str:
    path.unlink(missing_ok=True)  # many times faster than truncating it
    path.write_bytes(model.SerializeToString())
    try:
        found = analyze(path)
    except OnnxBenchError as error:
        refusal = error
    else:
        canonical_json(static_document(found))
        assert found.exact == all(node.status == "exact" for node in found.nodes)
        return "exact" if found.exact else "partial"
    assert 0 < len(refusal.message) < 1000
    return "refused"


@pytest.mark.parametrize("start", range(0, CASES, 20))
def test_damage_ends_as_a_profile_or_a_named_error(start: int, tmp_path: Path) -> None:
    for seed in range(start, start + 20):
        try:
            _outcome(damaged(seed), tmp_path / "model.onnx")
        except Exception as error:
            error.add_note(f"damaged({seed})")
            raise


def test_the_damages_reach_every_outcome(tmp_path: Path) -> None:
    """Otherwise the fuzzing above would look at one road alone."""
    found = collections.Counter(
        _outcome(damaged(seed), tmp_path / "model.onnx") for seed in range(60)
    )
    assert set(found) == {"exact", "partial", "refused"}
    assert min(found.values()) >= 3


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_the_seeds_are_good(name: str, tmp_path: Path) -> None:
    assert _outcome(SEEDS[name], tmp_path / "model.onnx") == (
        "partial" if name == "if" else "exact"
    )
