"""Two engines whose truth is known: one that does nothing, one that sleeps and keeps its own time.

They are no entry points: ``doctor --self-proof`` and the benchmarks run them through the same
worker, loop and wire as any runtime, to show what the harness itself adds.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.types import Capability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.protocols import Tensor
    from onnxbench.types import BuildRequest, JsonObject, OpTime, PlacementDoc

    Array = np.ndarray[Any, np.dtype[Any]]


class ProofEngine:
    """What both engines share: no inputs, one output of one zero, nothing to place."""

    sync = None

    def run(self) -> None:
        """Do nothing."""

    def bind(self, inputs: Sequence[Tensor]) -> None:
        """Take no inputs."""

    def outputs(self, result: object) -> dict[str, Array]:
        """Return one zero."""
        del result
        return {"zero": np.zeros(1)}

    def facts(self) -> JsonObject:
        """Return nothing."""
        return {}

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return no placement."""
        return [], None

    def op_times(self) -> list[OpTime]:
        """Return no operators."""
        return []

    def interrupt(self) -> None:
        """Do nothing: no run lasts."""

    def close(self) -> None:
        """Release nothing."""


class SleepEngine(ProofEngine):
    """Sleeps for ``seconds`` per run and records how long it was away, by the same clock.

    A core that has just slept does its first steps slowly, ours or anybody's: two bare clock
    readings in a row differ by microseconds then. The engine takes that on itself by recording a
    few times in vain before the reading that counts; otherwise it would show as the harness's bias.
    """

    def __init__(self, seconds: float) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._sleep = partial(time.sleep, seconds)

    def run(self) -> None:
        """Sleep once."""
        self._starts.append(time.perf_counter_ns())
        self._sleep()
        for _ in range(10):
            self._ends.append(time.perf_counter_ns())
            self._ends.pop()
        self._ends.append(time.perf_counter_ns())

    def facts(self) -> JsonObject:
        """Return the duration of every run in ns, warm-up included."""
        return {
            "own_ns": [end - start for start, end in zip(self._starts, self._ends, strict=True)]
        }


class ProofAdapter:
    """Builds a `ProofEngine`, or a `SleepEngine` if option ``sleep_s`` is set."""

    name = "proof"
    modules: tuple[str, ...] = ()

    def probe(self) -> Capability:
        """Always there."""
        return Capability(self.name, available=True, version="1", distribution="onnxbench")

    def build(self, request: BuildRequest) -> ProofEngine:
        """Return the engine."""
        if "sleep_s" in request.options:
            return SleepEngine(float(request.options["sleep_s"]))
        return ProofEngine()


PROOF = ProofAdapter()
