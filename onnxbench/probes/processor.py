"""What the processor is and how it is set, for the record of a measurement."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from onnxbench.probes import cpu
from onnxbench.probes.kernel import LIVE, Kernel, cpu_list, format_cpus, whole_number

if TYPE_CHECKING:
    from onnxbench.probes.facts import Fact

INFERENCE_FLAGS = (
    *("sse4_1", "sse4_2", "f16c", "fma", "avx", "avx2", "avx_vnni", "avx_vnni_int8"),
    *("avx_ne_convert", "avx_ifma", "avx512f", "avx512dq", "avx512bw", "avx512vl"),
    *("avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
    # arm64: asimddp is the dot product, asimdhp half precision.
    *("neon", "asimd", "fphp", "asimdhp", "asimddp", "i8mm", "bf16"),
    *("sve", "sve2", "svei8mm", "svebf16", "sme", "sme2"),
)
"""Instruction sets that inference kernels choose between, as ``/proc/cpuinfo`` names them."""

_NO_CPUFREQ = "no cpufreq here: a virtual machine, or a kernel without a frequency driver"
_NO_SYSFS = "not told by this kernel"


def facts(kernel: Kernel = LIVE) -> dict[str, Fact]:
    """Return the section ``cpu`` of the environment."""
    allowed = cpu.affinity()
    first = allowed[0]
    block = cpu.first_processor(kernel)
    online = online_cpus(kernel)
    quota = cpu.cgroup_cpu_quota(kernel)
    return {
        "model": (cpu.model_name(kernel), ""),
        "arch": (platform.machine().lower() or None, "the platform does not say"),
        "flags": (flags(kernel), "no flags in /proc/cpuinfo"),
        "microcode": (block.get("microcode"), "not in /proc/cpuinfo"),
        "online_cpus": (len(online) or None, _NO_SYSFS),
        "physical_cores": (cpu.physical_cores(online, kernel) or None, _NO_SYSFS),
        "affinity": (format_cpus(allowed), ""),
        "affinity_cores": (cpu.physical_cores(allowed, kernel), ""),
        "smt": (smt(kernel), _NO_SYSFS),
        "numa_nodes": (
            {str(node): format_cpus(cpus) for node, cpus in cpu.numa_nodes(online, kernel).items()}
            if online
            else None,
            _NO_SYSFS,
        ),
        "capacities": (
            {str(speed): count for speed, count in cpu.capacities(online, kernel).items()} or None,
            "not told by this kernel (asymmetric ones do)",
        ),
        "caches": (caches(first, kernel) or None, _NO_SYSFS),
        "governor": (cpu.governor(allowed, kernel), _NO_CPUFREQ),
        "driver": (cpu.policy("scaling_driver", allowed, kernel), _NO_CPUFREQ),
        "energy_preference": (
            cpu.policy("energy_performance_preference", allowed, kernel),
            "the frequency driver has no such setting",
        ),
        "turbo": (turbo(kernel), "no switch for it is shown here"),
        "min_hz": (cpu.scaling_clock_hz(first, kernel, "cpuinfo_min_freq"), _NO_CPUFREQ),
        "max_hz": (cpu.scaling_clock_hz(first, kernel, "cpuinfo_max_freq"), _NO_CPUFREQ),
        "clock_hz": (cpu.clock_hz(first, kernel), _NO_CPUFREQ),
        "throttle_events": (
            cpu.throttle_events(allowed, kernel),
            "no thermal_throttle counters: not x86, or a virtual machine",
        ),
        "cgroup_quota_cores": (quota, "no limit is set, or none that we can see"),
    }


def online_cpus(kernel: Kernel = LIVE) -> tuple[int, ...]:
    """Return the CPUs that the kernel schedules on, ours or not; empty when not told."""
    return cpu_list(kernel.text("/sys/devices/system/cpu/online"))


def flags(kernel: Kernel = LIVE) -> list[str] | None:
    """Return those of `INFERENCE_FLAGS` that this processor has; None when it tells none."""
    for block in cpu.processors(kernel):
        if told := block.get("flags") or block.get("Features"):
            present = set(told.split())
            return [flag for flag in INFERENCE_FLAGS if flag in present]
    return None


def smt(kernel: Kernel = LIVE) -> bool | None:
    """Say whether two CPUs share a core anywhere on this machine."""
    active = kernel.integer("/sys/devices/system/cpu/smt/active")
    return None if active is None else active == 1


def turbo(kernel: Kernel = LIVE) -> bool | None:
    """Say whether clocks above the nominal one are allowed."""
    forbidden = kernel.integer("/sys/devices/system/cpu/intel_pstate/no_turbo")
    if forbidden is not None:
        return forbidden == 0
    allowed = kernel.integer("/sys/devices/system/cpu/cpufreq/boost")
    return None if allowed is None else allowed == 1


def caches(number: int, kernel: Kernel = LIVE) -> list[dict[str, object]]:
    """Return the caches of one CPU, nearest first, with the number of CPUs that share each."""
    base = f"/sys/devices/system/cpu/cpu{number}/cache"
    found = []
    for name in kernel.names(base):
        level = kernel.integer(f"{base}/{name}/level")
        kind = kernel.text(f"{base}/{name}/type") or ""
        size = kernel.text(f"{base}/{name}/size") or ""
        kib = whole_number(size.removesuffix("K")) if size.endswith("K") else None
        if level is None or kib is None:
            continue
        sharing = cpu_list(kernel.text(f"{base}/{name}/shared_cpu_list"))
        suffix = {"Data": "d", "Instruction": "i"}.get(kind, "")
        found.append(
            {"name": f"L{level}{suffix}", "bytes": kib * 1024, "shared_by": len(sharing) or None}
        )
    return found
