from __future__ import annotations

from functools import partial
from types import ModuleType

import pytest

from tests.exporters.papers.counting import Count, convolution, linear, measured, norm

# Table 1 of arXiv:1707.01083: channels of stage 2 and millions of multiply-adds, by groups.
TABLE_1 = {1: (144, 143), 2: (200, 140), 3: (240, 137), 4: (272, 133), 8: (384, 137)}


def unit(
    channels: int, bottleneck: int, filters: int, groups: tuple[int, int], size: int, grown: int
) -> Count:
    """``size`` is of the output; the first projection runs on ``grown`` times that."""
    first, last = groups
    return (
        convolution(channels, bottleneck, 1, size * grown, groups=first)
        + norm(bottleneck) * 2
        + convolution(bottleneck, bottleneck, 3, size, groups=bottleneck)
        + convolution(bottleneck, filters, 1, size, groups=last)
        + norm(filters)
    )


def by_hand(groups: int) -> tuple[Count, Count]:
    """Return the counts of all but the linear layer, and of it."""
    channels = 24
    total = convolution(3, channels, 3, 112) + norm(channels)
    for stage, (repeats, size) in enumerate(((3, 28), (7, 14), (3, 7))):
        filters = TABLE_1[groups][0] * 2**stage
        first = (groups if stage else 1, groups)
        total += unit(channels, filters // 4, filters - channels, first, size, 2)
        total += unit(filters, filters // 4, filters, (groups, groups), size, 1) * repeats
        channels = filters
    return total, linear(channels, 1000)


@pytest.mark.parametrize("groups", TABLE_1)
def test_counts_follow_from_table_1(torch: ModuleType, groups: int) -> None:
    from onnxbench.exporters.papers.shufflenet_v1 import shufflenet_v1

    convolutions, classifier = by_hand(groups)
    assert measured(torch, partial(shufflenet_v1, groups)) == convolutions + classifier
    assert round(convolutions.macs / 1e6) == TABLE_1[groups][1]


def test_half_the_width_has_the_published_macs(torch: ModuleType) -> None:
    from onnxbench.exporters.papers.shufflenet_v1 import shufflenet_v1

    count = measured(torch, partial(shufflenet_v1, 1, 0.5))
    assert round((count.macs - linear(288, 1000).macs) / 1e6) == 38  # table 2


def test_shuffle_deals_every_group_out_to_all(torch: ModuleType) -> None:
    from onnxbench.exporters.papers.shufflenet_v1 import _Shuffle

    channels = torch.arange(6).view(1, 6, 1, 1)
    assert _Shuffle(3)(channels).flatten().tolist() == [0, 2, 4, 1, 3, 5]


def test_groups_that_the_paper_lacks_are_refused(torch: ModuleType) -> None:
    from onnxbench.exporters.papers.shufflenet_v1 import shufflenet_v1

    with pytest.raises(ValueError, match="1, 2, 3, 4, 8"):
        shufflenet_v1(groups=5)
