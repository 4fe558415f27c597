from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbench.probes.kernel import LIVE, cpu_list, format_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onnxbench.probes.kernel import Kernel

    Tree = Callable[[Mapping[str, str | bytes]], Kernel]


@given(st.sets(st.integers(0, 300)))
def test_cpu_lists_round_trip(cpus: set[int]) -> None:
    assert cpu_list(format_cpus(tuple(cpus))) == tuple(sorted(cpus))


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0-3,8,10-11", (0, 1, 2, 3, 8, 10, 11)), ("5", (5,)), ("0, 2", (0, 2))],
)
def test_a_kernel_list_is_read(text: str | None, cpus: tuple[int, ...]) -> None:
    assert cpu_list(text) == cpus


@pytest.mark.parametrize("text", [None, "", "a-b", "3-1", "-2", "0-99999999999", "1,,2", "\0"])
def test_a_garbled_list_is_empty(text: str | None) -> None:
    assert cpu_list(text) == ()


@given(st.text(max_size=20))
def test_no_list_raises(text: str | None) -> None:
    assert all(cpu >= 0 for cpu in cpu_list(text))


def test_a_table_keeps_what_it_understands(tree: Tree) -> None:
    kernel = tree({"/t": "MemTotal:       12 kB\noom_kill 3\nname: text here now\nbad x\n\x00\n"})
    assert kernel.table("/t") == {"MemTotal": 12 * 1024, "oom_kill": 3}


def test_an_entry_is_what_the_table_says() -> None:
    table = LIVE.table("/proc/meminfo")
    assert LIVE.entry("/proc/meminfo", "MemTotal") == table["MemTotal"]
    assert table["MemTotal"] == psutil.virtual_memory().total


def test_an_entry_is_a_whole_name(tree: Tree) -> None:
    kernel = tree({"/t": "pswpin_extra 1\nxpswpin 2\npswpin 3\npswpout oops"})
    assert kernel.entry("/t", "pswpin") == 3
    assert kernel.entry("/t", "pswpout") is None


def test_bytes_that_are_no_text_do_not_raise(tree: Tree) -> None:
    kernel = tree({"/t": b"\xff\xfe 12\n\x80"})
    assert kernel.integer("/t") is None
    assert kernel.table("/t").get("x") is None
    assert kernel.text("/t") is not None


def test_what_is_not_there_reads_as_nothing(nowhere: Kernel) -> None:
    assert nowhere.text("/proc/stat") is None
    assert nowhere.integer("/proc/stat") is None
    assert nowhere.table("/proc/stat") == {}
    assert nowhere.entry("/proc/stat", "cpu") is None
    assert nowhere.names("/sys") == []
    assert nowhere.link("/proc/self/exe") is None
    assert not nowhere.write("/proc/self/clear_refs", "5")
    assert nowhere.text("/with\0null") is None
