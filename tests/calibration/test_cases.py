"""The networks are what they are said to be: valid, and of the work that the analyzer counts."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from onnxbench.calibration.cases import TYPES, WORKING_SETS, Case, compute_cases, memory_cases
from onnxbench.graph.analysis import analyze
from onnxbench.graph.work import work_of

SMALL = [
    *(case for case in compute_cases(TYPES) if "512" in case.name or "256x14" in case.name),
    *(case for case in memory_cases(None, None) if case.working_set in WORKING_SETS[:2]),
]


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_its_work_is_what_the_analyzer_counts(case: Case, tmp_path: Path) -> None:
    path = case.write(tmp_path)
    onnx.checker.check_model(str(path), full_check=True)
    profile = analyze(path)
    if case.kind in {"matmul", "conv"}:
        assert 2 * profile.macs == case.work
    elif case.kind == "weights":
        assert case.work == profile.parameters.weight_bytes
    else:
        nodes = [work_of(node) for node in profile.nodes if node.op in {"Relu", "Neg"}]
        assert sum(node.moved_bytes for node in nodes if node) == case.work


def test_the_largest_working_set_exceeds_every_cache_but_not_the_memory() -> None:
    def largest(cache: int | None, available: int | None) -> int:
        return max(case.working_set or 0 for case in memory_cases(cache, available))

    assert largest(32 << 20, 64 << 30) == 256 << 20
    assert largest(128 << 20, 64 << 30) == 512 << 20
    assert largest(4 << 30, 64 << 30) == 1 << 30
    assert largest(32 << 20, 1 << 30) == 128 << 20


def test_names_are_unique() -> None:
    cases = [*compute_cases(TYPES), *memory_cases(32 << 20, None)]
    assert len({case.name for case in cases}) == len(cases)
