"""The soft time limit: a sleeping thread that asks an inference to stop.

The hard limit is the parent's; it kills the process group. The soft one lets a runtime that can
be interrupted (ONNX Runtime between two nodes) end with a proper message.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Watchdog:
    """Calls ``interrupt`` once if a phase lasts longer than its limit.

    ``fired``: an inference was asked to stop; a phase with nothing to stop may run to its end.
    """

    def __init__(self) -> None:
        self.interrupt: Callable[[], None] | None = None
        self.fired = False
        self._timer: threading.Timer | None = None

    def arm(self, seconds: float) -> None:
        """Start the limit of a new phase; the limit of the one before no longer counts."""
        self.disarm()
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True
        self._timer.start()

    def disarm(self) -> None:
        """Forget the current limit. Its thread is gone on return: threads are counted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
            self._timer = None

    def _fire(self) -> None:
        if self.interrupt is not None:
            self.fired = True
            self.interrupt()
