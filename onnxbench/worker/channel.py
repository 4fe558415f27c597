"""The child's half of the conversation: phases as they begin, one result at the end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from onnxbench.worker.clock import now_ns
from onnxbench.worker.wire import write_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxbench.types import Measurement
    from onnxbench.worker.watchdog import Watchdog


class Channel:
    """Tells the parent which phase runs and how long it may last, and times it."""

    def __init__(self, fd: int, nonce: str, watchdog: Watchdog) -> None:
        self._fd = fd
        self._nonce = nonce
        self._watchdog = watchdog
        self.phase: str = "start"
        self.phases_ns: dict[str, int] = {}

    @contextmanager
    def timed_phase(self, name: str, limit_s: float) -> Iterator[None]:
        """Announce phase ``name``, arm the soft limit, and keep the time it took."""
        self.phase = name
        write_frame(
            self._fd,
            {"type": "phase", "nonce": self._nonce, "phase": name, "limit_s": limit_s},
        )
        self._watchdog.arm(limit_s)
        start = now_ns()
        try:
            yield
        finally:
            self.phases_ns[name] = now_ns() - start
            self._watchdog.disarm()

    def result(self, measurement: Measurement, samples: bytes = b"") -> None:
        """Send the one result of this child."""
        write_frame(
            self._fd,
            {"type": "result", "nonce": self._nonce, "measurement": measurement},
            samples,
        )
