"""Every standard operator of opset 28 is classified, and most of ONNX Runtime's."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import onnxruntime.capi.onnxruntime_pybind11_state as onnxruntime_state
import pytest

from onnxbench.graph.operators import elementwise, table
from onnxbench.graph.operators.table import TABLE, find

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[3]
OPSET = 28
CONTRACTIONS = ("MatMul", "Gemm", "Conv", "Attention", "LSTM", "MoE", "DeltaNet")
"""What the names of ONNX Runtime's operators have in them that multiply matrices."""

STANDARD = sorted(
    schema.name
    for schema in onnx.defs.get_all_schemas()
    if not schema.domain and schema.since_version <= OPSET
)
CLASSICAL = sorted(
    schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == "ai.onnx.ml"
)


def contrib() -> set[str]:
    schemas = onnxruntime_state.get_all_operator_schema()
    return {schema.name for schema in schemas if schema.domain == "com.microsoft"}


def nodes_of(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    for node in nodes:
        yield node.op_type
        for attribute in node.attribute:
            yield from nodes_of(attribute.g.node)


def uncounted(op: str) -> set[str]:
    """Return the operators without a row that ``op`` comes down to."""
    if find("", op) is not None:
        return set()
    schema = onnx.defs.get_schema(op, OPSET)
    body = set(nodes_of(schema.function_body.node))
    return {op} if not body else set().union(*(uncounted(each) for each in body))


def test_the_standard_has_as_many_operators_as_this_test_expects() -> None:
    assert len(STANDARD) >= 203


@pytest.mark.parametrize("op", STANDARD)
def test_a_standard_operator_has_a_row_or_a_body_of_operators_that_have(op: str) -> None:
    assert not uncounted(op)


def test_only_few_standard_operators_are_left_to_their_function_body() -> None:
    assert {op for op in STANDARD if find("", op) is None} == {
        "AffineGrid", "MeanVarianceNormalization",
    }  # fmt: skip


def test_every_classical_operator_has_a_row() -> None:
    assert [op for op in CLASSICAL if find("ai.onnx.ml", op) is None] == []


def test_most_operators_of_onnx_runtime_have_a_row() -> None:
    described = {op for op in contrib() if find("com.microsoft", op) is not None}
    assert len(described) >= 125
    assert len(described) >= 0.9 * len(contrib())


def test_every_operator_of_onnx_runtime_that_multiplies_matrices_has_a_row() -> None:
    multiply = {op for op in contrib() if any(part in op for part in CONTRACTIONS)}
    assert len(multiply) >= 40
    assert {op for op in multiply if find("com.microsoft", op) is None} == set()


def test_no_row_is_for_an_operator_that_does_not_exist() -> None:
    ours = {op for domain, op in TABLE if domain == "com.microsoft"}
    assert ours <= contrib()
    added = {"SimplifiedLayerNormalization"}  # by ONNX Runtime to the standard domain
    assert {op for domain, op in TABLE if not domain} <= set(STANDARD) | added


def test_two_families_may_not_claim_one_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "FAMILIES", (*table.FAMILIES, elementwise))
    with pytest.raises(ValueError, match="two rows"):
        table._table()


def test_every_rule_says_what_it_counts() -> None:
    for key, row in TABLE.items():
        for each in (row.rule, row.fvcore, row.paddle):
            assert each is None or each.__doc__, key


def test_the_operators_page_is_current() -> None:
    spec = importlib.util.spec_from_file_location("operators_page", ROOT / "docs/operators.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs/reference/operators.md").read_text(encoding="utf-8")
    assert written == module.page(), "run: python docs/operators.py"
