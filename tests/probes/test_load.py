from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from onnxbench.probes import cpu, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from onnxbench.probes.kernel import Kernel

    Tree = Callable[[Mapping[str, str | bytes]], Kernel]

WORK_S = 0.5
"""CPU time that each test waits for: windows are bounded by work, not by a clock, because the
tests' own neighbours may leave us little of the machine."""

BURN = """
print("ready", flush=True)
while True:
    pass
"""


@pytest.fixture
def busy_child() -> Iterator[psutil.Process]:
    with subprocess.Popen([sys.executable, "-c", BURN], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        yield psutil.Process(child.pid)
        child.kill()


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def machine_busy_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def test_a_busy_neighbour_is_seen(busy_child: psutil.Process) -> None:
    before, start = load.snapshot(), cpu_s(busy_child)
    while cpu_s(busy_child) < start + WORK_S:
        time.sleep(0.02)
    after, worked = load.snapshot(), cpu_s(busy_child) - start
    found = load.between(before, after)
    foreign = found["foreign_cores"]
    assert foreign is not None
    # All that the child got is foreign; other neighbours of this test may add to it.
    assert worked / (found["wall_ns"] / 1e9) - 0.15 < foreign < len(cpu.affinity()) + 0.15
    assert found["own_cores"] < 0.2


def test_our_own_work_is_not_foreign() -> None:
    before, busy = load.snapshot(), machine_busy_s()
    end = time.process_time() + WORK_S
    while time.process_time() < end:
        pass
    after, busy = load.snapshot(), machine_busy_s() - busy
    found = load.between(before, after)
    wall_s, own = found["wall_ns"] / 1e9, found["own_cores"]
    assert own * wall_s == pytest.approx(WORK_S, abs=0.05)
    if len(cpu.affinity()) == psutil.cpu_count():
        assert found["foreign_cores"] == pytest.approx(max(0.0, busy / wall_s - own), abs=0.1)


def test_a_thread_is_our_own() -> None:
    # A hash of a large buffer runs without the interpreter's lock: the main thread can sleep.
    code = (
        "import hashlib, threading, time\n"
        "from onnxbench.probes import load\n"
        "stop = threading.Event(); data = bytes(1 << 20)\n"
        "def work():\n"
        "    while not stop.is_set(): hashlib.sha256(data)\n"
        "thread = threading.Thread(target=work); thread.start()\n"
        "clock = time.pthread_getcpuclockid(thread.ident)\n"
        f"before = load.snapshot(); end = time.clock_gettime(clock) + {WORK_S}\n"
        "while time.clock_gettime(clock) < end: time.sleep(0.02)\n"
        "found = load.between(before, load.snapshot())\n"
        "stop.set(); thread.join(); print(found['own_cores'] * found['wall_ns'] / 1e9)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert float(out) >= WORK_S


STAT = """\
cpu  0 0 0 0 0 0 0 0 0 0
cpu0 {0} 0 0 0 0 0 0 0 0 0
cpu1 {1} 5 5 {idle} 0 1 1 {steal} 99 0
cpu2 {2} 0 0 0 0 0 0 0 0 0
intr 1 2 3
ctxt 4
"""


def counters(tree: Tree, cpus: tuple[int, int, int], **values: int) -> load.Ticks:
    kernel = tree({"/proc/stat": STAT.format(*cpus, **values)})
    ticks = load._ticks((0, 1), kernel)
    assert ticks
    return ticks


def at(seconds: float, own_s: float, ticks: load.Ticks) -> load.Snapshot:
    return load.Snapshot(
        wall_ns=round(seconds * 1e9),
        own_ns=round(own_s * 1e9),
        ticks=ticks,
        swapped_in_pages=5,
        involuntary_switches=7,
        throttle_events=1,
        clock_hz=1_000,
    )


@pytest.fixture
def hertz() -> int:
    return os.sysconf("SC_CLK_TCK")


def test_the_sum_of_ticks(tree: Tree) -> None:
    ticks = counters(tree, (10, 20, 1000), idle=30, steal=4)
    # CPU 2 is not ours; guest time (99) is in user time already.
    assert (ticks.busy, ticks.stolen, ticks.total) == (10 + 32, 4, 10 + 32 + 30 + 4)


def test_foreign_and_stolen_shares(tree: Tree, hertz: int) -> None:
    first = counters(tree, (0, 0, 0), idle=0, steal=0)
    last = counters(tree, (2 * hertz, hertz, 0), idle=hertz // 2, steal=hertz // 2)
    found = load.between(at(10, 1, first), at(12, 2.5, last))
    # Three core-seconds in two seconds, half of them our own.
    assert found["foreign_cores"] == pytest.approx(0.75)
    assert found["own_cores"] == pytest.approx(0.75)
    assert found["steal_share"] == pytest.approx(0.125)
    assert found["wall_ns"] == 2_000_000_000
    assert found["swapped_in_pages"] == 0
    assert "reason" not in found


def test_foreign_work_is_never_negative(tree: Tree, hertz: int) -> None:
    first = counters(tree, (0, 0, 0), idle=0, steal=0)
    last = counters(tree, (hertz, 0, 0), idle=hertz, steal=0)
    found = load.between(at(0, 0, first), at(1, 1.02, last))
    assert found["foreign_cores"] == 0


def test_counters_are_differences(tree: Tree, hertz: int) -> None:
    before = at(0, 0, counters(tree, (0, 0, 0), idle=0, steal=0))
    after = at(1, 0, counters(tree, (0, 0, 0), idle=2 * hertz, steal=0))
    after = dataclasses.replace(
        after, swapped_in_pages=9, involuntary_switches=17, throttle_events=3, clock_hz=900
    )
    found = load.between(before, after)
    assert (found["swapped_in_pages"], found["involuntary_switches"]) == (4, 10)
    assert (found["throttle_events"], found["clock_hz_before"], found["clock_hz_after"]) == (
        2,
        1_000,
        900,
    )


def test_a_window_below_one_tick_says_so(tree: Tree) -> None:
    same = counters(tree, (1, 1, 1), idle=1, steal=1)
    found = load.between(at(0, 0, same), at(0.001, 0, same))
    assert found["foreign_cores"] is None
    assert found["steal_share"] is None
    assert "tick" in found["reason"]


def test_a_tick_beside_a_window_of_a_few_is_no_busy_core(tree: Tree) -> None:
    before = counters(tree, (1, 1, 1), idle=1, steal=1)
    after = counters(tree, (2, 1, 1), idle=1, steal=1)
    short = load.between(at(0, 0, before), at(0.0006, 0, after))
    assert short["foreign_cores"] is None, "1 tick of 10 ms in 0.6 ms would be 16 cores"
    assert load.between(at(0, 0, before), at(0.5, 0, after))["foreign_cores"] is not None


def test_counters_that_stand_still_say_so(tree: Tree) -> None:
    """As in containers whose /proc/stat is made up."""
    same = counters(tree, (1, 1, 1), idle=1, steal=1)
    found = load.between(at(0, 0, same), at(0.5, 0, same))
    assert (found["foreign_cores"], found["steal_share"]) == (None, None)
    assert "stand still" in found["reason"]


def test_a_changed_affinity_says_so(tree: Tree) -> None:
    first = counters(tree, (1, 1, 1), idle=1, steal=1)
    found = load.between(at(0, 0, first), at(1, 0, dataclasses.replace(first, cpus=(0,))))
    assert found["foreign_cores"] is None
    assert "affinity" in found["reason"]


def test_a_machine_that_tells_nothing(nowhere: Kernel) -> None:
    found = load.between(load.snapshot(nowhere), load.snapshot(nowhere))
    nulls = {field for field, value in found.items() if value is None}
    assert {"foreign_cores", "steal_share", "swapped_in_pages", "throttle_events"} <= nulls
    assert [field for field in nulls if field.partition("_hz")[0] not in found["reason"]] == []
    assert found["own_cores"] >= 0
    assert found["wall_ns"] > 0


@pytest.mark.parametrize("garbage", ["", "cpu", "cpu0 a b c", "cpu0", "cpu0 1", "\0\0", "intr 1"])
def test_garbage_does_not_raise(tree: Tree, garbage: str) -> None:
    kernel = tree({"/proc/stat": garbage, "/proc/self/stat": garbage, "/proc/vmstat": garbage})
    assert load.between(load.snapshot(kernel), load.snapshot(kernel))["foreign_cores"] is None


def test_the_neighbourhood_holds_siblings(tree: Tree) -> None:
    kernel = tree(
        {
            f"/sys/devices/system/cpu/cpu{n}/topology/core_cpus_list": f"{n % 2},{n % 2 + 2}"
            for n in range(4)
        }
    )
    assert load._neighbourhood((0,), kernel) == (0, 2)


def test_the_cpu_we_are_on_is_read_behind_a_strange_name() -> None:
    fields = " ".join(str(number) for number in range(2, 52))
    assert load._field(f"12 (a) b ( c)) {fields}", 38) == "38"
    assert load._field("12 (short) 2 3", 38) is None
