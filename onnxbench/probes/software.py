"""Kernel settings, interpreter and variables that change how fast the same code runs."""

from __future__ import annotations

import os
import platform
import re
import sys

from onnxbench.probes.kernel import LIVE, Kernel

RECORDED_VARIABLES = re.compile(
    r"(CUDA|NVIDIA|HIP|ROCR|HSA|MIGRAPHX|ADSP|OMP|GOMP|KMP|MKL|OPENBLAS|ORT|MALLOC)_\w+"
    r"|VK_(ICD_FILENAMES|DRIVER_FILES|LOADER_\w+|LAYER_PATH|INSTANCE_LAYERS)"
    r"|CXX|GLIBC_TUNABLES|LD_PRELOAD|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH"
)
"""Variables that runtimes, the loader and the allocator read. They are passed to a measuring child,
and they alone ever enter a record. Of Vulkan's by name: VK_ANYTHING may be somebody's token."""


def recorded_variables() -> dict[str, str]:
    """Return the environment variables that are on the allow-list."""
    return {
        name: os.environ[name] for name in sorted(os.environ) if RECORDED_VARIABLES.fullmatch(name)
    }


def choice(text: str | None) -> str | None:
    """Return the bracketed word of a setting such as ``always [madvise] never``."""
    found = re.search(r"\[([^\]]+)\]", text or "")
    return found[1] if found else None


def huge_pages(kernel: Kernel = LIVE) -> str | None:
    """Return the mode of transparent huge pages: always, madvise or never."""
    return choice(kernel.text("/sys/kernel/mm/transparent_hugepage/enabled"))


def address_randomization(kernel: Kernel = LIVE) -> int | None:
    """Return ASLR as ``man 5 proc_sys_kernel`` numbers it: 0 off, 1 without heap, 2 full."""
    return kernel.integer("/proc/sys/kernel/randomize_va_space")


def clocksource(kernel: Kernel = LIVE) -> str | None:
    """Return the counter that the kernel tells time by: tsc, kvm-clock, hpet, arch_sys_counter."""
    return kernel.text("/sys/devices/system/clocksource/clocksource0/current_clocksource")


def mitigations(kernel: Kernel = LIVE) -> dict[str, list[str]] | None:
    """Return the processor faults the kernel works around, and those it leaves open.

    Keys ``mitigated`` and ``vulnerable``; faults that this processor lacks are left out.
    """
    base = "/sys/devices/system/cpu/vulnerabilities"
    states = {name: kernel.text(f"{base}/{name}") or "" for name in kernel.names(base)}
    return (
        {
            key: [name for name, state in states.items() if state.startswith(mark)]
            for key, mark in (("mitigated", "Mitigation"), ("vulnerable", "Vulnerable"))
        }
        if states
        else None
    )


def libc() -> str | None:
    """Return the C library and its version, ``glibc 2.36``."""
    try:
        name = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError, OSError):
        name = None
    return name or " ".join(part for part in platform.libc_ver() if part) or None


def python() -> dict[str, object]:
    """Return what runs us."""
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "compiler": platform.python_compiler(),
        "free_threaded": not getattr(sys, "_is_gil_enabled", lambda: True)(),
    }
