from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from onnxbench.probes import cpu, processor
from onnxbench.probes.kernel import format_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onnxbench.probes.kernel import Kernel

    Tree = Callable[[Mapping[str, str | bytes]], Kernel]

CPU = "/sys/devices/system/cpu"
V2 = {
    "/proc/self/cgroup": "0::/",
    "/proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
}


def quota(cores: float) -> dict[str, str]:
    return {**V2, "/sys/fs/cgroup/cpu.max": f"{round(cores * 100_000)} 100000"}


def cores(*groups: tuple[int, ...]) -> dict[str, str]:
    """Files of a machine where each group of CPUs shares a core."""
    return {
        f"{CPU}/cpu{number}/topology/core_cpus_list": format_cpus(group)
        for group in groups
        for number in group
    }


def nodes(**lists: str) -> dict[str, str]:
    return {f"/sys/devices/system/node/{name}/cpulist": text for name, text in lists.items()}


# Two sockets of four cores with two threads each, numbered as Linux does: siblings far apart.
TWO_SOCKETS = {
    **cores(*((n, n + 8) for n in range(8))),
    **nodes(node0="0-3,8-11", node1="4-7,12-15"),
    "/sys/devices/system/node/possible": "0-1",
    f"{CPU}/online": "0-15",
    f"{CPU}/smt/active": "1",
}

# A Rockchip RK3588: four small and four big cores, one thread each.
RK3588 = {
    **cores(*((n,) for n in range(8))),
    **{f"{CPU}/cpu{n}/cpu_capacity": "530" for n in range(4)},
    **{f"{CPU}/cpu{n}/cpu_capacity": "1024" for n in range(4, 8)},
    "/proc/cpuinfo": "\n\n".join(
        f"processor\t: {n}\nBogoMIPS\t: 48.00\nFeatures\t: fp asimd fphp asimdhp asimddp\n"
        f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: {part}"
        for n, part in enumerate(["0xd05"] * 4 + ["0xd0b"] * 4)
    ),
}


def test_this_machine_agrees_with_psutil() -> None:
    assert cpu.affinity() == tuple(psutil.Process().cpu_affinity())
    assert len(processor.online_cpus()) == psutil.cpu_count()
    assert cpu.physical_cores(processor.online_cpus()) == psutil.cpu_count(logical=False)


def test_a_restricted_child_gets_fewer_threads() -> None:
    first = cpu.affinity()[0]
    code = (
        f"import os, json; os.sched_setaffinity(0, {{{first}}})\n"
        "from onnxbench.probes import cpu\n"
        "print(json.dumps([cpu.affinity(), cpu.default_threads()]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    seen, (threads, why) = json.loads(out)
    assert seen == [first]
    assert threads == 1
    assert "1 physical core" in why


@pytest.mark.parametrize(
    ("cpus", "expected"), [(range(16), 8), ((0, 8), 1), ((0, 1), 2), ((3, 11, 4), 2), ((), 0)]
)
def test_siblings_are_one_core(tree: Tree, cpus: tuple[int, ...], expected: int) -> None:
    assert cpu.physical_cores(cpus, tree(TWO_SOCKETS)) == expected


def test_old_kernels_name_siblings_otherwise(tree: Tree) -> None:
    kernel = tree({f"{CPU}/cpu{n}/topology/thread_siblings_list": "0-1" for n in (0, 1)})
    assert cpu.physical_cores((0, 1), kernel) == 1


@pytest.mark.parametrize("garbage", ["", "x", "7", "1-0", "\0"])
def test_without_believable_topology_each_cpu_is_a_core(
    tree: Tree, nowhere: Kernel, garbage: str
) -> None:
    # "7" does not even name the CPU itself.
    kernel = tree({f"{CPU}/cpu{n}/topology/core_cpus_list": garbage for n in (0, 1)})
    assert cpu.physical_cores((0, 1), kernel) == 2
    assert cpu.physical_cores((0, 1), nowhere) == 2


def test_threads_fill_the_cores_of_one_node(tree: Tree) -> None:
    threads, why = cpu.default_threads(tuple(range(16)), tree(TWO_SOCKETS))
    assert threads == 4
    assert "4 physical cores of NUMA node 0" in why


def test_threads_go_where_the_affinity_has_most_cores(tree: Tree) -> None:
    # Node 0: one core with both threads. Node 1: two cores.
    threads, why = cpu.default_threads((0, 8, 4, 5), tree(TWO_SOCKETS))
    assert threads == 2
    assert "NUMA node 1" in why


@pytest.mark.parametrize(("cores_allowed", "threads"), [(0.5, 1), (1.9, 1), (3.0, 3), (64, 4)])
def test_a_quota_bounds_the_threads(tree: Tree, cores_allowed: float, threads: int) -> None:
    found, why = cpu.default_threads(
        tuple(range(16)), tree({**TWO_SOCKETS, **quota(cores_allowed)})
    )
    assert found == threads
    assert ("quota" in why) == (threads < 4)


def test_a_node_without_cpus_is_none(tree: Tree) -> None:
    # Memory-only nodes (CXL, HBM) have an empty list.
    kernel = tree(nodes(node0="0-1", node1="", node2="garbage"))
    assert cpu.numa_nodes((0, 1), kernel) == {0: (0, 1)}


def test_a_machine_without_nodes_is_one(nowhere: Kernel) -> None:
    assert cpu.numa_nodes((3, 1), nowhere) == {0: (1, 3)}
    assert cpu.default_threads((3, 1), nowhere)[0] == 2


def test_big_and_little_cores(tree: Tree) -> None:
    kernel = tree(RK3588)
    assert cpu.capacities(range(8), kernel) == {1024: 4, 530: 4}
    assert cpu.model_name(kernel) == "Cortex-A55 + Cortex-A76"
    threads, why = cpu.default_threads(tuple(range(8)), kernel)
    assert threads == 8
    assert "2 different speeds" in why
    assert processor.flags(kernel) == ["asimd", "fphp", "asimdhp", "asimddp"]
    assert processor.facts(kernel)["capacities"][0] is None  # no list of online CPUs


def test_a_board_is_named_before_its_cores(tree: Tree) -> None:
    kernel = tree({**RK3588, "/proc/device-tree/model": b"Radxa ROCK 5B\0"})
    assert cpu.model_name(kernel) == "Radxa ROCK 5B (Cortex-A55 + Cortex-A76)"


@pytest.mark.parametrize(
    ("implementer", "part", "name"),
    [
        ("0x41", "0xd0c", "Neoverse-N1"),
        ("0xc0", "0xac3", "Ampere-1"),
        ("0x41", "0xfff", "ARM core 0xfff"),
        ("0x77", "0x001", "0x77 core 0x001"),
        ("what", "0x001", "ARM core what/0x001"),
    ],
)
def test_arm_cores_have_names(tree: Tree, implementer: str, part: str, name: str) -> None:
    kernel = tree({"/proc/cpuinfo": f"CPU implementer : {implementer}\nCPU part : {part}"})
    assert cpu.model_name(kernel) == name


def test_x86_names_lose_their_padding(tree: Tree) -> None:
    kernel = tree({"/proc/cpuinfo": "processor\t: 0\nmodel name\t: Intel(R)  Xeon(R)   CPU @ 2GHz"})
    assert cpu.model_name(kernel) == "Intel(R) Xeon(R) CPU @ 2GHz"


def test_a_machine_without_cpuinfo_has_some_name(nowhere: Kernel, tree: Tree) -> None:
    assert cpu.model_name(nowhere)
    assert cpu.model_name(tree({"/proc/cpuinfo": b"\xff\x00:\n:::\n\n\n:"}))


def test_clocks(tree: Tree) -> None:
    kernel = tree(
        {
            f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "2400000",
            f"{CPU}/cpu1/cpufreq/scaling_cur_freq": "<unknown>",
            "/proc/cpuinfo": "processor : 1\ncpu MHz : 1800.5\n\nprocessor : 2\ncpu MHz : n/a\n",
        }
    )
    assert cpu.clock_hz(0, kernel) == 2_400_000_000
    assert cpu.clock_hz(1, kernel) == 1_800_500_000
    assert cpu.clock_hz(2, kernel) is None
    assert cpu.clock_hz(3, kernel) is None


def test_governors_that_differ_are_all_named(tree: Tree) -> None:
    names = {0: "powersave", 1: "performance", 2: "powersave"}
    kernel = tree({f"{CPU}/cpu{n}/cpufreq/scaling_governor": name for n, name in names.items()})
    assert cpu.governor((0, 2), kernel) == "powersave"
    assert cpu.governor((0, 1, 2), kernel) == "performance, powersave"
    assert cpu.governor((7,), kernel) is None


def test_throttle_counters_are_counted_once(tree: Tree) -> None:
    # One package, two cores with two threads each: the counters repeat under every thread.
    files = cores((0, 2), (1, 3))
    for n in range(4):
        files[f"{CPU}/cpu{n}/topology/physical_package_id"] = "0"
        files[f"{CPU}/cpu{n}/thermal_throttle/core_throttle_count"] = str(10 + n % 2)
        files[f"{CPU}/cpu{n}/thermal_throttle/package_throttle_count"] = "100"
    kernel = tree(files)
    assert cpu.throttle_events((0, 1, 2, 3), kernel) == 10 + 11 + 100
    assert cpu.throttle_events((0, 2), kernel) == 10 + 100


def test_no_throttle_counters(nowhere: Kernel) -> None:
    assert cpu.throttle_events((0, 1), nowhere) is None


@pytest.mark.parametrize(
    ("files", "on"),
    [
        ({f"{CPU}/intel_pstate/no_turbo": "1"}, False),
        ({f"{CPU}/intel_pstate/no_turbo": "0", f"{CPU}/cpufreq/boost": "0"}, True),
        ({f"{CPU}/cpufreq/boost": "0"}, False),
        ({f"{CPU}/cpufreq/boost": "1"}, True),
        ({f"{CPU}/cpufreq/boost": "?"}, None),
        ({}, None),
    ],
)
def test_turbo(tree: Tree, files: dict[str, str], on: bool | None) -> None:
    assert processor.turbo(tree(files)) is on


def test_caches(tree: Tree) -> None:
    base = f"{CPU}/cpu0/cache"
    rows = {0: ("1", "Data", "48K", "0,8"), 1: ("1", "Instruction", "32K", "0,8")}
    rows |= {2: ("3", "Unified", "32768K", "0-15"), 3: ("4", "Unified", "big", "0")}
    kernel = tree(
        {
            f"{base}/index{index}/{name}": value
            for index, row in rows.items()
            for name, value in zip(("level", "type", "size", "shared_cpu_list"), row, strict=True)
        }
    )
    assert processor.caches(0, kernel) == [
        {"name": "L1d", "bytes": 48 << 10, "shared_by": 2},
        {"name": "L1i", "bytes": 32 << 10, "shared_by": 2},
        {"name": "L3", "bytes": 32 << 20, "shared_by": 16},
    ]
