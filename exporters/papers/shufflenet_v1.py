"""ShuffleNet (version 1).

Zhang, Zhou, Lin, Sun, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile
Devices", arXiv:1707.01083: table 1 (architecture), figure 2 (units), figure 1 (channel shuffle).
``width`` multiplies the filters of table 1, which the paper writes as ShuffleNet s×.

Published (table 1, "MFLOPs" that are multiply-adds): 143, 140, 137, 133 and 137 M for 1, 2, 3, 4
and 8 groups. These are the convolutions alone: ours are 142.5, 140.0, 136.5, 133.3 and 136.8 M, to
which the linear layer adds up to 1.5 M. At half the width table 2 says 38 M for all groups; ours
are 38.2 M (1 group) and 37.1 M (3). At a quarter it says 13 M, ours are 10.9 M: how the first
layers scale is left open. The paper prints no parameter counts. pytorchcv 0.0.74 has 1,531,936,
1,733,848, 1,865,728, 1,968,344 and 2,434,768, and so have ours.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

_STAGE_2 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # channels by groups; they double twice
_REPEATS = (4, 8, 4)


def shufflenet_v1(groups: int = 3, width: float = 1.0) -> nn.Module:
    """Return the network with the weights torch draws.

    Raises ValueError for a number of groups that table 1 lacks (1, 2, 3, 4, 8), and for a width
    at which the groups do not divide the channels.
    """
    if groups not in _STAGE_2:
        raise ValueError(f"groups is {groups}: the paper has {', '.join(map(str, _STAGE_2))}")
    channels = round(24 * width)
    layers: list[nn.Module] = [
        nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False),  # 112 × 112
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),  # 56 × 56
    ]
    for stage, repeats in enumerate(_REPEATS):
        filters = round(_STAGE_2[groups] * width) << stage
        # The input of stage 2 has few channels: its first projection is not grouped.
        first_groups = groups if stage else 1
        layers.append(_Reducing(channels, filters, first_groups, groups))
        layers += [_Residual(filters, groups) for _ in range(repeats - 1)]
        channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))


class _Shuffle(nn.Module):
    """Deal the channels of every group out to all groups."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


def _branch(
    channels: int, filters: int, *, bottleneck: int, groups: tuple[int, int], stride: int
) -> nn.Sequential:
    """Return grouped 1×1, shuffle, depthwise 3×3, grouped 1×1; ``groups`` of the first and last."""
    first, last = groups
    return nn.Sequential(
        nn.Conv2d(channels, bottleneck, 1, groups=first, bias=False),
        nn.BatchNorm2d(bottleneck),
        nn.ReLU(),
        _Shuffle(last),
        nn.Conv2d(bottleneck, bottleneck, 3, stride, 1, groups=bottleneck, bias=False),
        nn.BatchNorm2d(bottleneck),
        nn.Conv2d(bottleneck, filters, 1, groups=last, bias=False),
        nn.BatchNorm2d(filters),
    )


class _Residual(nn.Module):
    """Figure 2 (b): the branch is added to the input."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.branch = _branch(
            channels, channels, bottleneck=channels // 4, groups=(groups, groups), stride=1
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.branch(x))


class _Reducing(nn.Module):
    """Figure 2 (c): the branch stands beside the averaged input, at half the resolution."""

    def __init__(self, channels: int, filters: int, first_groups: int, groups: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.branch = _branch(
            channels,
            filters - channels,
            bottleneck=filters // 4,
            groups=(first_groups, groups),
            stride=2,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(torch.cat((self.pool(x), self.branch(x)), dim=1))
