"""The soft time limit: a sleeping thread that asks an inference to stop.

The hard limit is the parent's; it kills the process group. The soft one lets a runtime that can
be interrupted (ONNX Runtime between two nodes) end with a proper message.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Watchdog:
    """Calls ``interrupt`` once if a phase lasts longer than its limit.

    ``fired``: something was asked to stop. A phase with nothing to stop may run on, and what
    it fails of is then not the limit.

    One thread for the life of the process: one per phase would be seen, now and then, when the
    threads of a runtime are counted.
    """

    def __init__(self) -> None:
        self.interrupt: Callable[[], None] | None = None
        self.fired = False
        self._deadline: float | None = None
        self._changed = threading.Condition()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def arm(self, seconds: float) -> None:
        """Start the limit of a new phase; the limit of the one before no longer counts."""
        self._set(time.monotonic() + seconds)

    def disarm(self) -> None:
        """Forget the current limit."""
        self._set(None)

    def _set(self, deadline: float | None) -> None:
        with self._changed:
            self._deadline = deadline
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while True:
                left_s = None if self._deadline is None else self._deadline - time.monotonic()
                if left_s is not None and left_s <= 0:
                    self._deadline = left_s = None
                    if self.interrupt is not None:
                        self.fired = True
                        self.interrupt()
                self._changed.wait(left_s)
