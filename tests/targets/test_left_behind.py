"""What a child leaves behind, floods, or is left behind by."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from onnxbench.probes import memory
from onnxbench.targets import process
from tests.targets.child import SHORT, alive, job, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.protocols import Target


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for ``condition``; the bound is there to end a broken test, not to time anything."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["grandchild", "daemon"])
@pytest.mark.parametrize("ending", ["result", "crash"])
def test_grandchildren_go_with_the_child(target: Target, name: str, ending: str) -> None:
    options = {"fault": name, "at": "bind"} | ({"then": "abort"} if ending == "crash" else {})
    result = run(target, job(options=options))
    assert result.status == ("crashed" if ending == "crash" else "ok")
    assert result.log == "", "the child's own log, and nothing a grandchild said later"
    assert alive() == set()


def test_grandchildren_of_a_child_that_is_killed_go_too(target: Target) -> None:
    options = {"fault": "daemon", "at": "bind", "then": "python_loop"}
    result = run(target, job(options=options, limits=SHORT))
    assert result.status == "timeout-hard"
    assert alive() == set()


def test_other_children_of_the_parent_are_left_alone(target: Target) -> None:
    # A library user's own process, in its own session: it carries no mark of ours.
    environment = {"PATH": os.environ["PATH"]}
    other = subprocess.Popen(["sleep", "3600"], env=environment, start_new_session=True)
    try:
        assert run(target, job(options={"fault": "daemon"})).status == "ok"
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_who_may_not_be_killed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # A setuid program that a child left behind. As root every kill is allowed: refuse it here.
    other = subprocess.Popen(["sleep", "3600"], env={process.MARK: "of-a-test"})

    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "kill", refuse)
            process._end_left_behind(0, f"{process.MARK}=of-a-test")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_flood_on_stdout_costs_no_memory_and_keeps_the_end(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    judge = process._Watch.close

    def close(watch: process._Watch) -> None:
        judge(watch)
        kept.append(len(watch.outcome.log))

    monkeypatch.setattr(process._Watch, "close", close)
    run(target, job())  # whatever the first child costs once
    assert memory.reset_peak()
    before = memory.peak_rss_bytes()
    result = run(target, job(options={"fault": "flood", "at": "build"}))  # 1 GB
    peak = memory.peak_rss_bytes()
    assert before is not None
    assert peak is not None
    assert result.status == "ok"
    assert result.log.endswith("the last words")
    assert kept[-1] <= process.LOG_TAIL_BYTES
    assert peak - before < 50 << 20


PARENT = """
import sys
from pathlib import Path
fault, sign, cache, *sys.path[:2] = sys.argv[1:]
from onnxbench.targets.local import LocalTarget
from tests.targets.child import job, run
run(LocalTarget(cache=Path(cache)), job(options={"fault": fault, "sign": sign}))
"""


@pytest.mark.parametrize("name", ["python_loop", "c_sleep", "stubborn"])
def test_a_child_dies_with_its_parent(
    name: str, cache: Path, tmp_path: Path, target: Target
) -> None:
    here, sign = Path(__file__), tmp_path / "the child is in the middle of it"
    arguments = map(str, (name, sign, cache, here.parent, here.parents[2]))
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *arguments], cwd="/")
    try:
        wait_until(sign.exists)
        assert len(alive()) == 2
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: alive() == set())


def test_a_child_whose_parent_is_gone_already_does_not_start(target: Target) -> None:
    result = run(target, job(parent_pid=1))
    assert (result.status, result.exit_code) == ("error", 1)
