"""What random weights have to be, whatever framework holds them: the rules, and their bounds.

``_torch_random`` says why; it and ``_paddle_weights`` draw by these rules.
"""

from __future__ import annotations

import math
import random

import numpy as np

from onnxbench.errors import ExportError

_SMALL = 0.01
"""A constant below this is taken for a switch that training opens: zero gammas, layer scales."""
_LEAST_SPREAD, _MOST_SPREAD = 1e-2, 1e2
"""Standard deviations of a layer's output between which nothing is mended."""
_VARIANCE_SHARE = 0.01
_LEAST_VARIANCE = 1e-5
_HUGE = 1e6
"""No weight is as large; memory that nobody has written may be."""


def seed_python(seed: int) -> None:
    """Seed the generators outside the framework that code building a network may draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the one that other people's code draws from


def are_drawn(low: float, high: float) -> bool:
    """Whether a tensor from ``low`` to ``high`` holds values, no constant and no stale memory."""
    return math.isfinite(low + high) and low != high and max(-low, high) < _HUGE


def is_scale(low: float, high: float) -> bool:
    """Whether a tensor from ``low`` to ``high`` holds a constant that the network works with."""
    return low == high and _SMALL <= abs(low) < _HUGE


def is_far_off(spread: float) -> bool:
    """Whether a layer whose output has the standard deviation ``spread`` is to be mended."""
    return bool(spread) and math.isfinite(spread) and not _LEAST_SPREAD <= spread <= _MOST_SPREAD


def variance_floor(mean: float) -> float:
    """Return the least running variance of a channel, ``mean`` being that of its layer.

    A channel that is silent on the pictures that were seen must not be blown up on others.
    """
    return max(mean * _VARIANCE_SHARE, _LEAST_VARIANCE)


def not_finite(number: int) -> ExportError:
    """Return the error of a network whose output ``number`` holds NaN or infinity."""
    return ExportError(
        f"with random weights output {number} holds NaN or infinity",
        "another seed may help; else report it with the model's name",
    )


def notes_on(number: int, spread: float) -> list[str]:
    """Return what is odd about an output whose standard deviation is ``spread``."""
    if 1e-3 < spread < 1e3:
        return []
    said = f"with random weights output {number} has a standard deviation of {spread:.2g}"
    return [f"{said}: compare relatively"]
