"""Kernels and the nodes they compute, on a residual block as runtimes fuse it."""

from __future__ import annotations

import pytest

from onnxbench.measure.hotspots import hot_spots
from onnxbench.measure.roofline import Ceilings
from onnxbench.types import JsonObject, OpTime

CEILINGS = Ceilings({"matmul": 1e9, "conv": 1e9}, ((1, 1e9),))


def node(
    name: str, op: str, inputs: list[str], output: str, *, macs: int = 0, kind: str = "elementwise",
    read: int = 100, written: int = 100,
) -> JsonObject:  # fmt: skip
    return {
        "name": name,
        "op": op,
        "kind": "contraction" if macs else kind,
        "family": "conv" if op == "Conv" else "matmul",
        "macs": macs,
        "flops": 2 * macs + 10,
        "bytes_read": read,
        "bytes_written": written,
        "inputs": inputs,
        "outputs": [output],
    }


BLOCK = [
    node("conv_a", "Conv", ["x"], "a", macs=500_000, read=300),
    node("bn_a", "BatchNormalization", ["a"], "a_bn", kind="normalization"),
    node("conv_b", "Conv", ["a_bn"], "b", macs=500_000, read=300),
    node("sum", "Add", ["b", "x"], "s", read=200),
    node("relu", "Relu", ["s"], "r"),
    node("pool", "MaxPool", ["r"], "p", kind="reduction"),
    node("flat", "Reshape", ["p"], "f", kind="view", read=0, written=0),
    node("fc", "Gemm", ["f"], "y", macs=10_000),
]


def kernel(name: str, op: str, us: float, *, calls: int = 10, share: float = 0.1) -> OpTime:
    return {"name": name, "op": op, "provider": "CPU", "ns": round(us * 1000) * calls,
            "share": share, "calls": calls}  # fmt: skip


def rows(*kernels: OpTime, nodes: list[JsonObject] | None = None) -> dict[str, JsonObject]:
    found = hot_spots(kernels, nodes or BLOCK, CEILINGS)
    return {row["name"]: row for row in found["rows"]}


def test_a_kernel_has_the_name_of_its_node_and_its_bound_is_that_nodes() -> None:
    row = rows(kernel("fc", "Gemm", 50), kernel("pool", "MaxPool", 1))["fc"]
    assert row["nodes"] == ["flat", "fc"]
    assert row["ns"] == 50_000
    assert row["bound_ns"] == pytest.approx(2 * 10_000)  # 20,000 FLOPs at 1 GFLOP/s
    assert row["gap_ns"] == pytest.approx(30_000)
    assert row["fraction"] == pytest.approx(0.4)
    assert row["flops_per_s"] == pytest.approx((2 * 10_000 + 10 + 10) / 50e-6)


def test_two_products_that_no_kernel_parts_are_not_told_apart() -> None:
    row = rows(kernel("fc", "Gemm", 50))["fc"]
    assert (row["nodes"], row["flops_per_s"]) == ([], None)
    assert "several products" in row["reason"]


def test_a_fused_kernel_takes_what_lies_before_the_tensor_it_makes() -> None:
    found = rows(kernel("a_bn_nchwc", "Conv", 2000), kernel("r_nchwc", "Conv", 3000),
                 kernel("p_nchwc", "MaxPool", 5))  # fmt: skip
    assert found["a_bn_nchwc"]["nodes"] == ["conv_a", "bn_a"]
    assert found["r_nchwc"]["nodes"] == ["conv_b", "sum", "relu"]
    assert found["p_nchwc"]["nodes"] == ["pool"]


def test_a_kernel_that_kept_its_first_name_computes_what_no_other_is_named_after() -> None:
    """ONNX Runtime adds the sum and the activation to a convolution without renaming it."""
    found = rows(kernel("a_bn_nchwc", "Conv", 2000), kernel("conv_b", "Conv", 3000),
                 kernel("pool", "MaxPool", 5))  # fmt: skip
    assert found["conv_b"]["nodes"] == ["conv_b", "sum", "relu"]
    assert found["pool"]["nodes"] == ["pool"]


def test_a_sum_may_be_a_kernel_that_goes_on_with_its_activation() -> None:
    """MNN fuses both and keeps the name of the sum."""
    found = rows(kernel("b", "Convolution", 9), kernel("s", "BinaryOp", 9), kernel("p", "Pool", 5))
    assert found["s"]["nodes"] == ["sum", "relu"]
    assert found["p"]["nodes"] == ["pool"]


@pytest.mark.parametrize(
    "name", ["Multiply_9067,sum,relu", "relu.low.prefused", "r_nchwc", "conv_b.matmatmul"]
)
def test_names_as_runtimes_write_them(name: str) -> None:
    """OpenVINO lists what it has fused, tract and ONNX Runtime append to the last name."""
    found = rows(kernel("a_bn", "Convolution", 9), kernel(name, "Convolution", 9))
    assert found[name]["nodes"] == ["conv_b", "sum", "relu"]


def test_a_sum_of_two_products_is_of_neither() -> None:
    nodes = [
        node("left", "Conv", ["x"], "a", macs=1),
        node("right", "Conv", ["x"], "b", macs=1),
        node("sum", "Add", ["a", "b"], "s"),
        node("next", "Conv", ["s"], "c", macs=1),
    ]
    found = rows(*(kernel(name, "Conv", 1) for name in ("left", "right", "next")), nodes=nodes)
    assert [row["nodes"] for row in found.values()] == [[name] for name in found]


def test_bytes_between_fused_nodes_do_not_move() -> None:
    nodes = [
        node("one", "Relu", ["x"], "a"),
        node("view", "Reshape", ["a"], "v", kind="view", read=0, written=0),
        node("two", "Neg", ["v"], "y"),
    ]
    row = rows(kernel("y", "Fused", 1), nodes=nodes)["y"]
    assert row["nodes"] == ["one", "view", "two"]
    assert row["bound_ns"] == pytest.approx(200 / 1.5)  # x read, y written, maybe in place; a not


def test_what_has_no_known_name_is_a_share_and_no_guess() -> None:
    found = hot_spots(
        [
            kernel("fc", "Gemm", 50, share=0.5),
            kernel("p", "MaxPool", 5, share=0.4),
            kernel("ReorderOutput_token_3", "Reorder", 5, share=0.1),
        ],
        BLOCK[5:],
        CEILINGS,
    )
    assert found["unmatched_share"] == pytest.approx(0.1)
    last = found["rows"][-1]
    assert (last["name"], last["nodes"], last["bound_ns"]) == ("ReorderOutput_token_3", [], None)
    assert last["reason"]


def test_a_kernel_that_multiplies_nothing_is_no_product() -> None:
    """A change of layout may have the name of the tensor that it changes."""
    found = rows(kernel("b", "Reorder", 5), kernel("a_bn", "Conv", 5))
    assert found["b"]["nodes"] == []
    assert "product" in found["b"]["reason"]


def test_two_kernels_of_one_node_are_both_unknown() -> None:
    found = rows(kernel("a", "Conv", 5), kernel("conv_a", "Conv", 5))
    assert [row["nodes"] for row in found.values()] == [[], []]


def test_the_largest_gap_comes_first_and_loops_do_not_change_the_count() -> None:
    found = hot_spots(
        [kernel("pool", "MaxPool", 5, calls=70), kernel("fc", "Gemm", 100),
         kernel("conv_a", "Conv", 1100)],
        BLOCK, CEILINGS,
    )  # fmt: skip
    assert found["inferences"] == 10
    assert [row["name"] for row in found["rows"]] == ["conv_a", "fc", "pool"]
    assert found["rows"][2]["ns"] == pytest.approx(35_000)


def test_without_a_calibration_rates_are_told_and_bounds_are_not() -> None:
    row = hot_spots([kernel("conv_a", "Conv", 50)], BLOCK, None)["rows"][0]
    assert row["flops_per_s"] is not None
    assert (row["bound_ns"], row["reason"]) == (None, "nothing is calibrated")
