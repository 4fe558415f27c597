"""Temperatures of the processor, and how far they are from where it slows down."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from onnxbench.probes.kernel import LIVE, Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

_CPU_SENSORS = {"coretemp", "k10temp", "zenpower", "cpu_thermal"}
"""hwmon drivers of processors; others (disks, network cards) are slow to read and not our heat."""


class Temperature(NamedTuple):
    """One sensor; ``limit_celsius`` is where the hardware or kernel slows down or switches off."""

    sensor: str
    celsius: float
    limit_celsius: float | None


def temperatures(kernel: Kernel = LIVE) -> list[Temperature]:
    """Return what the sensors of the processor say; empty where none is shown.

    Linux Documentation/driver-api/thermal/sysfs-api.rst and hwmon/sysfs-interface.rst.
    """
    return [*_zones(kernel), *_monitors(kernel)]


def headroom_celsius(kernel: Kernel = LIVE) -> float | None:
    """Return the distance of the hottest sensor from its limit; None when no sensor has one."""
    return min(
        (
            each.limit_celsius - each.celsius
            for each in temperatures(kernel)
            if each.limit_celsius is not None
        ),
        default=None,
    )


def _zones(kernel: Kernel) -> Iterator[Temperature]:
    base = "/sys/class/thermal"
    for zone in kernel.names(base):
        now = kernel.integer(f"{base}/{zone}/temp") if zone.startswith("thermal_zone") else None
        if now is None:
            continue
        trips = [
            limit
            for name in kernel.names(f"{base}/{zone}")
            if name.startswith("trip_point_")
            and name.endswith("_type")
            and kernel.text(f"{base}/{zone}/{name}") in ("passive", "hot", "critical")
            and (limit := kernel.integer(f"{base}/{zone}/{name[:-4]}temp")) is not None
            and limit > 0
        ]
        sensor = kernel.text(f"{base}/{zone}/type") or zone
        yield Temperature(sensor, now / 1000, min(trips) / 1000 if trips else None)


def _monitors(kernel: Kernel) -> Iterator[Temperature]:
    base = "/sys/class/hwmon"
    for monitor in kernel.names(base):
        driver = kernel.text(f"{base}/{monitor}/name") or ""
        if driver not in _CPU_SENSORS:
            continue
        for name in kernel.names(f"{base}/{monitor}"):
            if not (name.startswith("temp") and name.endswith("_input")):
                continue
            stem = f"{base}/{monitor}/{name.removesuffix('_input')}"
            now, limit = kernel.integer(f"{stem}_input"), kernel.integer(f"{stem}_crit")
            if now is not None:
                label = kernel.text(f"{stem}_label") or name.removesuffix("_input")
                yield Temperature(f"{driver} {label}", now / 1000, limit / 1000 if limit else None)
