"""BN-NIN: Network in Network with batch normalisation.

Four mlpconv blocks, each a convolution and two 1×1 convolutions: Lin, Chen, Yan, "Network In
Network", arXiv:1312.4400. Canziani et al., arXiv:1605.07678, compare as BN-NIN the network of
`ninbn` in soumith/imagenet-multiGPU.torch: batch normalisation (ε = 0.001) after every
convolution, and after the global average a linear layer instead of 1000 feature maps.

Published: neither paper prints a count of this network. Ours: 8,655,336 parameters (7,619,776 of
the convolutions, 1,025,000 of the linear layer, 10,560 of the normalisation) and 1,259,939,840
MACs; the test derives both. Top-1 62.6 % (gist szagoruyko/0f5b4c5e2d2b18472854).
"""

from __future__ import annotations

from torch import nn

_EPS = 1e-3


def bn_nin() -> nn.Module:
    """Return the network with the weights torch draws."""
    return nn.Sequential(
        *_mlpconv(3, 96, kernel=11, stride=4, padding=5),  # 56 × 56
        nn.MaxPool2d(3, stride=2, padding=1),
        *_mlpconv(96, 256, kernel=5, padding=2),  # 28 × 28
        nn.MaxPool2d(3, stride=2, padding=1),
        *_mlpconv(256, 384, kernel=3, padding=1),  # 14 × 14
        nn.MaxPool2d(3, stride=2, padding=1),
        *_mlpconv(384, 1024, kernel=3, padding=1),  # 7 × 7
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(1024, 1000),
    )


def _mlpconv(
    channels: int, filters: int, *, kernel: int, padding: int, stride: int = 1
) -> tuple[nn.Module, ...]:
    return (
        *_convolution(nn.Conv2d(channels, filters, kernel, stride, padding)),
        *_convolution(nn.Conv2d(filters, filters, 1)),
        *_convolution(nn.Conv2d(filters, filters, 1)),
    )


def _convolution(convolution: nn.Conv2d) -> tuple[nn.Module, ...]:
    return (convolution, nn.BatchNorm2d(convolution.out_channels, eps=_EPS), nn.ReLU())
