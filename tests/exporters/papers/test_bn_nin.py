from __future__ import annotations

from types import ModuleType

from tests.exporters.papers.counting import Count, convolution, linear, measured, norm


def mlpconv(channels: int, filters: int, kernel: int, size: int) -> Count:
    spatial = convolution(channels, filters, kernel, size, bias=True)
    return spatial + convolution(filters, filters, 1, size, bias=True) * 2 + norm(filters) * 3


def test_counts_follow_from_the_four_blocks(torch: ModuleType) -> None:
    from onnxbench.exporters.papers.bn_nin import bn_nin

    by_hand = (
        mlpconv(3, 96, 11, 56)
        + mlpconv(96, 256, 5, 28)
        + mlpconv(256, 384, 3, 14)
        + mlpconv(384, 1024, 3, 7)
        + linear(1024, 1000)
    )
    assert measured(torch, bn_nin) == by_hand
    assert (by_hand.params, by_hand.macs) == (8_655_336, 1_259_939_840)
