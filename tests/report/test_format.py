from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from onnxbench.report import format as fmt

NANOSECONDS = st.floats(1e-3, 1e13)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (12, "12 ns"),
        (999.4, "999 ns"),
        (999.6, "1.00 µs"),
        (1_234, "1.23 µs"),
        (20_933_000, "20.9 ms"),
        (999_600_000, "1.00 s"),
        (123e9, "123 s"),
    ],
)
def test_a_duration_has_three_digits_and_its_own_unit(ns: float, text: str) -> None:
    assert fmt.duration(ns) == text


@given(NANOSECONDS)
def test_a_duration_reads_back_within_half_a_per_cent(ns: float) -> None:
    number, unit = fmt.duration(ns).split()
    scale = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
    assert float(number) * scale == pytest.approx(ns, rel=0.0051)


@given(NANOSECONDS.filter(lambda ns: 1 <= ns < 9.99e11))
def test_no_duration_below_a_quarter_of_an_hour_shows_more_than_three_digits(ns: float) -> None:
    assert len(re.sub(r"\D", "", fmt.duration(ns))) <= 3


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (392_000_000, "374 MiB"),
        (2**40, "1.00 TiB"),
    ],
)
def test_sizes_are_binary_and_say_so(n_bytes: int, text: str) -> None:
    assert fmt.size(n_bytes) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0.0 %"), (0.0001, "<0.1 %"), (0.004, "0.4 %"), (0.0994, "9.9 %"), (0.12, "12 %")],
)
def test_percentages(share: float, text: str) -> None:
    assert fmt.percent(share) == text


@given(st.floats(0, 10))
def test_a_share_that_is_not_zero_never_reads_as_zero(share: float) -> None:
    assert (fmt.percent(share) == "0.0 %") == (share == 0)


@given(st.lists(NANOSECONDS | st.none(), min_size=1))
def test_a_column_is_aligned_and_says_what_single_cells_say(column: list[float | None]) -> None:
    cells = fmt.align(fmt.durations(column))
    assert len({len(cell) for cell in cells}) == 1
    for cell, value in zip(cells, column, strict=True):
        if value is None:
            assert cell.strip() == "-"
        else:
            number, unit = cell.split()
            scale = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
            assert float(number) * scale == pytest.approx(value, rel=0.0051)


def test_a_column_of_like_values_has_one_unit_and_one_of_unlike_values_has_not() -> None:
    assert fmt.durations([312.4e6, 0.8e6]) == ["312 ms", "0.800 ms"]
    assert fmt.durations([500.0, 3e9]) == ["500 ns", "3.00 s"]


def test_aligned_units_begin_below_one_another() -> None:
    assert fmt.align(["3.41 ms", "-", "312 ms"]) == ["3.41 ms", "   -   ", " 312 ms"]


@given(st.text(min_size=1), st.integers(1, 40))
def test_fitted_text_fits(text: str, width: int) -> None:
    assert cell_len(fmt.fit(text, width)) <= width


def test_a_shortened_name_keeps_both_ends() -> None:
    assert fmt.fit("mobilenetv3_large_100.ra_in1k", 20) == "mobilenetv3_…ra_in1k"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (7.2, "8 s"), (59.5, "1 min 0 s"), (100, "1 min 40 s"), (7500, "2 h 5 min")],
)
def test_spans(seconds: float, text: str) -> None:
    assert fmt.time_span(seconds) == text


def test_instants_are_told_in_utc() -> None:
    assert fmt.timestamp("2026-11-22T15:03:11+01:00") == "2026-11-22 14:03 UTC"
    assert fmt.timestamp("yesterday") == "yesterday"


def test_other_quantities() -> None:
    assert fmt.rate(47.83) == "47.8/s"
    assert fmt.amount(1.82e9, "MAC") == "1.82 GMAC"
    assert fmt.count(1234567) == "1,234,567"
    assert fmt.ratio(1.837) == "1.84×"
    assert fmt.plural(1, "process") == "1 process"
    assert fmt.plural(5, "process") == "5 processes"
    assert fmt.shape([1, 3, 224]) == "1x3x224"
    assert fmt.shape([]) == "scalar"
