"""Interpolation (S1): two FLOPs per tap."""

from __future__ import annotations

from typing import Any

import pytest

from onnxbench.graph.formulas import parse
from onnxbench.graph.network import Unknown
from tests.graph.operators.nodes import Shape, cost, node, row

SMALL = (1, 8, 12, 12)
LARGE = (1, 8, 24, 24)
N = 8 * 24 * 24


@pytest.mark.parametrize(("mode", "taps"), [("nearest", 0), ("linear", 4), ("cubic", 16)])
def test_resizing_two_axes_takes_the_taps_of_two_axes(mode: str, taps: int) -> None:
    assert cost("Resize", SMALL, out=LARGE, mode=mode).flops == N * taps * 2


def test_axes_that_keep_their_size_take_no_taps() -> None:
    assert cost("Resize", SMALL, out=(1, 8, 24, 12), mode="linear").flops == N // 2 * 2 * 2
    assert cost("Resize", SMALL, out=SMALL, mode="linear").flops == 0
    volume = cost("Resize", (1, 1, 2, 2, 2), out=(1, 1, 4, 4, 4), mode="linear")
    assert volume.flops == 64 * 8 * 2


def test_open_dims_stay_in_the_formula() -> None:
    found = cost("Resize", ("B", 8, "H", "W"), out=("B", 8, "2*H", "2*W"), mode="linear")
    assert found.flops == parse("8*B*8*4*H*W")


def test_antialiasing_takes_as_many_more_taps_as_an_axis_shrinks() -> None:
    # 24 to 8: three times two taps on each of two axes.
    found = cost("Resize", (1, 1, 24, 24), out=(1, 1, 8, 8), mode="linear", antialias=1)
    assert found.flops == 64 * 36 * 2
    larger = cost("Resize", SMALL, out=LARGE, mode="linear", antialias=1)
    assert larger.flops == N * 4 * 2


def test_cropping_interpolates_all_axes_that_it_names() -> None:
    options: dict[str, Any] = {"coordinate_transformation_mode": "tf_crop_and_resize"}
    found = cost("Resize", SMALL, out=SMALL, mode="linear", axes=[2, 3], **options)
    assert found.flops == 8 * 12 * 12 * 4 * 2


@pytest.mark.parametrize(
    ("mode", "taps"), [("linear", 4), ("bilinear", 4), ("cubic", 16), ("nearest", 0)]
)
def test_a_grid_takes_taps_on_every_spatial_axis(mode: str, taps: int) -> None:
    grid = (1, 5, 7, 2)
    assert cost("GridSample", SMALL, grid, out=(1, 8, 5, 7), mode=mode).flops == 8 * 35 * taps * 2


def test_a_mode_that_nobody_knows_is_unknown() -> None:
    with pytest.raises(Unknown, match="lanczos"):
        cost("GridSample", SMALL, (1, 5, 7, 2), out=(1, 8, 5, 7), mode="lanczos")


def test_aligned_regions_take_their_samples_or_are_bounded() -> None:
    regions: Shape = (6, 8, 3, 3)
    exact = cost("RoiAlign", SMALL, (6, 4), (6,), out=regions, sampling_ratio=2)
    assert exact.flops == 6 * 8 * 9 * 4 * 4 * 2
    open_ = cost("RoiAlign", SMALL, (6, 4), (6,), out=regions)
    assert open_.flops == 6 * 8 * 9 * (4 * 4) * 4 * 2
    assert open_.least == (0, 6 * 8 * 9 * 4 * 2)
    crop = cost("CropAndResize", SMALL, (6, 4), (6,), (2,), out=regions, domain="com.microsoft")
    assert crop.flops == 6 * 8 * 9 * 8


@pytest.mark.parametrize(
    ("shape", "attributes", "per_element"),
    [
        (LARGE, {"mode": "nearest"}, 1),
        (LARGE, {"mode": "linear"}, 4),
        (LARGE, {"mode": "cubic"}, 0),
        (LARGE, {"mode": "linear", "antialias": 1}, 0),
        ((1, 8, 24), {"mode": "linear"}, 0),
    ],
)
def test_fvcore_counts_resizing_as_measured(
    shape: tuple[int, ...], attributes: dict[str, Any], per_element: int
) -> None:
    """fvcore 0.1.5: nearest 4608, bilinear 18432 of 4608 results; bicubic, 1-D, antialiased 0."""
    of = node("Resize", [SMALL[: len(shape)]], [shape], **attributes)
    tally = row(of).fvcore
    assert tally is not None
    assert tally(of) == per_element * of.output().elements


@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_fvcore_counts_grid_samples_four_in_every_mode(mode: str) -> None:
    of = node("GridSample", [SMALL, (1, 5, 5, 2)], [(1, 8, 5, 5)], mode=mode)
    tally = row(of).fvcore
    assert tally is not None
    assert tally(of) == 800
