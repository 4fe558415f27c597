"""Matrix products, plain, fused and of integers (traps M1 to M3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.cost import Cost
from onnxbench.graph.dims import product
from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.operands import (
    activation,
    broadcast,
    multiplied,
    same,
    shape,
    times,
    type_name,
)
from onnxbench.graph.operators.row import Operator

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count, Dim
    from onnxbench.graph.network import Node

_REQUANTIZATION = 2
"""FLOPs per output element: the scale and the zero point (Q1)."""

_DYNAMIC_QUANTIZATION = 4
"""FLOPs per element: the smallest and the largest found, then the scale and the zero point."""


class _Product(NamedTuple):
    """``out`` elements, each a sum of ``depth`` products."""

    out: Count
    depth: Count

    @property
    def macs(self) -> Count:
        return self.out * self.depth


def matmul(node: Node) -> Cost:
    """Count a matrix product: prod(broadcast batch) · M · N · K MACs (M1)."""
    a, b = node.input(0), node.input(1)
    return Cost(macs=_product(a.dims, b.dims).macs, operands=multiplied(a, b))


def fused_matmul(node: Node) -> Cost:
    """Count a matrix product with transposed operands and a scale, and perhaps an activation.

    ``transBatchA`` says that the rows stand before the batch; found by running ONNX Runtime 1.31.
    """
    a, b = node.input(0), node.input(1)
    dims = (_transposed(a.dims, node, "A"), _transposed(b.dims, node, "B"))
    found = _product(*dims)
    flops, transcendentals = activation(node.attribute("activation", ""))
    return Cost(
        macs=found.macs,
        flops=found.out * (flops + _scaled(node)),
        transcendentals=found.out * transcendentals,
        operands=multiplied(a, b),
    )


def gemm(node: Node) -> Cost:
    """Count M · N · K MACs (M2); alpha, beta and C are elementwise, as is a fused activation."""
    a, b, c = node.input(0), node.input(1), node.optional(2)
    found = _gemm(node, 0, 1)
    flops, transcendentals = activation(node.attribute("activation", ""))
    beta = node.attribute("beta", 0.0 if node.op == "GemmFloat8" else 1.0)
    added: Count = 0
    if c is not None and beta != 0:
        added = found.out + (c.elements if beta != 1 else 0)
    return Cost(
        macs=found.macs,
        flops=found.out * (flops + _scaled(node)) + added,
        transcendentals=found.out * transcendentals,
        operands=multiplied(a, b),
    )


def gemm_fast_gelu(node: Node) -> Cost:
    """Count a matrix product followed by a bias and Gelu."""
    found = _product(node.input(0).dims, node.input(1).dims)
    flops, transcendentals = activation("fastgelu")
    return Cost(
        macs=found.macs,
        flops=found.out * (flops + _present(node, 2)),
        transcendentals=found.out * transcendentals,
        operands=multiplied(node.input(0), node.input(1)),
    )


def matmul_integer(node: Node) -> Cost:
    """Count a matrix product of integers; zero points belong to the operands (M3)."""
    a, b = node.input(0), node.input(1)
    return Cost(macs=_product(a.dims, b.dims).macs, operands=times(type_name(a), type_name(b)))


def matmul_integer_to_float(node: Node) -> Cost:
    """Count a matrix product of integers whose sums are scaled to floats."""
    found = _product(node.input(0).dims, node.input(1).dims)
    return Cost(
        macs=found.macs,
        flops=found.out * (1 + _present(node, 6)),
        operands=times(type_name(node.input(0)), type_name(node.input(1))),
    )


def dynamic_quantize_matmul(node: Node) -> Cost:
    """Count a product whose left side is quantized to uint8 on the way in."""
    a, b = node.input(0), node.input(1)
    found = _product(a.dims, b.dims)
    return Cost(
        macs=found.macs,
        flops=a.elements * _DYNAMIC_QUANTIZATION + found.out * (1 + _present(node, 4)),
        operands=times("uint8", type_name(b)),
    )


def qlinear_matmul(node: Node) -> Cost:
    """Count a matrix product of integers that scales its sums back to integers."""
    a, b = node.input(0), node.input(3)
    found = _product(a.dims, b.dims)
    return Cost(
        macs=found.macs,
        flops=found.out * _REQUANTIZATION,
        operands=times(type_name(a), type_name(b)),
    )


def qgemm(node: Node) -> Cost:
    """Count Gemm of integers; its sums become floats, or integers when ``y_scale`` is given."""
    found = _gemm(node, 0, 3)
    scaling = _REQUANTIZATION if node.optional(7) is not None else 1
    return Cost(
        macs=found.macs,
        flops=found.out * (scaling + _present(node, 6)),
        operands=times(type_name(node.input(0)), type_name(node.input(3))),
    )


def qordered_matmul(node: Node) -> Cost:
    """Count a product of int8 matrices in cuBLASLt's orders, with a bias or a scaled sum."""
    a, b = node.input(0), node.input(2)
    found = _product(a.dims, b.dims)
    extra = _present(node, 5) + 2 * _present(node, 6)
    return Cost(
        macs=found.macs,
        flops=found.out * (_REQUANTIZATION + extra),
        operands=times(type_name(a), type_name(b)),
    )


def sparse_to_dense_matmul(node: Node) -> Cost:
    """Count the products with what the sparse matrix stores; only bounded where it is an input.

    Every stored element meets each of the N columns of B once.
    """
    a, b = node.input(0), node.input(1)
    found = _product(_transposed(a.dims, node, "A"), _transposed(b.dims, node, "B"))
    extra = found.out * _scaled(node)
    operands = times(type_name(a), type_name(b))
    stored = getattr(a.proto, "values", None)
    if stored is None:
        note = "how many elements the sparse matrix stores is not known"
        return Cost(found.macs, extra, least=(0, extra), note=note, operands=operands)
    columns = _transposed(b.dims, node, "B")[-1]
    return Cost(macs=stored.dims[0] * columns, flops=extra, operands=operands)


def fvcore_matmul(node: Node) -> Count:
    """Count as fvcore does: prod(A) · N, blind to a batch that only B has.

    Source: ``matmul_flop_jit`` in fvcore/nn/jit_handles.py 0.1.5.
    """
    a, b = node.input(0), node.input(1)
    if len(a.dims) < 2 or len(b.dims) < 2:
        return _product(a.dims, b.dims).macs
    return a.elements * b.dims[-1]


def paddle_matmul(node: Node) -> Count:
    """Count as ``paddle.flops`` does: a product with a weight is a Linear layer, others are 0.

    Source: ``count_linear`` and ``register_hooks`` in python/paddle/hapi/dynamic_flops.py of
    Paddle; functions that are no layers have no hook.
    """
    a, b = node.input(0), node.input(1)
    return _product(a.dims, b.dims).macs if b.constant else 0


def paddle_gemm(node: Node) -> Count:
    """Count as ``paddle.flops`` does a Linear layer, which is what Gemm with a weight comes from.

    Source: as `paddle_matmul`.
    """
    return _gemm(node, 0, 1).macs if node.input(1).constant else 0


def _product(a: tuple[Dim, ...], b: tuple[Dim, ...]) -> _Product:
    """Return the product of two tensors as numpy.matmul takes it: vectors get an axis of 1."""
    if not a or not b:
        raise Unknown("a matrix product of a scalar")
    left = a if len(a) > 1 else (1, *a)
    right = b if len(b) > 1 else (*b, 1)
    batch = _batch(left[:-2], right[:-2])
    return _Product(batch * left[-2] * right[-1], same(left[-1], right[-2]))


def _batch(a: tuple[Dim, ...], b: tuple[Dim, ...]) -> Count:
    rank = max(len(a), len(b))
    padded = ((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b)
    return product(broadcast(one, other) for one, other in zip(*padded, strict=True))


def _transposed(dims: tuple[Dim, ...], node: Node, side: str) -> tuple[Dim, ...]:
    if len(dims) < 2:
        return dims
    if node.attribute(f"transBatch{side}", 0):
        dims = (*dims[1:-1], dims[0], dims[-1])
    return (*dims[:-2], dims[-1], dims[-2]) if node.attribute(f"trans{side}", 0) else dims


def _gemm(node: Node, left: int, right: int) -> _Product:
    a, b = shape(node.input(left), 2), shape(node.input(right), 2)
    return _product(_transposed(a, node, "A"), _transposed(b, node, "B"))


def _scaled(node: Node) -> int:
    return int(node.attribute("alpha", 1.0) != 1)


def _present(node: Node, index: int) -> int:
    return int(node.optional(index) is not None)


_MATMUL = Operator("contraction", matmul, fvcore=fvcore_matmul, paddle=paddle_matmul)
_FUSED_MATMUL = Operator("contraction", fused_matmul)
_GEMM = Operator("contraction", gemm, paddle=paddle_gemm)

ROWS = {
    ("", "MatMul"): _MATMUL,
    ("", "Gemm"): _GEMM,
    ("", "MatMulInteger"): Operator("contraction", matmul_integer),
    ("", "QLinearMatMul"): Operator("contraction", qlinear_matmul),
    ("com.microsoft", "FusedMatMul"): _FUSED_MATMUL,
    ("com.microsoft", "FusedMatMulActivation"): _FUSED_MATMUL,
    ("com.microsoft", "TransposeMatMul"): _FUSED_MATMUL,
    ("com.microsoft", "FusedGemm"): _GEMM,
    ("com.microsoft", "GemmFloat8"): _GEMM,
    ("com.microsoft", "GemmFastGelu"): Operator("contraction", gemm_fast_gelu),
    ("com.microsoft", "MatMulInteger16"): Operator("contraction", matmul_integer),
    ("com.microsoft", "MatMulIntegerToFloat"): Operator("contraction", matmul_integer_to_float),
    ("com.microsoft", "DynamicQuantizeMatMul"): Operator("contraction", dynamic_quantize_matmul),
    ("com.microsoft", "QGemm"): Operator("contraction", qgemm),
    ("com.microsoft", "QOrderedMatMul"): Operator("contraction", qordered_matmul),
    ("com.microsoft", "SparseToDenseMatMul"): Operator("contraction", sparse_to_dense_matmul),
}
