from __future__ import annotations

import io

import pytest
from rich.cells import cell_len

from onnxbench.report.progress import Progress


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def terminal_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")


def test_a_pipe_gets_few_plain_lines() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(stream, clock=clock) as progress:
        progress.start(20, 100.0)
        for done in range(1, 21):
            progress.before("alexnet", done - 1, 20, None)
            clock.now += 1.0
            progress.after("alexnet", done, 20, 20.0 - done, 20.9e6)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "20 processes to run, about 1 min 40 s"
    assert lines[1] == "5/20 · 15 s left · alexnet: 20.9 ms"
    assert lines[-1] == "20/20 · 0 s left · alexnet: 20.9 ms"
    assert len(lines) == 5
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


def test_a_terminal_has_one_line_that_is_redrawn_and_then_gone() -> None:
    screen = Screen()
    with Progress(screen) as progress:
        progress.start(2, None)
        progress.before("a" * 200, 0, 2, 9.0)
        progress.after("a" * 200, 1, 2, 5.0)
        progress.note("something happened")
        progress.before("b", 1, 2, 5.0)
    drawn = screen.getvalue()
    frames = drawn.split("\r\x1b[2K")
    assert drawn.count("\n") == 2, "start and note"
    assert all(cell_len(line) < 60 for frame in frames for line in frame.splitlines())
    assert drawn.endswith("\r\x1b[2K")
    assert "1/2 · 5 s left · b" in drawn


def test_the_cursor_is_never_hidden_even_when_interrupted() -> None:
    screen = Screen()

    def interrupted() -> None:
        with Progress(screen) as progress:
            progress.before("a", 0, 2, 9.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "\x1b[?" not in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[2K")


def test_nothing_is_drawn_between_the_calls() -> None:
    import threading

    before = threading.active_count()
    with Progress(Screen()) as progress:
        progress.before("a", 0, 2, 9.0)
        assert threading.active_count() == before


def test_quiet_says_only_notes() -> None:
    for stream in (io.StringIO(), Screen()):
        with Progress(stream, quiet=True) as progress:
            progress.start(1, 1.0)
            progress.before("a", 0, 1, 1.0)
            progress.after("a", 1, 1, 0.0)
            progress.note("disk is full")
        assert stream.getvalue().strip() == "disk is full"


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen = Screen()
    with Progress(screen) as progress:
        progress.before("a", 0, 1, 1.0)
        progress.after("a", 1, 1, 0.0)
    assert screen.getvalue() == "1/1 · 0 s left · a\n"
