"""ENet as an ImageNet classifier.

Building blocks: Paszke, Chaurasia, Kim, Culurciello, "ENet", arXiv:1606.02147, figure 2: an initial
block that joins a convolution and a pooling, and bottlenecks of two bias-free projections around a
3×3 convolution, with PReLU throughout. The paper's own table 1 is a segmentation network. Canziani
et al., arXiv:1605.07678 (from version 3), compare an ENet for ImageNet by the same authors; its
widths and depths stand in `enet-ImageNet` of e-lab/imagenet-multiGPU.torch: four stages of three
bottlenecks with 128, 256, 512 and 1024 channels, global average pooling, a linear layer.

Published: neither paper prints a count of the classifier, figures of 1605.07678 draw it among the
networks of about five million parameters and few operations. Ours is derived in the test.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

_EPS = 1e-3


def enet() -> nn.Module:
    """Return the network with the weights torch draws."""
    return nn.Sequential(
        _Initial(),  # 112 × 112
        _Bottleneck(16, 64, width=64, downsample=True),  # 56 × 56
        _Bottleneck(64, 128),
        _Bottleneck(128, 128),
        *_stage(128, 256),  # 28 × 28
        *_stage(256, 512),  # 14 × 14
        *_stage(512, 1024),  # 7 × 7
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(1024, 1000),
    )


def _stage(channels: int, filters: int) -> tuple[nn.Module, ...]:
    return (
        _Bottleneck(channels, filters, downsample=True),
        _Bottleneck(filters, filters),
        _Bottleneck(filters, filters),
    )


class _Initial(nn.Module):
    """Thirteen filters next to the three pooled colours: 16 channels at half the resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 13, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.BatchNorm2d(16, eps=_EPS)
        self.activation = nn.PReLU(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        joined = torch.cat((self.convolution(x), self.pool(x)), dim=1)
        return self.activation(self.norm(joined))


class _Bottleneck(nn.Module):
    """Project to ``width`` (a quarter of the filters), convolve, expand, add to the input.

    Down-sampling projects with a 2×2 convolution of stride 2 and pools the input. Channels that
    the input lacks are zeros.
    """

    def __init__(
        self, channels: int, filters: int, *, width: int | None = None, downsample: bool = False
    ) -> None:
        super().__init__()
        width = width or filters // 4
        stride = 2 if downsample else 1
        self.missing = filters - channels
        self.pool = nn.MaxPool2d(2) if downsample else nn.Identity()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, width, stride, stride, bias=False),
            nn.BatchNorm2d(width, eps=_EPS),
            nn.PReLU(width),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width, eps=_EPS),
            nn.PReLU(width),
            nn.Conv2d(width, filters, 1, bias=False),
            nn.BatchNorm2d(filters, eps=_EPS),
        )
        self.activation = nn.PReLU(filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = self.pool(x)
        if self.missing:
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, self.missing))
        return self.activation(shortcut + self.branch(x))
