"""What else the machine did while samples were taken.

`snapshot` before and after, `between` the two. It reads the CPUs that share a core with one we may
run on: work there takes our cores, our caches or our siblings' execution units; pinned to part of
a large machine, a tenant elsewhere is not our noise.

The kernel counts CPU use in ticks of 10 ms (``SC_CLK_TCK``) by what it finds running at each tick,
our own use exactly. A window of 0.5 s therefore resolves `foreign_cores` to about ±0.02 per busy
CPU, and a process that works in shorter bursts between ticks can stay unseen.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from onnxbench.probes import cpu
from onnxbench.probes.kernel import LIVE, Kernel, whole_number

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from onnxbench.types import LoadDoc


LEAST_TICKS = 20
"""Ticks that a window needs: one of 10 ms beside a window of 0.6 ms reads as 15 busy cores."""


@dataclass(frozen=True, slots=True)
class Ticks:
    """CPU time of ``cpus`` since boot, in clock ticks. ``stolen`` by the hypervisor."""

    cpus: tuple[int, ...]
    busy: int
    stolen: int
    total: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Counters at one moment. ``own_ns``: CPU time of this process with all its threads."""

    wall_ns: int
    own_ns: int
    ticks: Ticks | None
    swapped_in_pages: int | None
    involuntary_switches: int | None
    throttle_events: int | None
    clock_hz: int | None


def snapshot(kernel: Kernel = LIVE) -> Snapshot:
    """Read all counters: 0.15 ms with 2 CPUs; grows with their number (3 ms with 256)."""
    allowed = cpu.affinity()
    here = whole_number(_field(kernel.text("/proc/self/stat"), 38))
    return Snapshot(
        # These three belong together: nothing slow between them.
        wall_ns=time.perf_counter_ns(),
        own_ns=time.process_time_ns(),
        ticks=_ticks(_neighbourhood(allowed, kernel), kernel),
        swapped_in_pages=kernel.entry("/proc/vmstat", "pswpin"),
        involuntary_switches=_involuntary_switches(),
        throttle_events=cpu.throttle_events(allowed, kernel),
        # Only cpufreq: /proc/cpuinfo costs milliseconds on a large machine. The CPU we were on
        # last is the one that ran the loop.
        clock_hz=None if here is None else cpu.scaling_clock_hz(here, kernel),
    )


def between(before: Snapshot, after: Snapshot) -> LoadDoc:
    """Return the load between two snapshots; unknown figures are None and ``reason`` says why."""
    wall_ns = after.wall_ns - before.wall_ns
    own_cores = (after.own_ns - before.own_ns) / wall_ns if wall_ns > 0 else 0.0
    document: LoadDoc = {
        "wall_ns": wall_ns,
        "own_cores": own_cores,
        "foreign_cores": None,
        "steal_share": None,
        "swapped_in_pages": _difference(before.swapped_in_pages, after.swapped_in_pages),
        "involuntary_switches": _difference(
            before.involuntary_switches, after.involuntary_switches
        ),
        "throttle_events": _difference(before.throttle_events, after.throttle_events),
        "clock_hz_before": before.clock_hz,
        "clock_hz_after": after.clock_hz,
    }
    reasons = []
    first, last = before.ticks, after.ticks
    if first is None or last is None:
        reasons.append("foreign_cores, steal_share: /proc/stat tells nothing here")
    elif first.cpus != last.cpus:
        reasons.append("foreign_cores, steal_share: the affinity changed in between")
    elif wall_ns * os.sysconf("SC_CLK_TCK") < LEAST_TICKS * 1_000_000_000:
        reasons.append(f"foreign_cores, steal_share: shorter than {LEAST_TICKS} clock ticks")
    elif last.total <= first.total:
        reasons.append("foreign_cores, steal_share: the counters of /proc/stat stand still")
    else:
        busy_s = (last.busy - first.busy) / os.sysconf("SC_CLK_TCK")
        document["foreign_cores"] = max(0.0, busy_s * 1e9 / wall_ns - own_cores)
        stolen = max(0, last.stolen - first.stolen)
        document["steal_share"] = stolen / (last.total - first.total)
    if document["swapped_in_pages"] is None:
        reasons.append("swapped_in_pages: no pswpin in /proc/vmstat")
    if document["involuntary_switches"] is None:
        reasons.append("involuntary_switches: no getrusage on this platform")
    if document["throttle_events"] is None:
        reasons.append("throttle_events: no thermal_throttle counters (x86 hosts only)")
    if before.clock_hz is None or after.clock_hz is None:
        reasons.append("clock_hz: no cpufreq for this CPU")
    if reasons:
        document["reason"] = "; ".join(reasons)
    return document


@lru_cache(maxsize=16)
def _neighbourhood(allowed: tuple[int, ...], kernel: Kernel) -> tuple[int, ...]:
    return tuple(sorted({sibling for one in allowed for sibling in cpu.siblings(one, kernel)}))


def _ticks(cpus: tuple[int, ...], kernel: Kernel) -> Ticks | None:
    """Sum the lines ``cpuN user nice system idle iowait irq softirq steal …`` of `man 5 proc_stat`.

    Guest time is part of user time already.
    """
    wanted = {f"cpu{number}" for number in cpus}
    busy = stolen = total = found = 0
    for line in (kernel.text("/proc/stat") or "").splitlines():
        if not line.startswith("cpu"):
            break  # the CPU lines come first; the interrupts after them are long
        name, *fields = line.split()
        if name not in wanted:
            continue
        times = [whole_number(field) or 0 for field in fields[:8]]
        times += [0] * (8 - len(times))
        user, nice, system, idle, iowait, irq, softirq, steal = times
        work = user + nice + system + irq + softirq
        found, busy, stolen = found + 1, busy + work, stolen + steal
        total += work + idle + iowait + steal
    return Ticks(cpus, busy, stolen, total) if found and total else None


def _involuntary_switches() -> int | None:
    if sys.platform == "win32":
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _field(stat: str | None, number: int) -> str | None:
    """Return a field of ``/proc/self/stat``, counted from 0 (the second may hold blanks)."""
    fields = (stat or "").rpartition(")")[2].split()
    return fields[number - 2] if len(fields) > number - 2 else None


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before
