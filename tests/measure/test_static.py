"""Counted figures in a record, and the rates that latency makes of them."""

from __future__ import annotations

import pytest

from onnxbench.measure.static import STATIC, derived_figures, static_figures

COUNTED = {
    **dict.fromkeys(STATIC), "macs": 4_000_000, "flops": 8_000_000, "params": 3, "exact": True
}  # fmt: skip


def test_rates_are_counts_over_the_median() -> None:
    found = derived_figures(static_figures(COUNTED), 2e6)  # 2 ms
    assert found["flops_per_s"] == pytest.approx(4e9)
    assert found["macs_per_s"] == pytest.approx(2e9)
    assert "flops_reason" not in found


def test_what_is_not_counted_says_why() -> None:
    found = static_figures({"reason": "the analysis was ended by SIGSEGV"})
    assert {key: found[key] for key in STATIC} == dict.fromkeys(STATIC)
    rates = derived_figures(found, 2e6)
    assert (rates["flops_per_s"], rates["macs_per_s"]) == (None, None)
    assert rates["flops_reason"] == "the analysis was ended by SIGSEGV"
    assert static_figures(None)["reason"]


def test_what_is_not_timed_says_so() -> None:
    assert derived_figures(static_figures(COUNTED), None)["flops_reason"] == "not timed"


def test_the_rate_of_a_bound_is_marked() -> None:
    found = derived_figures(static_figures({**COUNTED, "exact": False}), 2e6)
    assert found["flops_per_s"] == pytest.approx(4e9)
    assert "bound" in found["flops_reason"]


def test_figures_that_come_later_have_their_reasons() -> None:
    found = derived_figures(static_figures(COUNTED), 2e6)
    for key in ("fraction_of_roofline", "accuracy_density"):
        assert found[key] is None
        assert found[f"{key}_reason"]
