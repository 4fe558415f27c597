"""Networks that a user might write, good and bad: sources `torch:networks.py:NAME` of tests."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import torch
from torch import nn


def small(width: int = 8, classes: int = 5) -> nn.Module:
    """A convolution with batch normalisation and a classifier: 3 x 16 x 16 in, 5 classes out."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, classes),
    )


class _Odd(nn.Module):
    """`small`, with something wrong about it."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.small = small()
        self.what = what

    def forward(self, x: Any) -> Any:
        if self.what == "not-finite":
            return self.small(x) / 0.0
        if self.what == "another-graph" and torch.compiler.is_exporting():
            return self.small(x) + 1.0
        if self.what == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.what == "hang":
            time.sleep(600)
        if self.what == "raise":
            message = "\x1b[31mno such \u202eluck"
            raise ValueError(message)
        return self.small(x)


def odd(what: str) -> nn.Module:
    """Return a network that fails in the way ``what``."""
    return _Odd(what)


def no_module() -> int:
    """Return something that is no network."""
    return 7
