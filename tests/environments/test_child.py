"""Running a foreign program: its output made safe, its end sure, its environment ours."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from onnxbench.environments import child


def said(code: str, folder: Path, **options: float) -> list[str]:
    lines: list[str] = []
    child.run([sys.executable, "-c", code], lines.append, folder=folder, **options)
    return lines


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def ends(pid: int) -> bool:
    """Wait for a killed process to be gone; nobody else does."""
    deadline = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


def test_lines_of_both_streams_arrive_one_by_one(tmp_path: Path) -> None:
    code = "import os; os.write(1, b'one\\n'); os.write(2, b'two\\n\\n'); os.write(1, b'three')"
    assert said(code, tmp_path) == ["one", "two", "three"]


def test_hostile_output_is_cleaned_and_cut(tmp_path: Path) -> None:
    code = "import os; os.write(1, b'\\x1b]0;gone\\x07\\xff' + b'x' * 10_000 + b'\\nend\\n')"
    lines = said(code, tmp_path)
    assert lines[-1] == "end"
    assert all(line.isprintable() and len(line) <= child.LINE_CHARS for line in lines)


def test_only_the_last_lines_are_kept(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "for i in range(2000): print(i)"]
    kept = child.run(argv, lambda _: None, folder=tmp_path)
    assert kept == [str(i) for i in range(2000 - child.KEPT_LINES, 2000)]


def test_a_failure_carries_the_last_lines(tmp_path: Path) -> None:
    with pytest.raises(child.Failed) as caught:
        said("print('why'); raise SystemExit(3)", tmp_path)
    assert caught.value.lines == ("why",)
    assert not caught.value.timed_out


def test_one_that_hangs_is_ended_with_its_group(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, "
        "flush=True)\ntime.sleep(60)"
    )
    began = time.monotonic()
    with pytest.raises(child.Failed) as caught:
        said(code, tmp_path, seconds=1.5)
    assert caught.value.timed_out
    assert time.monotonic() - began < 30
    assert ends(int(caught.value.lines[0]))


def test_nothing_is_left_when_the_caller_is_interrupted(tmp_path: Path) -> None:
    pids: list[int] = []

    def say(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        child.run([sys.executable, "-c", code], say, folder=tmp_path)
    assert pids
    assert ends(pids[0])


def test_settings_that_lead_packages_astray_are_not_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", "PIP_TARGET", "PIP_USER", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("PIP_INDEX_URL", "file:///mirror")
    seen = said("import os\nfor each in os.environ.items(): print(*each)", tmp_path)
    assert not any("/nowhere" in line for line in seen)
    assert "PIP_INDEX_URL file:///mirror" in seen
    assert "ORT_DISABLE_TELEMETRY 1" in seen
    assert f"PATH {os.environ['PATH']}" in seen
