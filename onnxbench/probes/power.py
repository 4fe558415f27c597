"""Where the electricity comes from."""

from __future__ import annotations

from typing import Literal

from onnxbench.probes.kernel import LIVE, Kernel


def source(kernel: Kernel = LIVE) -> Literal["ac", "battery"] | None:
    """Return what feeds this machine; None when no supply is listed, as on most servers.

    Linux Documentation/ABI/testing/sysfs-class-power.
    """
    base = "/sys/class/power_supply"
    supplies = [
        {
            name: kernel.text(f"{base}/{supply}/{name}")
            for name in ("type", "scope", "online", "status")
        }
        for supply in kernel.names(base)
    ]
    # The battery of a mouse or a headset has the scope Device.
    own = [supply for supply in supplies if supply["scope"] != "Device"]
    if any(supply["type"] != "Battery" and supply["online"] == "1" for supply in own):
        return "ac"
    batteries = [supply for supply in own if supply["type"] == "Battery"]
    if any(battery["status"] == "Discharging" for battery in batteries):
        return "battery"
    return "ac" if batteries else None
