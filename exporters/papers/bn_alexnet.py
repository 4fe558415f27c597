"""BN-AlexNet: the one-column AlexNet with batch normalisation.

Layers: Krizhevsky, "One weird trick for parallelizing convolutional neural networks",
arXiv:1404.5997. Batch normalisation (ε = 0.001) follows every layer but the last, as in
`alexnetowtbn` of soumith/imagenet-multiGPU.torch, which Canziani et al., arXiv:1605.07678, compare
as BN-AlexNet.

Published: neither paper prints a count of this variant. torchvision gives its `alexnet`, the same
layers without normalisation, 61,100,840 parameters and 0.714 GMACs; the normalisation adds a scale
and a shift to 9,344 channels, so 61,119,528 parameters, and no MACs. Top-1 56.60 %
(szagoruyko/imagenet-validation.torch, central crop).
"""

from __future__ import annotations

from torch import nn

_EPS = 1e-3


def bn_alexnet() -> nn.Module:
    """Return the network with the weights torch draws."""
    return nn.Sequential(
        *_convolution(3, 64, kernel=11, stride=4, padding=2),  # 55 × 55
        nn.MaxPool2d(3, stride=2),
        *_convolution(64, 192, kernel=5, padding=2),  # 27 × 27
        nn.MaxPool2d(3, stride=2),
        *_convolution(192, 384, kernel=3, padding=1),  # 13 × 13
        *_convolution(384, 256, kernel=3, padding=1),
        *_convolution(256, 256, kernel=3, padding=1),
        nn.MaxPool2d(3, stride=2),
        nn.Flatten(),
        *_linear(256 * 6 * 6, 4096),
        *_linear(4096, 4096),
        nn.Linear(4096, 1000),
    )


def _convolution(
    channels: int, filters: int, *, kernel: int, padding: int, stride: int = 1
) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, filters, kernel, stride, padding),
        nn.BatchNorm2d(filters, eps=_EPS),
        nn.ReLU(),
    )


def _linear(features: int, units: int) -> tuple[nn.Module, ...]:
    return (nn.Linear(features, units), nn.BatchNorm1d(units, eps=_EPS), nn.ReLU())
