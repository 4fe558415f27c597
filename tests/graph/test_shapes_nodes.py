"""Shape inference on ONNX's own node tests, whose outputs tell the truth."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.analyzer.node_tests import cases, ours, verdict


@pytest.mark.parametrize(("symbolic", "exact"), [(False, 0.95), (True, 0.93)])
def test_nothing_is_wrong_and_little_is_unknown(*, symbolic: bool, exact: float) -> None:
    """With every dim open, formulas are found once and must hold for the sizes of the test."""
    found: dict[str, list[str]] = {}
    for case in cases(symbolic=symbolic):
        found.setdefault(verdict(ours, case), []).append(case.name)
    assert "wrong" not in found
    assert "raised" not in found
    counts = Counter({name: len(tests) for name, tests in found.items()})
    assert counts.total() > 1_800
    assert counts["exact"] / counts.total() >= exact
