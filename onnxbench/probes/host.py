"""Which machine this is: an id that gives nothing away, this boot, the device, the environment."""

from __future__ import annotations

import hashlib
import platform
import re
import socket
import uuid
from typing import TYPE_CHECKING

from onnxbench.probes import cpu, facts, gpu, heat, memory, power, processor, software, virtual
from onnxbench.probes.kernel import LIVE, Kernel
from onnxbench.types import Device

if TYPE_CHECKING:
    from onnxbench.probes.facts import Fact
    from onnxbench.types import JsonObject


def host_id(kernel: Kernel = LIVE) -> str:
    """Return 16 hex digits that stay the same for this machine and reveal nothing about it.

    A digest of the machine id, 128 random bits that `man 5 machine-id` asks to keep confidential
    and to hash with a name of the application's own, and of the host name, because cloned images
    often keep one machine id. Calling one host two (a container that is started anew without
    ``--hostname``) costs a repeated measurement; calling two hosts one would pool their numbers.
    """
    return _digest("host", _machine(kernel), socket.gethostname())


def _machine(kernel: Kernel) -> str:
    """Return the machine's own secret: its id, else what its firmware or network card is called.

    The latter are not random; someone who guesses one of them could confirm the guess.
    """
    for path in (
        "/etc/machine-id",
        "/var/lib/dbus/machine-id",
        "/sys/class/dmi/id/product_uuid",
        "/proc/device-tree/serial-number",
    ):
        told = kernel.text(path)
        if told and told != "uninitialized":
            return told
    node = uuid.getnode()
    # Without a card Python invents a number, anew in each process, and sets this bit in it.
    return "" if node >> 40 & 1 else f"{node:012x}"


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

    An allow-list: sections ``host``, ``cpu``, ``memory``, ``kernel``, ``gpu``, ``software``, and
    ``reasons``, which says for every None (``"cpu.governor"``) why it is one. No user name, host
    name, serial number or variable outside `software.RECORDED_VARIABLES` is in it.
    """
    return facts.document(
        {
            "host": _host_facts(kernel),
            "cpu": processor.facts(kernel),
            "memory": memory.facts(kernel),
            "kernel": _kernel_facts(kernel),
            "gpu": gpu.facts(),
            "software": {
                "python": (software.python(), ""),
                "libc": (software.libc(), "the platform does not say"),
                "variables": (software.recorded_variables(), ""),
            },
        }
    )


def _host_facts(kernel: Kernel) -> dict[str, Fact]:
    uptime = _numbers(kernel.text("/proc/uptime"))
    average = _numbers(kernel.text("/proc/loadavg"))
    sensors = [sensor._asdict() for sensor in heat.temperatures(kernel)]
    return {
        "id": (host_id(kernel), ""),
        "boot_id": (boot_id(kernel), "this kernel has no boot id"),
        "uptime_s": (uptime[0] if uptime else None, "no /proc/uptime"),
        "load_average": (average or None, "no /proc/loadavg"),
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


def _numbers(text: str | None) -> list[float]:
    """Return the decimal fractions in a line."""
    return [float(each) for each in re.findall(r"\d+\.\d+", text or "")]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(["onnxbench", *parts]).encode()).hexdigest()[:16]
