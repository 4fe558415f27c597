"""What an MNN session did, told by callbacks around each operator."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from onnxbench.adapting import longest_first

if TYPE_CHECKING:
    from onnxbench.types import OpTime

PASSES = 10
BUDGET_S = 5.0
"""Runs with callbacks that are timed: fewer where they take longer than this."""


class Watched:
    """Runs a session with a callback before and after each operator."""

    def __init__(self, net: Any, session: Any) -> None:
        self._net = net
        self._session = session
        self._started_ns = 0
        self._position = 0
        self._spent: Counter[tuple[int, str, str]] = Counter()

    def operators(self) -> Counter[str]:
        """Run once; return how many operators of each type ran."""
        self._pass()
        return Counter(kind for _, _, kind in self._spent)

    def times(self, provider: str) -> list[OpTime]:
        """Return time per operator, the longest first. The first run is not counted."""
        self._pass()
        self._spent.clear()
        passes, start = 0, time.perf_counter()
        while passes < PASSES and (passes == 0 or time.perf_counter() - start < BUDGET_S):
            self._pass()
            passes += 1
        return longest_first(
            (name, kind, provider, ns, passes) for (_, name, kind), ns in self._spent.items()
        )

    def _pass(self) -> None:
        self._position = 0
        self._net.runSessionWithCallBackInfo(self._session, self._before, self._after)

    def _before(self, _tensors: object, _operator: Any) -> int:
        self._started_ns = time.perf_counter_ns()
        return 1

    def _after(self, _tensors: object, operator: Any) -> int:
        ns = time.perf_counter_ns() - self._started_ns
        # Names are not unique: what MNN adds to the graph has some of its own.
        self._spent[self._position, operator.getName(), operator.getType()] += ns
        self._position += 1
        return 1
