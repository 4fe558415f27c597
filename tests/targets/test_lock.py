"""One measuring process per host: the second waits, knows for whom, and no lock goes stale."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxbench.errors import UsageError
from onnxbench.targets import lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOLDER = """
import sys, time
from pathlib import Path
from onnxbench.targets.lock import measuring_lock
with measuring_lock(sys.argv[2], on_wait=lambda holder: None, path=Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "measuring.lock"


@pytest.fixture
def hold(path: Path) -> Callable[[str], subprocess.Popen[str]]:
    """Starts a process that holds the lock until its stdin ends."""

    def start(command: str = "onnxbench run them all") -> subprocess.Popen[str]:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path), command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        return holder

    return start


def end(holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.communicate()


def test_who_is_alone_does_not_wait(path: Path) -> None:
    waits: list[lock.Holder | None] = []
    with lock.measuring_lock("mine", on_wait=waits.append, path=path):
        holder = lock.current_holder(path)
        assert holder is not None
        assert (holder.pid, holder.command) == (os.getpid(), "mine")
        assert f"process {os.getpid()} of" in str(holder)
    assert waits == []
    assert lock.current_holder(path) is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_second_waits_names_the_holder_and_goes_on_when_it_is_killed(
    path: Path, hold: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    holder = hold()
    seen: list[lock.Holder | None] = []
    entered = threading.Event()

    def wait(found: lock.Holder | None) -> None:
        seen.append(found)
        assert not entered.is_set()
        holder.send_signal(number)

    with lock.measuring_lock("mine", on_wait=wait, path=path):
        entered.set()
        current = lock.current_holder(path)
        assert current is not None
        assert current.pid == os.getpid()
    end(holder)
    assert len(seen) == 1, "said once, however long it takes"
    assert seen[0] is not None
    assert (seen[0].pid, seen[0].command) == (holder.pid, "onnxbench run them all")


def test_the_lock_is_kept_while_the_holder_lives(
    path: Path, hold: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = hold()
    polls: list[float] = []

    def poll(seconds: float) -> None:
        polls.append(seconds)
        if len(polls) == 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", poll)
    with (
        pytest.raises(KeyboardInterrupt),
        lock.measuring_lock("mine", on_wait=lambda _: None, path=path),
    ):
        pytest.fail("two hold the lock")
    current = lock.current_holder(path)
    assert current is not None
    assert current.pid == holder.pid, "who gave up waiting left no trace"
    end(holder)


def test_an_error_inside_releases_the_lock(path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        lock.measuring_lock("mine", on_wait=lambda _: None, path=path),
    ):
        raise ZeroDivisionError
    assert lock.current_holder(path) is None


def test_children_do_not_inherit_the_lock(path: Path) -> None:
    with lock.measuring_lock("mine", on_wait=lambda _: None, path=path):
        left = subprocess.Popen(["sleep", "3600"], close_fds=False)
    try:
        assert lock.current_holder(path) is None
    finally:
        left.kill()
        left.wait()


def test_a_link_is_refused_and_its_target_untouched(path: Path) -> None:
    target = path.with_name("target")
    target.write_text("precious")
    path.symlink_to(target)
    with (
        pytest.raises(UsageError, match="cannot open the measuring lock") as caught,
        lock.measuring_lock("mine", on_wait=lambda _: None, path=path),
    ):
        pytest.fail("followed a link")
    assert "remove" in caught.value.hint
    assert target.read_text() == "precious"
    assert lock.current_holder(path) is None


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_at_once(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    with (
        pytest.raises(UsageError, match="measuring lock"),
        lock.measuring_lock("mine", on_wait=lambda _: None, path=path),
    ):
        pytest.fail("locked something else")


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '{"pid": 1}', "[" * 4000, "\x00", '{"pid": 1e999, "user": 1}',
     '{"pid": NaN, "user": "", "command": "", "since": ""}'],
)  # fmt: skip
def test_anything_in_the_file_is_survived(path: Path, text: str) -> None:
    path.write_text(text)
    assert lock.read_holder(path) is None
    with lock.measuring_lock("mine", on_wait=lambda _: None, path=path):
        pass


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(data=st.binary(max_size=200))
def test_any_bytes_in_the_file_are_survived(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert lock.read_holder(path) is None


def test_a_long_command_line_is_cut(path: Path) -> None:
    with lock.measuring_lock("x" * 10_000, on_wait=lambda _: None, path=path):
        assert len(json.loads(path.read_text())["command"]) == 500


def test_the_file_is_open_to_other_users_and_can_be_moved(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONNXBENCH_LOCK", str(path))
    assert lock.default_path() == path
    with lock.measuring_lock("mine", on_wait=lambda _: None):
        assert path.stat().st_mode & 0o777 == 0o666
    monkeypatch.delenv("ONNXBENCH_LOCK")
    monkeypatch.setenv("TMPDIR", str(path.parent))
    assert lock.default_path().parent != path.parent, "TMPDIR differs from user to user"
