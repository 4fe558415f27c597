"""Parameters and multiply-adds by hand, and those of a module."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Count:
    """``buffers``: running means and variances."""

    params: int = 0
    macs: int = 0
    buffers: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.params + other.params, self.macs + other.macs, self.buffers + other.buffers
        )

    def __mul__(self, times: int) -> Count:
        return Count(self.params * times, self.macs * times, self.buffers * times)


def convolution(
    channels: int, filters: int, kernel: int, size: int, *, groups: int = 1, bias: bool = False
) -> Count:
    """``size``: pixels a side of the output."""
    weights = channels // groups * filters * kernel**2
    return Count(weights + bias * filters, weights * size**2)


def linear(features: int, units: int) -> Count:
    return Count(features * units + units, features * units)


def norm(channels: int) -> Count:
    return Count(params=2 * channels, buffers=2 * channels)


def measured(torch: ModuleType, build: Any, *, size: int = 224) -> Count:
    """Count the module that ``build`` returns; no number is computed."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network = build().eval()
        image = torch.empty(1, 3, size, size)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(image)
    return Count(
        params=sum(p.numel() for p in network.parameters()),
        macs=counter.get_total_flops() // 2,
        buffers=sum(b.numel() for b in network.buffers() if b.is_floating_point()),
    )
