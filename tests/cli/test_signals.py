"""Ctrl-C, SIGTERM and a closed terminal: in every phase, once and twice."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.command import (
    argv,
    assert_none_left,
    children_below,
    end,
    ended,
    onnxbench,
    phases_below,
    start,
    wait_for,
)

SLOW = ("--set", "sleep_s=0.01", "--iters", "500", "--processes", "3", "--warmup", "1")
"""One timed child takes five seconds: long enough to be met at work."""


def meet(process: subprocess.Popen[bytes], temporary: Path, phase: str) -> None:
    """Wait until a child of that kind is at work."""
    wait_for(lambda: process.poll() is not None or phase in phases_below(temporary))
    assert process.poll() is None
    # Long enough for imports, so that it is met inside its work in most runs.
    time.sleep(0.3 if phase == "timed" else 0.05)


@pytest.mark.parametrize(
    ("phase", "sent"),
    [
        ("preflight", signal.SIGINT),
        ("facts", signal.SIGINT),
        ("timed", signal.SIGINT),
        ("preflight", signal.SIGTERM),
        ("timed", signal.SIGTERM),
        ("timed", signal.SIGHUP),
    ],
)
def test_once(
    relu: Path, proof: Sequence[str], temporary: Path, phase: str, sent: signal.Signals
) -> None:
    with ended(start("run", relu, *proof, *SLOW, "--json")) as process:
        meet(process, temporary, phase)
        process.send_signal(sent)
        ran = end(process, timeout=10)
    assert ran.code == 130
    assert children_below(temporary) == []
    assert list(temporary.iterdir()) == [], "folders are left behind"
    assert ran.err.endswith("interrupted\n")
    if phase == "preflight":
        assert ran.out == ""
        return
    (record,) = ran.records
    assert record["status"] == "interrupted"
    assert "same command continues" in ran.err
    (run,) = onnxbench("list", "runs", "--json").document["runs"]
    assert (run["state"], run["processes"]) == ("interrupted", 0 if phase == "facts" else 1)


def test_what_was_measured_is_printed_and_the_rest_follows(
    relu: Path, proof: Sequence[str], temporary: Path
) -> None:
    short = ("--set", "sleep_s=0.002", "--iters", "5", "--processes", "9", "--warmup", "1")
    command = ["run", str(relu), *proof, *short, "--json"]

    def stored() -> int:
        runs = onnxbench("list", "runs", "--json")
        return int(runs.document["runs"][0]["processes"]) if runs.code == 0 else 0

    with ended(start(*command)) as process:
        meet(process, temporary, "timed")
        wait_for(lambda: stored() >= 4)
        process.send_signal(signal.SIGINT)
        ran = end(process, timeout=10)
    assert ran.code == 130
    (record,) = ran.records
    before = record["latency"]["processes"]
    assert record["status"] == "ok"
    assert 0 < before < 9
    assert stored() == before + 1
    again = onnxbench(*command)
    assert again.code == 0
    assert f"{before + 1} processes are there" in again.err
    assert again.records[0]["latency"]["processes"] == 9
    assert stored() == 10


@pytest.mark.parametrize("gap_s", [0.0, 0.05])
def test_twice_leaves_at_once(
    relu: Path, proof: Sequence[str], temporary: Path, gap_s: float
) -> None:
    with ended(start("run", relu, *proof, *SLOW, "--json")) as process:
        meet(process, temporary, "timed")
        process.send_signal(signal.SIGINT)
        time.sleep(gap_s)
        process.send_signal(signal.SIGINT)
        ran = end(process, timeout=5)
    assert ran.code == 130
    assert_none_left(temporary)
    assert onnxbench("list", "runs", "--json").document["runs"][0]["processes"] == 1


def test_while_it_waits_for_the_lock(
    relu: Path, proof: Sequence[str], temporary: Path, place: Path
) -> None:
    with ended(start("run", relu, *proof, *SLOW)) as holder:
        meet(holder, temporary, "timed")
        with ended(start("run", relu, *proof, *SLOW, "--label", "second")) as waiting:
            assert waiting.stderr is not None
            line = waiting.stderr.readline()
            assert b"waiting: this host is measuring for process" in line
            assert str(holder.pid).encode() in line
            waiting.send_signal(signal.SIGINT)
            assert end(waiting, timeout=5).code == 130
        assert holder.poll() is None


def test_nohup_stays(relu: Path, proof: Sequence[str], temporary: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    short = ("--set", "sleep_s=0.002", "--iters", "100", "--processes", "2", "--warmup", "1")
    with ended(start("run", relu, *proof, *short, preexec_fn=ignore)) as process:
        meet(process, temporary, "timed")
        process.send_signal(signal.SIGHUP)
        assert end(process).code == 0


def test_the_terminal_stays_whole(relu: Path, proof: Sequence[str], temporary: Path) -> None:
    """On a terminal: the progress line is erased, no cursor is hidden, no screen is switched."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        argv("run", relu, *proof, *SLOW),
        stdout=terminal,
        stderr=terminal,
        stdin=terminal,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(terminal)
    with ended(process):
        meet(process, temporary, "timed")
        process.send_signal(signal.SIGINT)
        text = b""
        try:
            while data := os.read(controller, 4096):
                text += data
        except OSError:  # the terminal's other side is closed
            pass
        assert process.wait(10) == 130
    os.close(controller)
    assert b"Traceback" not in text
    assert b"\x1b[2K" in text, "there was a progress line"
    for sequence in (b"\x1b[?25l", b"\x1b[?1049h", b"\x1b[?1h"):
        assert sequence not in text
    assert b"interrupted" in text
