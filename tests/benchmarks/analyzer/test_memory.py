"""The comparison of predicted memory with ONNX Runtime's growth."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.analyzer import light_networks
from benchmarks.analyzer.figures.memory import RESOLUTION_BYTES, Compared, judge
from benchmarks.analyzer.ort_memory import growth

MB = 1_000_000


def compared(own: int | str, scratch: int = 0) -> Compared:
    return Compared("n", 2 * MB, 3 * MB, 4 * MB, scratch, own, planned=5 * MB)


@pytest.mark.parametrize(
    ("own", "inside"),
    [
        (2 * MB, True),
        (4 * MB, True),
        (2 * MB - RESOLUTION_BYTES - 1, False),
        (4 * MB + RESOLUTION_BYTES + 1, False),
        ("it was killed", False),
    ],
)
def test_the_growth_must_lie_in_the_interval(own: int | str, inside: bool) -> None:
    assert compared(own).bracketed is inside


def test_scratch_is_taken_off_the_growth() -> None:
    assert not compared(5 * MB).bracketed
    assert compared(5 * MB, scratch=MB).bracketed


def test_the_default_plan_is_judged_apart() -> None:
    assert "20 of 20 (0 by default)" in judge([compared(3 * MB)] * 20).measured


def test_nine_of_ten_must_be_inside_and_the_interval_narrow() -> None:
    good, bad = compared(3 * MB), compared(9 * MB)
    assert judge([good] * 18 + [bad] * 2).met
    assert not judge([good] * 17 + [bad] * 3).met
    assert not judge([good] * 19).met
    wide = Compared("n", MB, MB, 4 * MB, 0, 2 * MB, 2 * MB)
    assert not judge([good] * 19 + [wide]).met
    assert not judge([]).met


def test_a_run_of_squeezenet_takes_what_is_predicted(tmp_path: Path) -> None:
    found = growth(light_networks.path("squeezenet"), reuse=False)
    assert isinstance(found, int)
    assert Compared("squeezenet", 4_529_152, 0, 6_908_416, 0, found, 0).bracketed
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    assert "broken" in str(growth(broken, reuse=False))
