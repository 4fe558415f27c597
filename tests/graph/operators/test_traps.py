"""Every trap, counted by the whole analyzer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import pytest

from onnxbench.graph.analysis import analyze
from tests.graph.operators.probes import PROBES
from tests.graph.operators.probing import differences

if TYPE_CHECKING:
    from pathlib import Path

    from tests.graph.operators.probing import Probe


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.id)
def test_a_probe_is_counted_as_arithmetic_says(tmp_path: Path, probe: Probe) -> None:
    path = tmp_path / "probe.onnx"
    onnx.save(probe.model(), path)
    found = analyze(path)
    assert probe.truth.get("note", "") in " ".join(each.reason for each in found.nodes)
    reasons = [(each.op, each.reason) for each in found.nodes if each.status != "exact"]
    assert differences(probe, found) == {}, reasons


def test_every_row_of_the_trap_table_has_a_probe() -> None:
    rows = {"C1", "C2", "C3", "M1", "M2", "M3", "M4", "E1", "E2", "A1", "A2", "A3", "A4", "A5",
            "A6", "R1", "N1", "N2", "N3", "P1", "S1", "S2", "Q1", "F1", "F2", "F3", "F4", "W1",
            "W2", "W3", "W4", "W5", "W6", "W7", "G1", "V1"}  # fmt: skip
    assert {each.trap for each in PROBES} == rows
    assert len({each.id for each in PROBES}) == len(PROBES) >= 60


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.id)
def test_a_probe_is_a_valid_model(probe: Probe) -> None:
    made = probe.model()
    # onnx 1.23 infers no shape for a sparse initializer and then calls the model wrong.
    onnx.checker.check_model(made, full_check=not made.graph.sparse_initializer)
