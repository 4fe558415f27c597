from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from onnxbench.report.command import pasteable

WORDS = st.lists(st.text("abc /-_='\"$\\*é", max_size=60), min_size=1, max_size=8)


def shell_words(command: str) -> list[str]:
    shell = shutil.which("sh")
    assert shell
    script = f"printf '%s\\0' {command}"
    out = subprocess.run([shell, "-c", script], capture_output=True, check=True, text=True).stdout
    return out.split("\0")[:-1]


@settings(max_examples=40, deadline=None)
@given(WORDS, st.integers(20, 60))
def test_a_shell_reads_the_same_words_as_were_meant(words: list[str], width: int) -> None:
    import shlex

    broken = pasteable(shlex.join(words), width)
    assert shell_words(broken) == words
    assert max(map(cell_len, broken.splitlines())) <= width


def test_a_short_command_stays_on_one_line() -> None:
    assert pasteable("onnxbench run --quick", 80) == "onnxbench run --quick"


@pytest.mark.parametrize("width", [20, 80])
def test_what_is_no_command_is_left_alone(width: int) -> None:
    assert pasteable("it's", width) == "it's"
