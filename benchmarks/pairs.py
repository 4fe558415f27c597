"""Two things measured in turn, so that a drift of the machine hits both alike."""

from __future__ import annotations

import math
import random
import statistics
from typing import TYPE_CHECKING

from onnxbench.measure import student
from onnxbench.measure.interval import Interval, Ratio
from onnxbench.worker.clock import now_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Pairs = list[tuple[float, float]]


def alternate(
    a: Callable[[], float],
    b: Callable[[], float],
    pairs: int,
    enough: Callable[[Pairs], bool] = lambda _found: False,
) -> Pairs:
    """Return ``pairs`` results of ``(a(), b())``, or as many as are ``enough``.

    Which goes first is drawn (seeded) for each pair: a fixed pattern can fall into step with a
    disturbance of the host. Each runs once before, unmeasured: files get into the page
    cache, bytecode is written.
    """
    a()
    b()
    found: Pairs = []
    order = random.Random(0)
    for _ in range(pairs):
        if order.random() < 0.5:
            of_a = a()
            found.append((of_a, b()))
        else:
            of_b = b()
            found.append((a(), of_b))
        if enough(found):
            break
    return found


def wall_ns(work: Callable[[], object]) -> int:
    """Return how long ``work`` took, in ns."""
    start = now_ns()
    work()
    return now_ns() - start


def median_ratio(pairs: Sequence[tuple[float, float]], confidence: float = 0.95) -> Ratio:
    """Return the median of ``a / b`` with an interval that ends at two of the ratios.

    How many ratios lie below the median is binomial, whatever their distribution (Conover,
    *Practical Nonparametric Statistics*, section 3.2), so a process that the host stalled counts
    once, however long it stood still. Of fewer than six pairs the interval holds all ratios, which
    is less than 95 %.
    """
    ratios = sorted(a / b for a, b in pairs)
    n, outside, below = len(ratios), 0, 0.0
    while (below := below + math.comb(n, outside) / 2**n) <= (1.0 - confidence) / 2:
        outside += 1
    outside = max(0, outside - 1)
    return Ratio(statistics.median(ratios), ratios[outside], ratios[-1 - outside], n)


def mean_difference(pairs: Sequence[tuple[float, float]], confidence: float = 0.95) -> Interval:
    """Return the mean of ``a - b`` with its t-interval, in the unit of the values."""
    differences = [a - b for a, b in pairs]
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    margin = student.two_sided(confidence, len(differences) - 1) * error
    return Interval(mean, mean - margin, mean + margin, len(differences))
