"""Layers between us and the metal: emulator, hypervisor, container. Best effort, from files.

A hypervisor that wants to stay unseen, or gives the guest no firmware tables, does stay unseen.
"""

from __future__ import annotations

import os
import platform

from onnxbench.probes import cpu
from onnxbench.probes.kernel import LIVE, Kernel

# A field of /proc/cpuinfo that no processor of this architecture has.
_FOREIGN_FIELD = {
    **dict.fromkeys(("aarch64", "arm64"), "vendor_id"),
    **dict.fromkeys(("x86_64", "amd64", "i686"), "CPU implementer"),
}

# Substrings of the DMI vendor and product names, as systemd-detect-virt knows them.
_FIRMWARE = (
    ("Amazon EC2", "amazon"),
    ("Google Compute Engine", "google"),
    ("VMware", "vmware"),
    ("VirtualBox", "virtualbox"),
    ("Microsoft Corporation Virtual Machine", "hyper-v"),
    ("Parallels", "parallels"),
    ("OpenStack", "kvm"),
    ("KVM", "kvm"),
    ("QEMU", "qemu"),
    ("Xen", "xen"),
    ("BHYVE", "bhyve"),
    ("Apple Virtualization", "apple"),
)


_CONTAINER_FILES = (
    ("/run/.containerenv", "podman"),
    ("/.dockerenv", "docker"),
    ("/var/run/secrets/kubernetes.io", "kubernetes"),
)


def emulator(kernel: Kernel = LIVE, machine: str | None = None) -> str | None:
    """Return what translates our instructions (``qemu-user``, ``qemu-tcg``, ``rosetta``), or None.

    ``machine``: the architecture that we were told, by default `platform.machine`.
    """
    arch = (machine or platform.machine()).lower()
    if _interpreter_is_qemu(kernel):
        return "qemu-user"
    block = cpu.first_processor(kernel)
    name = block.get("model name", "")
    if "VirtualApple" in block.get("vendor_id", "") + name:
        return "rosetta"
    # Older versions of qemu-user show the cpuinfo of the host to a guest of another architecture.
    if _FOREIGN_FIELD.get(arch) in block:
        return "qemu-user"
    # QEMU's own CPU model without KVM's clock: the TCG compiler runs the whole machine.
    if "QEMU" in name and "kvm-clock" not in clocksources(kernel):
        return "qemu-tcg"
    # On ARM its model `max` has the implementer that is reserved for software.
    return "qemu-tcg" if block.get("CPU implementer") == "0x00" else None


def hypervisor(kernel: Kernel = LIVE) -> str | None:
    """Return the name of the hypervisor below us, ``unknown`` if there is one without a name.

    None: no sign of one, which is not a proof.
    """
    if kind := kernel.text("/sys/hypervisor/type"):
        return kind
    firmware = " ".join(
        kernel.text(f"/sys/class/dmi/id/{name}") or ""
        for name in ("sys_vendor", "product_name", "bios_vendor", "board_vendor")
    )
    for mark, name in _FIRMWARE:
        if mark in firmware:
            return name
    if "kvm-clock" in clocksources(kernel):
        return "kvm"
    if "hyperv_clocksource_tsc_page" in clocksources(kernel):
        return "hyper-v"
    if kernel.text("/proc/device-tree/hypervisor/compatible"):
        return "kvm"
    flags = cpu.first_processor(kernel).get("flags", "").split()
    return "unknown" if "hypervisor" in flags else None


def container(kernel: Kernel = LIVE) -> str | None:
    """Return the kind of container around us (``docker``, ``podman``, ``wsl`` …), or None."""
    for mark, name in _CONTAINER_FILES:
        if kernel.exists(mark):
            return name
    if told := kernel.text("/run/systemd/container"):
        return told
    groups = kernel.text("/proc/self/cgroup") or ""
    for mark in ("kubepods", "docker", "containerd", "lxc"):
        if mark in groups:
            return mark
    return "wsl" if "microsoft" in (kernel.text("/proc/version") or "").lower() else None


def clocksources(kernel: Kernel = LIVE) -> list[str]:
    """Return the counters the kernel could tell time by; a hypervisor's own gives it away."""
    base = "/sys/devices/system/clocksource/clocksource0"
    return (kernel.text(f"{base}/available_clocksource") or "").split()


def _interpreter_is_qemu(kernel: Kernel) -> bool:
    # qemu-user answers /proc/self/exe itself, but not the same link by way of the thread.
    real = kernel.link(f"/proc/self/task/{os.getpid()}/exe") or ""
    return os.path.basename(real).startswith("qemu-")
