"""What happens now and how long it will take, on stderr.

Nothing is drawn while a timed child runs: no thread, no timer, only these calls, between children.
The cursor is never hidden and no screen is switched, so whatever ends the program, Ctrl-C or a
kill, leaves a usable terminal.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.text import Text

from onnxbench.report import format as fmt
from onnxbench.report import terminal
from onnxbench.text import PARAGRAPH, safe_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import TextIO

QUIET_SECONDS = 5.0
"""On a stream that is no terminal, a line at most this often."""

_BAR = 20
_ERASE_LINE = "\r\x1b[2K"


class Progress:
    """One line that is redrawn on a terminal; plain lines now and then elsewhere.

    Elsewhere: pipes, files, TERM=dumb. ``quiet`` says nothing at all but `note`. Use as a context
    manager, so that the line is gone whatever happens.
    """

    def __init__(
        self, stream: TextIO, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = terminal.console(stream)
        self._live = self._console.is_terminal and not self._console.is_dumb_terminal
        self._quiet = quiet
        self._clock = clock
        self._said_at = clock()
        self._line = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self, total: int, estimate_s: float | None) -> None:
        """Say how many children will run, and about how long (seconds; None: not known)."""
        if not self._quiet:
            about = "" if estimate_s is None else f", about {fmt.time_span(estimate_s)}"
            self.note(f"{fmt.plural(total, 'process')} to run{about}")

    def before(self, label: str, done: int, total: int, remaining_s: float | None) -> None:
        """Say what runs now, after ``done`` of ``total`` children; ``remaining_s``: time left."""
        if self._live and not self._quiet:
            self._draw(f"{self._bar(done, total)} {_state(label, done, total, remaining_s)}")

    def after(
        self,
        label: str,
        done: int,
        total: int,
        remaining_s: float | None,
        median_ns: float | None = None,
    ) -> None:
        """Say what has just ended, with its current estimate; ``done`` counts it."""
        if self._quiet:
            return
        if median_ns is not None:
            label = f"{safe_text(label)}: {fmt.duration(median_ns)}"
        if self._live:
            self.before(label, done, total, remaining_s)
        elif done == total or self._clock() - self._said_at >= QUIET_SECONDS:
            self._say(_state(label, done, total, remaining_s))

    def note(self, text: str) -> None:
        """Say ``text`` on a line of its own that stays."""
        line = self._line
        self._draw("")
        self._say(safe_text(text, PARAGRAPH))
        self._draw(line)

    def close(self) -> None:
        """Take the line away. May be called twice."""
        self._draw("")

    def _say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)
        self._said_at = self._clock()

    def _draw(self, line: str) -> None:
        """Replace the line on the terminal; "" takes it away."""
        if not self._live or (not line and not self._line):
            return
        # One cell less than the width: a full line would wrap, and then stay.
        self._line = line
        self._console.file.write(_ERASE_LINE + fmt.fit(line, max(1, self._console.width - 1)))
        self._console.file.flush()

    def _bar(self, done: int, total: int) -> str:
        full = _BAR * done // total if total else _BAR
        on, off = ("━", "─") if self._console.encoding.startswith("utf") else ("#", "-")
        return on * full + off * (_BAR - full)


def _state(label: str, done: int, total: int, remaining_s: float | None) -> str:
    left = "" if remaining_s is None else f" · {fmt.time_span(remaining_s)} left"
    return f"{fmt.count(done)}/{fmt.count(total)}{left} · {safe_text(label)}"
