"""The processor as this process may use it: which CPUs, how many cores, how fast, how hot.

A *CPU* is what the scheduler sees (a hardware thread), a *core* what computes. Linux
Documentation/admin-guide/cputopology.rst, Documentation/ABI/testing/sysfs-devices-system-cpu.
"""

from __future__ import annotations

import math
import os
import platform
from functools import lru_cache
from typing import TYPE_CHECKING

from onnxbench.probes import arm, cgroup
from onnxbench.probes.kernel import LIVE, Kernel, cpu_list, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CPU = "/sys/devices/system/cpu/cpu{}"


def affinity() -> tuple[int, ...]:
    """Return the CPUs that this process may run on, in ascending order.

    Where the platform has no affinity: all of them.
    """
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def cgroup_cpu_quota(kernel: Kernel = LIVE) -> float | None:
    """Return the CPU time per wall time that the tightest cgroup above us allows, in cores.

    Version 2 ``cpu.max``, version 1 ``cpu.cfs_quota_us``; None when nothing limits it.
    """
    quotas = []
    for folder in cgroup.folders("cpu", kernel):
        quota, _, period = (kernel.text(f"{folder}/cpu.max") or "").partition(" ")
        quota = quota or kernel.text(f"{folder}/cpu.cfs_quota_us") or ""
        period = period or kernel.text(f"{folder}/cpu.cfs_period_us") or ""
        allowed, every = whole_number(quota), whole_number(period)
        if allowed is not None and every is not None and allowed > 0 and every > 0:
            quotas.append(allowed / every)
    return min(quotas, default=None)


def siblings(cpu: int, kernel: Kernel = LIVE) -> tuple[int, ...]:
    """Return the CPUs that share a core with ``cpu``, itself included."""
    topology = _CPU.format(cpu) + "/topology"
    # core_cpus_list is the newer name (Linux 5.3) of thread_siblings_list. Unlike (package, core)
    # ids, which repeat per die or per cluster on some machines, it needs no interpretation.
    for name in ("core_cpus_list", "thread_siblings_list"):
        cpus = cpu_list(kernel.text(f"{topology}/{name}"))
        if cpu in cpus:
            return cpus
    return (cpu,)


def physical_cores(cpus: Iterable[int], kernel: Kernel = LIVE) -> int:
    """Return how many different cores ``cpus`` lie on. Without topology each CPU is a core."""
    return len({siblings(cpu, kernel) for cpu in cpus})


def numa_nodes(cpus: Iterable[int], kernel: Kernel = LIVE) -> dict[int, tuple[int, ...]]:
    """Return NUMA node → its CPUs among ``cpus``; nodes without any are left out.

    A machine that names no nodes is one node, 0.
    """
    asked = sorted(set(cpus))
    base = "/sys/devices/system/node"
    nodes = {}
    for name in kernel.names(base):
        number = whole_number(name[4:]) if name.startswith("node") else None
        if number is not None:
            here = set(cpu_list(kernel.text(f"{base}/{name}/cpulist")))
            nodes[number] = tuple(cpu for cpu in asked if cpu in here)
    nodes = {number: here for number, here in sorted(nodes.items()) if here}
    return nodes or {0: tuple(asked)}


def capacities(cpus: Iterable[int], kernel: Kernel = LIVE) -> dict[int, int]:
    """Return relative speed (1024 = fastest) → number of ``cpus``; empty when not told.

    More than one entry is a big.LITTLE machine.
    """
    counts: dict[int, int] = {}
    for cpu in cpus:
        capacity = kernel.integer(_CPU.format(cpu) + "/cpu_capacity")
        if capacity is not None:
            counts[capacity] = counts.get(capacity, 0) + 1
    return dict(sorted(counts.items(), reverse=True))


def default_threads(cpus: tuple[int, ...] | None = None, kernel: Kernel = LIVE) -> tuple[int, str]:
    """Return how many threads to give a runtime, and how that number was found.

    One per physical core of one NUMA node, the one that has the most cores within ``cpus``
    (default: our affinity); not more than the cgroup quota buys, not fewer than one.
    """
    allowed = affinity() if cpus is None else cpus
    nodes = numa_nodes(allowed, kernel)
    cores = {node: physical_cores(here, kernel) for node, here in nodes.items()}
    node = max(cores, key=lambda number: (cores[number], -number))
    threads = max(1, cores[node])
    why = f"{threads} physical cores" if threads > 1 else "1 physical core"
    why += f" of NUMA node {node}" if len(nodes) > 1 else ""
    why += f" among the {len(allowed)} CPUs we may run on"
    speeds = capacities(nodes[node], kernel)
    if len(speeds) > 1:
        why += f", of {len(speeds)} different speeds"
    quota = cgroup_cpu_quota(kernel)
    if quota is not None and math.floor(quota) < threads:
        threads = max(1, math.floor(quota))
        why += f"; cgroup quota of {quota:g} cores"
    return threads, why


def processors(kernel: Kernel = LIVE) -> Iterator[dict[str, str]]:
    """Yield the blocks of ``/proc/cpuinfo``, one per CPU (ARM boards add one of the board)."""
    for block in (kernel.text("/proc/cpuinfo") or "").split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines() if ":" in line)
        fields = {key.strip(): " ".join(value.split()) for key, _, value in pairs}
        if fields:
            yield fields


def first_processor(kernel: Kernel = LIVE) -> dict[str, str]:
    """Return the first block of ``/proc/cpuinfo``; empty where there is none."""
    return next(processors(kernel), {})


def model_name(kernel: Kernel = LIVE) -> str:
    """Return what the processor calls itself.

    ARM has no such string: there it is the names of its cores, in the order of their numbers,
    after the name of the board if there is one. Falls back to the architecture.
    """
    cores: dict[str, None] = {}
    for block in processors(kernel):
        if name := block.get("model name") or block.get("cpu model") or block.get("uarch"):
            return name
        if "CPU implementer" in block and "CPU part" in block:
            cores[arm.core_name(block["CPU implementer"], block["CPU part"])] = None
    board = kernel.text("/proc/device-tree/model")
    silicon = " + ".join(cores)
    if board and silicon:
        return f"{board} ({silicon})"
    return board or silicon or platform.processor() or platform.machine() or "unknown"


def clock_hz(cpu: int, kernel: Kernel = LIVE) -> int | None:
    """Return the clock of one CPU as the kernel sees it now.

    Without cpufreq (most virtual machines) x86 still prints a number in ``/proc/cpuinfo``; unless
    the flag ``aperfmperf`` is there it is the nominal clock and never moves.
    """
    scaling = scaling_clock_hz(cpu, kernel)
    if scaling is not None:
        return scaling
    for block in processors(kernel):
        if block.get("processor") == str(cpu):
            try:
                hertz = float(block["cpu MHz"]) * 1e6
            except (KeyError, ValueError):
                return None
            return round(hertz) if 0 < hertz < 1e12 else None
    return None


def scaling_clock_hz(cpu: int, kernel: Kernel = LIVE, name: str = "scaling_cur_freq") -> int | None:
    """Return one of cpufreq's figures for a CPU (cpuinfo_min_freq, base_frequency …), in hertz."""
    kilohertz = kernel.integer(f"{_CPU.format(cpu)}/cpufreq/{name}")
    return kilohertz * 1000 if kilohertz else None


def governor(cpus: Iterable[int] | None = None, kernel: Kernel = LIVE) -> str | None:
    """Return the frequency governor of the CPUs; several, if they differ, joined by ``, ``."""
    return policy("scaling_governor", cpus, kernel)


def policy(name: str, cpus: Iterable[int] | None = None, kernel: Kernel = LIVE) -> str | None:
    """Return one text of cpufreq (scaling_driver, energy_performance_preference …)."""
    texts = {
        kernel.text(f"{_CPU.format(cpu)}/cpufreq/{name}")
        for cpu in (affinity() if cpus is None else cpus)
    }
    return ", ".join(sorted(text for text in texts if text)) or None


def throttle_events(cpus: tuple[int, ...] | None = None, kernel: Kernel = LIVE) -> int | None:
    """Return how often heat slowed the cores and packages of ``cpus`` down, since boot.

    x86 only (Linux arch/x86/kernel/cpu/mce/therm_throt.c); a virtual machine does not see it.
    """
    files = _throttle_files(affinity() if cpus is None else cpus, kernel)
    counts = [count for file in files if (count := kernel.integer(file)) is not None]
    return sum(counts) if counts else None


@lru_cache(maxsize=16)
def _throttle_files(cpus: tuple[int, ...], kernel: Kernel) -> tuple[str, ...]:
    # One counter per core and one per package is repeated under each of their CPUs.
    counters: dict[tuple[str, object], str] = {}
    for cpu in cpus:
        base = _CPU.format(cpu)
        if kernel.exists(f"{base}/thermal_throttle"):
            package = kernel.integer(f"{base}/topology/physical_package_id")
            for level, owner in (("core", siblings(cpu, kernel)), ("package", package)):
                counters.setdefault(
                    (level, owner), f"{base}/thermal_throttle/{level}_throttle_count"
                )
    return tuple(counters.values())
