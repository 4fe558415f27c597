"""Which machine this is: an id that gives nothing away, this boot, the device, the environment."""

from __future__ import annotations

import hashlib
import platform
import socket
import uuid

from onnxbench.probes import cpu, virtual
from onnxbench.probes.kernel import LIVE, Kernel
from onnxbench.types import Device


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


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(["onnxbench", *parts]).encode()).hexdigest()[:16]
