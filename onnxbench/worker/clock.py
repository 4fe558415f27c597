"""The one clock. Monotonic, nanoseconds; nothing else in onnxbench times an inference."""

from __future__ import annotations

from time import perf_counter_ns

now_ns = perf_counter_ns
"""Return a monotonic time in ns. A plain alias: a wrapper would cost as much as the clock."""

SECOND_NS = 1_000_000_000
