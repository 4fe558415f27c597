"""Which machine this is: an id that gives nothing away, this boot, the device, the environment."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import uuid
from typing import TYPE_CHECKING

from onnxbench.probes import cpu, facts, heat, memory, power, processor, software, virtual
from onnxbench.probes.kernel import LIVE, Kernel
from onnxbench.types import Device

if TYPE_CHECKING:
    from onnxbench.probes.facts import Fact
    from onnxbench.types import JsonObject


def host_id(kernel: Kernel = LIVE) -> str:
    """Return 16 hex digits that stay the same for this machine and reveal nothing about it.

    A digest of the machine id, 128 random bits that `man 5 machine-id` asks to keep confidential
    and to hash with a name of the application's own, and of the host name, because cloned images
    often keep one machine id. Calling one host two costs a repeated measurement; calling two hosts
    one would pool their numbers. Where there is no machine id the network card's address stands
    in; that is stable too, but someone who guesses name and address could confirm the guess.
    """
    machine = kernel.text("/etc/machine-id") or kernel.text("/var/lib/dbus/machine-id")
    if not machine or machine == "uninitialized":
        machine = f"{uuid.getnode():012x}"
    return _digest("host", machine, socket.gethostname())


def boot_id(kernel: Kernel = LIVE) -> str | None:
    """Return 16 hex digits that change with every boot; None where the kernel has no such id."""
    boot = kernel.text("/proc/sys/kernel/random/boot_id")
    return None if boot is None else _digest("boot", boot)


def device(kernel: Kernel = LIVE) -> Device:
    """Return this machine's processor as the device of a cell."""
    return Device(
        kind="cpu",
        name=cpu.model_name(kernel),
        arch=platform.machine().lower() or "unknown",
        emulated=virtual.emulator(kernel) is not None,
    )


def environment(kernel: Kernel = LIVE) -> JsonObject:
    """Return what may make the same cell faster or slower here than elsewhere.

    An allow-list: sections ``host``, ``cpu``, ``memory``, ``kernel``, ``software``, and
    ``reasons``, which says for every None (``"cpu.governor"``) why it is one. No user name, host
    name, serial number or variable outside `software.RECORDED_VARIABLES` is in it.
    """
    return facts.document(
        {
            "host": _host_facts(kernel),
            "cpu": processor.facts(kernel),
            "memory": memory.facts(kernel),
            "kernel": _kernel_facts(kernel),
            "software": {
                "python": (software.python(), ""),
                "libc": (software.libc(), "the platform does not say"),
                "variables": (software.recorded_variables(), ""),
            },
        }
    )


def _host_facts(kernel: Kernel) -> dict[str, Fact]:
    uptime = (kernel.text("/proc/uptime") or "").partition(" ")[0]
    sensors = [sensor._asdict() for sensor in heat.temperatures(kernel)]
    return {
        "id": (host_id(kernel), ""),
        "boot_id": (boot_id(kernel), "this kernel has no boot id"),
        "uptime_s": (_number(uptime), "no /proc/uptime"),
        "load_average": (
            list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
            "this platform has none",
        ),
        "board": (kernel.text("/proc/device-tree/model"), "no device tree"),
        "emulator": (virtual.emulator(kernel), "no sign of one"),
        "hypervisor": (virtual.hypervisor(kernel), "no sign of one"),
        "container": (virtual.container(kernel), "no sign of one"),
        "temperatures": (sensors or None, "no sensor of the processor is shown here"),
        "power_source": (power.source(kernel), "no power supply is listed here"),
    }


def _kernel_facts(kernel: Kernel) -> dict[str, Fact]:
    untold = "not told by this kernel"
    return {
        "system": (platform.system() or None, untold),
        "release": (platform.release() or None, untold),
        "version": (platform.version() or None, untold),
        "mitigations": (software.mitigations(kernel), untold),
        "huge_pages": (software.huge_pages(kernel), untold),
        "aslr": (software.address_randomization(kernel), untold),
        "clocksource": (software.clocksource(kernel), untold),
    }


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(["onnxbench", *parts]).encode()).hexdigest()[:16]
