from __future__ import annotations

from types import ModuleType

from tests.exporters.papers.counting import Count, convolution, linear, measured, norm


def normed(channels: int) -> Count:
    """Normalisation and PReLU, which has a slope for every channel."""
    return norm(channels) + Count(params=channels)


def bottleneck(channels: int, filters: int, size: int, *, width: int = 0, kernel: int = 1) -> Count:
    width = width or filters // 4
    return (
        convolution(channels, width, kernel, size)
        + normed(width)
        + convolution(width, width, 3, size, bias=True)
        + normed(width)
        + convolution(width, filters, 1, size)
        + normed(filters)
    )


def stage(channels: int, filters: int, size: int) -> Count:
    return bottleneck(channels, filters, size, kernel=2) + bottleneck(filters, filters, size) * 2


def test_counts_follow_from_the_blocks(torch: ModuleType) -> None:
    from onnxbench.exporters.papers.enet import enet

    by_hand = (
        convolution(3, 13, 3, 112, bias=True)
        + normed(16)
        + bottleneck(16, 64, 56, width=64, kernel=2)
        + bottleneck(64, 128, 56)
        + bottleneck(128, 128, 56)
        + stage(128, 256, 28)
        + stage(256, 512, 14)
        + stage(512, 1024, 7)
        + linear(1024, 1000)
    )
    assert measured(torch, enet) == by_hand
    assert (by_hand.params, by_hand.macs) == (5_861_508, 779_341_568)


def test_missing_channels_of_the_shortcut_are_zeros(torch: ModuleType) -> None:
    from onnxbench.exporters.papers.enet import _Bottleneck

    block = _Bottleneck(4, 8).eval()
    torch.nn.init.zeros_(block.branch[-1].weight)  # leaves the shortcut
    image = torch.rand(1, 4, 3, 3)
    output = block(image)
    assert torch.equal(output[:, :4], image)
    assert not output[:, 4:].any()
