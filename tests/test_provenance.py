"""Whether a graph's counts agree with its source's: what may differ, and what may not."""

from __future__ import annotations

import pytest

from onnxbench.provenance import agreement

SOURCE = {
    "params": 1_000_000, "norm_params": 2_000, "macs": 10_000_000, "convolutions": 20, "matmuls": 3,
}  # fmt: skip
GRAPH = {
    "params": 1_000_000,
    "macs": 10_000_000,
    "preparation_macs": 0,
    "convolutions": 20,
    "matmuls": 3,
}


@pytest.mark.parametrize(
    ("change", "keep_bn", "says"),
    [
        ({}, True, ""),
        ({"params": 1_000_078}, True, ""),  # scalars of an activation function
        ({"params": 1_000_200}, True, "1,000,200 parameters in the graph, 1,000,000 expected"),
        ({"params": 999_999}, True, "999,999 parameters in the graph"),
        ({"params": 999_000}, False, ""),  # folded
        ({"params": 997_999}, False, "998,000 to 1,000,000 expected"),
        ({"params": None}, False, "an unknown number of parameters"),
        ({"macs": 10_009_000}, True, ""),
        ({"macs": 10_020_000}, True, "10,020,000 MACs in the graph, 10,000,000 in the source"),
        ({"macs": 9_000_000, "preparation_macs": 1_000_000}, True, ""),
        ({"macs": None}, True, "an unknown number of MACs"),
        ({"convolutions": 19}, True, "19 convolutions in the graph, 20 in the source"),
        ({"matmuls": 4}, True, "4 matrix products in the graph, 3 in the source"),
    ],
)
def test_counts_agree_or_it_is_said_which_do_not(
    change: dict[str, int | None], *, keep_bn: bool, says: str
) -> None:
    found = agreement(SOURCE, GRAPH | change, keep_bn=keep_bn)
    assert found["agree"] is (says == "")
    assert says in found["reason"]


def test_all_that_differs_is_said() -> None:
    found = agreement(SOURCE, GRAPH | {"params": 1, "macs": 1, "convolutions": 1}, keep_bn=True)
    assert found["reason"].count(";") == 2


def test_what_the_source_cannot_tell_is_not_compared() -> None:
    nothing = {"params": None, "norm_params": 0, "macs": None, "reason": "no"}
    assert agreement(nothing, GRAPH, keep_bn=True)["agree"]
