"""BN-Inception, also called Inception v2.

Ioffe, Szegedy, "Batch Normalization", arXiv:1502.03167, figure 5. The rows 4c and 4d are built as
their columns say, so they join 608 channels (160 + 160 + 160 + 128, 96 + 192 + 192 + 128). The
first convolution is a plain one, not the paper's separable one of depth multiplier 8, and
convolutions have a bias: so it is in the network that Bianco et al., arXiv:1810.00736, compare.

Published: the paper prints no counts. pytorchcv 0.0.74 has 11,295,240 parameters.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn


class _Row(NamedTuple):
    """A row of figure 5: filters of the branches 1×1, 3×3, double 3×3, and of the projection after
    the pooling. Pairs are (reduce, filters). No ``single`` and no ``project``: the module halves
    the resolution."""

    single: int
    triple: tuple[int, int]
    double: tuple[int, int]
    project: int
    pool: type[nn.Module] = nn.AvgPool2d


_FIGURE_5 = (
    _Row(64, (64, 64), (64, 96), 32),  # 3a, 28 × 28
    _Row(64, (64, 96), (64, 96), 64),
    _Row(0, (128, 160), (64, 96), 0, nn.MaxPool2d),
    _Row(224, (64, 96), (96, 128), 128),  # 4a, 14 × 14
    _Row(192, (96, 128), (96, 128), 128),
    _Row(160, (128, 160), (128, 160), 128),
    _Row(96, (128, 192), (160, 192), 128),
    _Row(0, (128, 192), (192, 256), 0, nn.MaxPool2d),
    _Row(352, (192, 320), (160, 224), 128),  # 5a, 7 × 7
    _Row(352, (192, 320), (192, 224), 128, nn.MaxPool2d),
)


def bn_inception() -> nn.Module:
    """Return the network with the weights torch draws."""
    layers: list[nn.Module] = [
        *_convolution(3, 64, 7, stride=2),  # 112 × 112
        nn.MaxPool2d(3, stride=2, padding=1),
        *_convolution(64, 64, 1),  # 56 × 56
        *_convolution(64, 192, 3),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    channels = 192
    for row in _FIGURE_5:
        module = _Inception(channels, row)
        layers.append(module)
        channels = module.filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))


class _Inception(nn.Module):
    """Branches side by side on one input. ``filters``: channels of the joined output."""

    def __init__(self, channels: int, row: _Row) -> None:
        super().__init__()
        stride = 1 if row.single else 2
        (reduce, triple), (narrow, double) = row.triple, row.double
        branches = [
            (*_convolution(channels, reduce, 1), *_convolution(reduce, triple, 3, stride)),
            (
                *_convolution(channels, narrow, 1),
                *_convolution(narrow, double, 3),
                *_convolution(double, double, 3, stride),
            ),
        ]
        pool = row.pool(3, stride=stride, padding=1)
        if row.single:
            branches.insert(0, _convolution(channels, row.single, 1))
            branches.append((pool, *_convolution(channels, row.project, 1)))
        else:
            branches.append((pool,))
        self.branches = nn.ModuleList(nn.Sequential(*branch) for branch in branches)
        self.filters = row.single + triple + double + (row.project or channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _convolution(
    channels: int, filters: int, kernel: int, stride: int = 1
) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, filters, kernel, stride, kernel // 2),
        nn.BatchNorm2d(filters),
        nn.ReLU(),
    )
