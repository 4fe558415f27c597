"""What makes this host noisy right now, why it matters, and the command that mends it.

Nothing here changes a setting: the commands are for the user to read and to type.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from onnxbench.probes import cpu, heat, load, memory, power, processor, software, virtual
from onnxbench.probes.kernel import LIVE, Kernel, format_cpus

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.types import LoadDoc

State = Literal["ok", "warn", "unknown"]

DEDICATED = "cannot be mended from inside: use a dedicated host"

FOREIGN_CORES = 0.10
"""More than this is kept busy by others: several times the resolution of `load.between`."""

STEAL_SHARE = 0.02
"""The share of stolen time that makes a measurement unreliable (docs/method.md)."""

HEADROOM_CELSIUS = 10.0
"""Nearer to the limit than this, heat will slow a long run down."""

PRESSURE_PERCENT = 1.0
"""Share of the last ten seconds in which some task waited for memory."""

FAST_CLOCKS = {"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"}
"""Counters that the vDSO reads in user space; hpet and acpi_pm have to ask the chipset."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``unknown``: this host does not tell.

    ``why``: what it does to a measurement. ``mend``: the command to type, or that there is none;
    empty when all is well.
    """

    name: str
    state: State
    finding: str
    why: str
    mend: str = ""


def checks(kernel: Kernel = LIVE, window_s: float = 0.5) -> list[Check]:
    """Look at everything once; takes ``window_s``, in which the machine's load is watched."""
    now = _load(kernel, window_s)
    return [
        _other_load(now),
        _steal(now),
        *(check(kernel) for check in _CHECKS),
    ]


def _load(kernel: Kernel, window_s: float) -> LoadDoc:
    before = load.snapshot(kernel)
    time.sleep(window_s)
    return load.between(before, load.snapshot(kernel))


def _other_load(now: LoadDoc) -> Check:
    name, why = "other load", "others take the cores, caches and memory bandwidth of the model"
    foreign = now["foreign_cores"]
    if foreign is None:
        return Check(name, "unknown", now.get("reason", ""), why)
    finding = f"other processes keep {foreign:.2f} cores busy"
    if foreign <= FOREIGN_CORES:
        return Check(name, "ok", finding, why)
    return Check(name, "warn", finding, why, "top -o %CPU   # see who it is and stop it")


def _steal(now: LoadDoc) -> Check:
    name, why = "steal", "the hypervisor gives our cores to other guests; times grow at random"
    share = now["steal_share"]
    if share is None:
        return Check(name, "unknown", now.get("reason", ""), why)
    finding = f"{share:.1%} of the CPU time is stolen"
    return (
        Check(name, "ok", finding, why)
        if share <= STEAL_SHARE
        else Check(name, "warn", finding, why, DEDICATED)
    )


def _governor(kernel: Kernel) -> Check:
    name, why = "governor", "clocks follow the load with a delay, so short runs see slow clocks"
    governor = cpu.governor(kernel=kernel)
    if governor is None:
        return Check(name, "unknown", "no cpufreq here", why, DEDICATED)
    if governor == "performance":
        return Check(name, "ok", governor, why)
    mend = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return Check(name, "warn", governor, why, mend)


def _turbo(kernel: Kernel) -> Check:
    name, why = "turbo", "the clock depends on heat and on what other cores do"
    on = processor.turbo(kernel)
    if on is None:
        return Check(name, "unknown", "no switch for it is shown here", why, DEDICATED)
    if not on:
        return Check(name, "ok", "off", why)
    intel = "/sys/devices/system/cpu/intel_pstate/no_turbo"
    switch = (1, intel) if kernel.exists(intel) else (0, "/sys/devices/system/cpu/cpufreq/boost")
    mend = "echo {} | sudo tee {}   # steadier, but slower than in use".format(*switch)
    return Check(name, "warn", "on", why, mend)


def _smt(kernel: Kernel) -> Check:
    name, why = "SMT siblings", "two threads on one core share its units and slow each other down"
    allowed = cpu.affinity()
    cores = cpu.physical_cores(allowed, kernel)
    if cores == len(allowed):
        told = processor.smt(kernel) is not None
        finding = f"{cores} CPUs on {cores} cores" if told else "this kernel does not tell"
        return Check(name, "ok" if told else "unknown", finding, why)
    firsts = tuple(sorted({cpu.siblings(each, kernel)[0] for each in allowed} & set(allowed)))
    mend = f"taskset -c {format_cpus(firsts)} onnxbench run …   # one CPU per core"
    return Check(name, "warn", f"{len(allowed)} CPUs on {cores} cores", why, mend)


def _swap(kernel: Kernel) -> Check:
    name, why = "swap", "a page that has to be read back costs more than an inference"
    swap = memory.swap_bytes(kernel)
    if swap is None:
        return Check(name, "unknown", "this kernel does not tell", why)
    total, used = swap
    if not used:
        return Check(name, "ok", "not in use" if total else "none", why)
    finding = f"{used / 1e6:.0f} of {total / 1e6:.0f} MB in use"
    return Check(name, "warn", finding, why, "sudo swapoff -a   # needs that much free memory")


def _pressure(kernel: Kernel) -> Check:
    """Linux Documentation/accounting/psi.rst: ``some avg10=0.00 avg60=… avg300=… total=…``."""
    name, why = "memory pressure", "tasks wait for memory to be freed, ours may be next"
    head = (kernel.text("/proc/pressure/memory") or "").partition("avg10=")[2].split()
    try:
        percent = float(head[0])
    except (IndexError, ValueError):
        return Check(name, "unknown", "this kernel keeps no pressure figures", why)
    finding = f"tasks waited for memory {percent:.1f} % of the last 10 s"
    if percent <= PRESSURE_PERCENT:
        return Check(name, "ok", finding, why)
    return Check(name, "warn", finding, why, "top -o %MEM   # see who needs it and stop it")


def _huge_pages(kernel: Kernel) -> Check:
    name, why = "huge pages", "pages are merged in the background, during some runs and not others"
    mode = software.huge_pages(kernel)
    if mode is None:
        return Check(name, "unknown", "this kernel does not tell", why)
    if mode != "always":
        return Check(name, "ok", mode, why)
    mend = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"
    return Check(name, "warn", mode, why, mend)


def _aslr(kernel: Kernel) -> Check:
    # On is right here: each child draws a new layout, so that the mean is over layouts. Off, all
    # children share one lucky or unlucky layout (Mytkowicz et al., ASPLOS 2009).
    name, why = "ASLR", "without it every process has the same memory layout, lucky or unlucky"
    mode = software.address_randomization(kernel)
    if mode is None:
        return Check(name, "unknown", "this kernel does not tell", why)
    if mode == 2:
        return Check(name, "ok", "on", why)
    mend = "sudo sysctl kernel.randomize_va_space=2"
    return Check(name, "warn", "off" if mode == 0 else "in part", why, mend)


def _battery(kernel: Kernel) -> Check:
    name, why = "power source", "on battery, clocks and power are held down"
    source = power.source(kernel)
    if source is None:
        return Check(name, "unknown", "no power supply is listed here", why)
    if source == "ac":
        return Check(name, "ok", "mains", why)
    return Check(name, "warn", "battery", why, "plug the power supply in")


def _heat(kernel: Kernel) -> Check:
    name, why = "temperature", "a processor that reaches its limit slows down in mid-run"
    room = heat.headroom_celsius(kernel)
    if room is None:
        return Check(name, "unknown", "no sensor of the processor is shown here", why)
    finding = f"{room:.0f} °C below the limit"
    if room >= HEADROOM_CELSIUS:
        return Check(name, "ok", finding, why)
    return Check(name, "warn", finding, why, "let it cool down, and see that air gets to it")


def _throttling(kernel: Kernel) -> Check:
    name, why = "throttling", "heat has slowed this processor down since it was booted"
    events = cpu.throttle_events(kernel=kernel)
    if events is None:
        return Check(name, "unknown", "no counters are shown here", why)
    if not events:
        return Check(name, "ok", "never since boot", why)
    mend = "let it cool down, and see that air gets to it"
    return Check(name, "warn", f"{events} times since boot", why, mend)


def _quota(kernel: Kernel) -> Check:
    name, why = "CPU quota", "once the quota of a period is used up, all threads stand still"
    quota = cpu.cgroup_cpu_quota(kernel)
    allowed = len(cpu.affinity())
    if quota is None:
        told = kernel.exists("/proc/self/cgroup")
        return Check(name, "ok" if told else "unknown", "none that we can see", why)
    finding = f"{quota:g} cores, {allowed} CPUs to run on"
    if quota >= allowed:
        return Check(name, "ok", finding, why)
    whole = format_cpus(cpu.affinity()[: max(1, int(quota))])
    mend = f"docker run --cpuset-cpus={whole} …   # in place of --cpus"
    return Check(name, "warn", finding, why, mend)


def _affinity(kernel: Kernel) -> Check:
    name, why = "affinity", "work on the other CPUs shares caches, memory and power with ours"
    allowed, online = cpu.affinity(), processor.online_cpus(kernel)
    if not online:
        return Check(name, "unknown", "this kernel does not tell", why)
    if set(allowed) >= set(online):
        return Check(name, "ok", f"all {len(online)} CPUs", why)
    finding = f"CPUs {format_cpus(allowed)} of {format_cpus(online)}"
    mend = f"taskset -c {format_cpus(online)} onnxbench run …   # unless it is meant so"
    return Check(name, "warn", finding, why, mend)


def _virtual_machine(kernel: Kernel) -> Check:
    name, why = "virtual machine", "other guests share caches, memory and heat, and stay unseen"
    if emulator := virtual.emulator(kernel):
        finding = f"instructions are translated by {emulator}: times mean nothing"
        return Check(name, "warn", finding, why, "run on a machine of this architecture")
    hypervisor = virtual.hypervisor(kernel)
    if hypervisor is None:
        told = kernel.exists("/proc/cpuinfo")
        return Check(name, "ok" if told else "unknown", "no sign of one", why)
    return Check(name, "warn", f"below us: {hypervisor}", why, DEDICATED)


def _clock(kernel: Kernel) -> Check:
    name, why = "clock source", "every reading of a slow clock is a system call of its own"
    source, resolution = (
        software.clocksource(kernel),
        time.get_clock_info("perf_counter").resolution,
    )
    if source is None:
        return Check(name, "unknown", f"resolution {resolution * 1e9:g} ns", why)
    finding = f"{source}, resolution {resolution * 1e9:g} ns"
    if source in FAST_CLOCKS and resolution <= 1e-6:
        return Check(name, "ok", finding, why)
    mend = (
        "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource"
        if "tsc" in virtual.clocksources(kernel)
        else DEDICATED
    )
    return Check(name, "warn", finding, why, mend)


_CHECKS: tuple[Callable[[Kernel], Check], ...] = (
    _virtual_machine,
    _governor,
    _turbo,
    _smt,
    _affinity,
    _quota,
    _swap,
    _pressure,
    _huge_pages,
    _aslr,
    _clock,
    _heat,
    _throttling,
    _battery,
)
