"""NASNet-A (4 @ 1056), called Mobile.

Zoph, Vasudevan, Shlens, Le, "Learning Transferable Architectures for Scalable Image Recognition",
arXiv:1707.07012: figure 4 (the two cells of NASNet-A), figure 2 (how they are stacked for
ImageNet), appendix A.4 (separable convolutions are applied twice, the order is ReLU, convolution,
normalisation; 1×1 convolutions fit the inputs of a cell to its filters). 4 @ 1056 means four normal
cells between the reductions, and 1056 channels at the end: six times the 176 filters of the last
cells. The paper leaves padding open; here it is symmetric, and averages do not count it. The
auxiliary classifier, which only training uses, is left out.

Published (table 2): 5.3 M parameters, 564 M multiply-adds at 224 px, top-1 74.0 %, top-5 91.6 %.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

_EPS = 1e-3
_NORMAL_OUTPUTS = 6  # a normal cell joins its older input and the sums of its five blocks
_REDUCTION_OUTPUTS = 4


def nasnet_a_mobile() -> nn.Module:
    """Return the network with the weights torch draws."""
    return _NasNetA(cells=4, filters=44, stem=32)


class _NasNetA(nn.Module):
    """Stem, then three runs of ``cells`` normal cells with a reduction between two runs.

    ``filters``: of the first run; they double at every reduction. ``stem``: channels of the first
    convolution. Every cell sees the outputs of the two before it.
    """

    def __init__(self, *, cells: int, filters: int, stem: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 3, stride=2, bias=False),  # 111 × 111
            nn.BatchNorm2d(stem, eps=_EPS),
        )
        widths = [(filters // 4, True), (filters // 2, True)]  # 56 × 56, 28 × 28
        for doubling in range(3):
            if doubling:
                widths.append((filters << doubling, True))
            widths += [(filters << doubling, False)] * cells
        layers: list[nn.Module] = []
        older, newer, apart = stem, stem, 1
        for index, (width, reduces) in enumerate(widths):
            fit = _fit(older, width, apart) if index else nn.Identity()
            if reduces:
                # The first cell has one input only, and takes it as it is for the older one.
                layers.append(_Reduction(newer, width, fit, older=width if index else stem))
            else:
                layers.append(_Normal(newer, width, fit))
            joined = _REDUCTION_OUTPUTS if reduces else _NORMAL_OUTPUTS
            older, newer, apart = newer, joined * width, 2 if reduces else 1
        self.cells = nn.ModuleList(layers)
        self.classifier = nn.Sequential(
            nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(newer, 1000)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        older = newer = self.stem(x)
        for cell in self.cells:
            older, newer = newer, cell(newer, older)
        return self.classifier(newer)


class _Normal(nn.Module):
    """Figure 4, left. ``newer``: channels of the last input; ``fit`` goes before the older one."""

    def __init__(self, newer: int, filters: int, fit: nn.Module) -> None:
        super().__init__()
        self.fit_newer = _fit(newer, filters, 1)
        self.fit_older = fit
        self.newer_5 = _separable(filters, filters, 5)
        self.newer_3 = _separable(filters, filters, 3)
        self.older_5 = _separable(filters, filters, 5)
        self.older_3 = nn.ModuleList(_separable(filters, filters, 3) for _ in range(2))

    def forward(self, newer: torch.Tensor, older: torch.Tensor) -> torch.Tensor:
        newer, older = self.fit_newer(newer), self.fit_older(older)
        beside_newer, beside_older = self.older_3
        averaged = _average(older)
        sums = (
            self.newer_5(newer) + beside_newer(older),
            self.older_5(older) + beside_older(older),
            _average(newer) + older,
            averaged + averaged,
            self.newer_3(newer) + newer,
        )
        return torch.cat((older, *sums), dim=1)


class _Reduction(nn.Module):
    """Figure 4, right: half the resolution. ``older``: channels that ``fit`` returns."""

    def __init__(self, newer: int, filters: int, fit: nn.Module, *, older: int) -> None:
        super().__init__()
        self.fit_newer = _fit(newer, filters, 1)
        self.fit_older = fit
        self.newer_5 = _separable(filters, filters, 5, stride=2)
        self.older_7 = nn.ModuleList(_separable(older, filters, 7, stride=2) for _ in range(2))
        self.older_5 = _separable(older, filters, 5, stride=2)
        self.inner_3 = _separable(filters, filters, 3)

    def forward(self, newer: torch.Tensor, older: torch.Tensor) -> torch.Tensor:
        newer, older = self.fit_newer(newer), self.fit_older(older)
        beside_newer, beside_largest = self.older_7
        largest = functional.max_pool2d(newer, 3, stride=2, padding=1)
        first = self.newer_5(newer) + beside_newer(older)
        second = largest + beside_largest(older)
        sums = (
            second,
            _average(newer, stride=2) + self.older_5(older),
            _average(first) + second,
            self.inner_3(first) + largest,
        )
        return torch.cat(sums, dim=1)


class _Halve(nn.Module):
    """Half the resolution, half of the filters from each of two grids that are one pixel apart."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(channels, filters // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(channels, filters - filters // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(filters, eps=_EPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(x)
        # Sizes are odd or even: a row and a column of zeros complete the second grid of the odd.
        shifted = functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return self.norm(torch.cat((self.even(x), self.odd(shifted)), dim=1))


def _fit(channels: int, filters: int, stride: int) -> nn.Module:
    if stride == 2:
        return _Halve(channels, filters)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, filters, 1, bias=False),
        nn.BatchNorm2d(filters, eps=_EPS),
    )


def _separable(channels: int, filters: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return a separable convolution that is applied twice; the first application strides."""
    layers: list[nn.Module] = []
    for inputs, step in ((channels, stride), (filters, 1)):
        layers += [
            nn.ReLU(),
            nn.Conv2d(inputs, inputs, kernel, step, kernel // 2, groups=inputs, bias=False),
            nn.Conv2d(inputs, filters, 1, bias=False),
            nn.BatchNorm2d(filters, eps=_EPS),
        ]
    return nn.Sequential(*layers)


def _average(x: torch.Tensor, stride: int = 1) -> torch.Tensor:
    return functional.avg_pool2d(x, 3, stride, padding=1, count_include_pad=False)
