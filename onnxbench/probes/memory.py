"""Memory of this process and of the machine, in bytes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from onnxbench.probes import cgroup
from onnxbench.probes.kernel import LIVE, Kernel, whole_number

if TYPE_CHECKING:
    from onnxbench.probes.facts import Fact

_NO_LIMIT = 1 << 60
"""Version 1 writes "no limit" as the largest page-aligned 64-bit number."""


def rss_bytes(kernel: Kernel = LIVE) -> int | None:
    """Return the resident set of this process.

    Cheap and slightly coarse: from Linux 6.2 on the counter is kept per CPU, and a read may miss
    some pages of each (commit f1a7941243c1). `uss_pss_bytes` walks the pages and is exact.
    """
    fields = (kernel.text("/proc/self/statm") or "").split()
    pages = whole_number(fields[1]) if len(fields) > 1 else None
    return None if pages is None else pages * os.sysconf("SC_PAGE_SIZE")


def peak_rss_bytes(kernel: Kernel = LIVE) -> int | None:
    """Return the highest resident set since the start or the last `reset_peak` (VmHWM)."""
    return kernel.entry("/proc/self/status", "VmHWM")


def reset_peak(kernel: Kernel = LIVE) -> bool:
    """Set the peak back to the present resident set; False when the kernel does not let us.

    `man 5 proc_pid_clear_refs`: 5 resets VmHWM (Linux 4.0).
    """
    return kernel.write("/proc/self/clear_refs", "5")


def uss_pss_bytes(kernel: Kernel = LIVE) -> tuple[int, int] | None:
    """Return (USS, PSS): pages of ours alone, and those plus our share of the shared ones.

    Walks the page tables: about 0.1 ms and more with every gigabyte. Linux 4.14.
    """
    rollup = kernel.table("/proc/self/smaps_rollup")
    if "Pss" not in rollup:
        return None
    private = ("Private_Clean", "Private_Dirty", "Private_Hugetlb")
    return sum(rollup.get(name, 0) for name in private), rollup["Pss"]


def available_bytes(kernel: Kernel = LIVE) -> int | None:
    """Return what a new process could take without swapping or being killed.

    The least of the kernel's MemAvailable and the room below every cgroup limit above us.
    """
    rooms = [limit - used for limit, used in _limits(kernel)]
    machine = kernel.entry("/proc/meminfo", "MemAvailable")
    if machine is not None:
        rooms.append(machine)
    return max(0, min(rooms)) if rooms else None


def cgroup_limit_bytes(kernel: Kernel = LIVE) -> int | None:
    """Return the tightest cgroup memory limit above this process, None without one."""
    return min((limit for limit, _ in _limits(kernel)), default=None)


def oom_kills(kernel: Kernel = LIVE) -> int | None:
    """Return how many processes the kernel killed for want of memory since boot (Linux 4.13)."""
    return kernel.entry("/proc/vmstat", "oom_kill")


def swap_bytes(kernel: Kernel = LIVE) -> tuple[int, int] | None:
    """Return (total, used) swap space of the machine; total 0 means there is none."""
    rows = kernel.table("/proc/meminfo")
    if "SwapTotal" not in rows or "SwapFree" not in rows:
        return None
    return rows["SwapTotal"], rows["SwapTotal"] - rows["SwapFree"]


def facts(kernel: Kernel = LIVE) -> dict[str, Fact]:
    """Return the section ``memory`` of the environment."""
    total, used = swap_bytes(kernel) or (None, None)
    untold = "no /proc/meminfo"
    return {
        "total_bytes": (kernel.entry("/proc/meminfo", "MemTotal"), untold),
        "available_bytes": (available_bytes(kernel), untold),
        "swap_total_bytes": (total, untold),
        "swap_used_bytes": (used, untold),
        "cgroup_limit_bytes": (
            cgroup_limit_bytes(kernel),
            "no limit is set, or none that we can see",
        ),
    }


def _limits(kernel: Kernel) -> list[tuple[int, int]]:
    """Return (limit, used) of every limited group from our own upwards.

    Page cache that was not used lately (``inactive_file``) does not count as used: the kernel drops
    it first. This is the working set of the kubelet.
    """
    found = []
    for folder in cgroup.folders("memory", kernel):
        limits = [
            limit
            for name in ("memory.max", "memory.high", "memory.limit_in_bytes")
            if (limit := kernel.integer(f"{folder}/{name}")) is not None and limit < _NO_LIMIT
        ]
        used = kernel.integer(f"{folder}/memory.current")
        cold = "inactive_file"
        if used is None:
            used = kernel.integer(f"{folder}/memory.usage_in_bytes")
            cold = "total_inactive_file"
        if limits and used is not None:
            cache = kernel.table(f"{folder}/memory.stat").get(cold, 0)
            found.append((min(limits), max(0, used - cache)))
    return found
