"""Fourier transforms (S2), windows and elimination."""

from __future__ import annotations

import numpy as np
import pytest

from onnxbench.graph.formulas import parse
from onnxbench.graph.network import Unknown
from tests.graph.operators.nodes import constant, cost

AXIS_1 = constant(np.array(1))
MS = {"domain": "com.microsoft"}


def test_a_transform_of_a_power_of_two_points_is_five_n_log_n() -> None:
    found = cost("DFT", ("B", 1024, 1), None, AXIS_1, out=("B", 1024, 2))
    assert found.flops == parse("51200*B")
    assert found.transcendentals == 0


def test_a_transform_of_other_lengths_is_n_squared() -> None:
    assert cost("DFT", (3, 400, 2), None, AXIS_1, out=(3, 400, 2)).flops == 3 * 160_000


def test_the_default_axis_is_the_last_of_the_signal() -> None:
    assert cost("DFT", (3, 5, 8, 2), out=(3, 5, 8, 2)).flops == 15 * 5 * 8 * 3
    assert cost("DFT", (3, 8, 5, 2), out=(3, 8, 5, 2), opset=17).flops == 15 * 5 * 8 * 3


def test_one_sided_output_does_not_make_the_transform_shorter() -> None:
    assert cost("DFT", (1, 8, 1), None, AXIS_1, out=(1, 5, 2), onesided=1).flops == 120
    padded = cost("DFT", (1, 8, 1), constant(np.array(16)), AXIS_1, out=(1, 9, 2), onesided=1)
    assert padded.flops == 5 * 16 * 4
    back = cost("DFT", (1, 5, 2), None, AXIS_1, out=(1, 8, 1), onesided=1, inverse=1)
    assert back.flops == 120


def test_an_axis_or_length_that_is_not_known_makes_it_unknown() -> None:
    with pytest.raises(Unknown, match="axis"):
        cost("DFT", (1, 8, 1), None, (), out=(1, 8, 2))
    with pytest.raises(Unknown, match="length"):
        cost("DFT", (1, "N", 1), None, AXIS_1, out=(1, "N", 2))


def test_a_short_time_transform_weighs_and_transforms_each_frame() -> None:
    # 3 signals, 10 frames of 64 points, one-sided: 33 frequencies.
    step = constant(np.array(16))
    plain = cost("STFT", (3, 208, 1), step, None, constant(np.array(64)), out=(3, 10, 33, 2))
    assert plain.flops == 30 * 5 * 64 * 6
    window = cost("STFT", (3, 208, 1), step, (64,), out=(3, 10, 33, 2))
    assert window.flops == 30 * (5 * 64 * 6 + 64)


def test_real_transforms_of_onnx_runtime() -> None:
    assert cost("Rfft", (3, 16), out=(3, 9, 2), signal_ndim=1, **MS).flops == 3 * 5 * 16 * 4
    assert cost("Irfft", (3, 9, 2), out=(3, 16), signal_ndim=1, **MS).flops == 3 * 5 * 16 * 4
    assert cost("Rfft", (3, 4, 8), out=(3, 4, 5, 2), signal_ndim=2, **MS).flops == 3 * 5 * 32 * 5


def test_windows_evaluate_their_cosines() -> None:
    hann = cost("HannWindow", constant(np.array(10)), out=(10,))
    assert (hann.flops, hann.transcendentals) == (40, 10)
    blackman = cost("BlackmanWindow", constant(np.array(10)), out=(10,))
    assert (blackman.flops, blackman.transcendentals) == (80, 20)


def test_elimination_of_matrices() -> None:
    # 3 × 3: two quotients and four product-sums, one quotient and one product-sum, two products.
    assert cost("Det", (5, 3, 3), out=(5,)).flops == 5 * (2 + 8 + 1 + 2 + 2)
    assert cost("Inverse", (5, 3, 3), out=(5, 3, 3), **MS).flops == 5 * 54
    with pytest.raises(Unknown, match="square"):
        cost("Det", (5, 3, 4), out=(5,))


def test_distances_of_all_pairs() -> None:
    square = cost("CDist", (4, 10), (6, 10), out=(4, 6), **MS)
    assert (square.flops, square.transcendentals) == (24 * 30, 0)
    root = cost("CDist", (4, 10), (6, 10), out=(4, 6), metric="euclidean", **MS)
    assert (root.flops, root.transcendentals) == (24 * 31, 24)
    with pytest.raises(Unknown, match="hamming"):
        cost("CDist", (4, 10), (6, 10), out=(4, 6), metric="hamming", **MS)


def test_blocks_that_overlap_are_summed() -> None:
    assert cost("Col2Im", (1, 9, 16), (2,), (2,), out=(1, 1, 6, 6)).flops == 144
