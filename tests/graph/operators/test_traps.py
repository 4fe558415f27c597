"""Every trap, counted by the whole analyzer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
import pytest

from onnxbench.graph.analysis import analyze
from onnxbench.graph.dims import parse
from tests.graph.operators.probes import PROBES

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.graph.profile import GraphProfile
    from tests.graph.operators.probing import Probe

FORMULAS = {"macs", "macs_least", "elementwise", "transcendentals", "bytes_read", "bytes_written"}


def figures(found: GraphProfile) -> dict[str, Any]:
    """Return what a truth may speak of."""
    parameters = found.parameters
    names = ("params", "buffers", "other", "dead", "weight_bytes", "sparse_stored", "tied")
    return {
        "macs": found.macs,
        "macs_least": found.macs_least,
        "elementwise": found.flops - 2 * found.macs,
        "transcendentals": found.transcendentals,
        "bytes_read": found.bytes_read,
        "bytes_written": found.bytes_written,
        "unknown": tuple(each.op for each in found.unknown),
        "precision": "".join(found.macs_by_precision),
        **{name: getattr(parameters, name) for name in names},
    }


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.id)
def test_a_probe_is_counted_as_arithmetic_says(tmp_path: Path, probe: Probe) -> None:
    path = tmp_path / "probe.onnx"
    onnx.save(probe.model(), path)
    found = analyze(path)
    truth = dict(probe.truth)
    note = truth.pop("note", "")
    assert note in " ".join(each.reason for each in found.nodes)
    wanted = {
        key: parse(each) if key in FORMULAS and isinstance(each, str) else each
        for key, each in truth.items()
    }
    got = figures(found)
    reasons = [(each.op, each.reason) for each in found.nodes if each.status != "exact"]
    assert {key: got[key] for key in wanted} == wanted, reasons
    assert found.exact == ("macs_least" not in truth and "unknown" not in truth), reasons


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
