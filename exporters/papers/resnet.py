"""ResNets of 2015 and 2016 that differ from those of today's libraries in one detail each.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", arXiv:1512.03385, table 1.
`caffe_resnet101` strides in the first 1×1 convolution of a bottleneck, as the paper does;
torchvision and timm stride in the 3×3 convolution, as `fb_resnet152` does. That one, of
facebook/fb.resnet.torch, has convolutions with a bias. Bianco et al., arXiv:1810.00736, compare
both, as CaffeResNet-101 and FBResNet-152.

Published: 7.6 and 11.3 × 10⁹ multiply-adds for 101 and 152 layers (table 1, both of the first
kind; the stride in the 3×3 convolution adds 0.2 × 10⁹). The paper prints no parameter counts.
torchvision has 44,549,160 and 60,192,808; the biases of `fb_resnet152` add 75,712.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    import torch

_EXPANSION = 4


def caffe_resnet101() -> nn.Module:
    """Return the network with the weights torch draws."""
    return _resnet((3, 4, 23, 3), early_stride=True, bias=False)


def fb_resnet152() -> nn.Module:
    """Return the network with the weights torch draws."""
    return _resnet((3, 8, 36, 3), early_stride=False, bias=True)


def _resnet(depths: tuple[int, ...], *, early_stride: bool, bias: bool) -> nn.Sequential:
    """``depths``: bottlenecks of the four stages."""
    channels = 64
    layers: list[nn.Module] = [
        *_convolution(3, channels, 7, 2, bias=bias),  # 112 × 112
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),  # 56 × 56
    ]
    for stage, depth in enumerate(depths):
        width = 64 << stage
        for index in range(depth):
            stride = 2 if stage and not index else 1
            strides = (stride, 1) if early_stride else (1, stride)
            layers.append(_Bottleneck(channels, width, strides, bias=bias))
            channels = width * _EXPANSION
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))


class _Bottleneck(nn.Module):
    """Figure 5, right. ``strides``: of the first 1×1 and of the 3×3 convolution."""

    def __init__(self, channels: int, width: int, strides: tuple[int, int], *, bias: bool) -> None:
        super().__init__()
        filters = width * _EXPANSION
        self.branch = nn.Sequential(
            *_convolution(channels, width, 1, strides[0], bias=bias),
            nn.ReLU(),
            *_convolution(width, width, 3, strides[1], bias=bias),
            nn.ReLU(),
            *_convolution(width, filters, 1, bias=bias),
        )
        self.shortcut = nn.Sequential()
        if channels != filters:
            stride = strides[0] * strides[1]
            self.shortcut.extend(_convolution(channels, filters, 1, stride, bias=bias))
        self.activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.shortcut(x) + self.branch(x))


def _convolution(
    channels: int, filters: int, kernel: int, stride: int = 1, *, bias: bool
) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=bias),
        nn.BatchNorm2d(filters),
    )
