from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from onnxbench.probes import heat, power

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onnxbench.probes.kernel import Kernel

    Tree = Callable[[Mapping[str, str | bytes]], Kernel]

ZONE = "/sys/class/thermal/thermal_zone0"
MONITOR = "/sys/class/hwmon/hwmon2"
SUPPLY = "/sys/class/power_supply"


def supplies(**devices: dict[str, str]) -> dict[str, str]:
    return {
        f"{SUPPLY}/{name}/{field}": value
        for name, fields in devices.items()
        for field, value in fields.items()
    }


def test_a_zone_with_trip_points(tree: Tree) -> None:
    kernel = tree(
        {
            f"{ZONE}/type": "cpu-thermal",
            f"{ZONE}/temp": "61500",
            f"{ZONE}/trip_point_0_type": "active",
            f"{ZONE}/trip_point_0_temp": "50000",
            f"{ZONE}/trip_point_1_type": "passive",
            f"{ZONE}/trip_point_1_temp": "80000",
            f"{ZONE}/trip_point_2_type": "critical",
            f"{ZONE}/trip_point_2_temp": "110000",
        }
    )
    assert heat.temperatures(kernel) == [("cpu-thermal", 61.5, 80.0)]
    assert heat.headroom_celsius(kernel) == pytest.approx(18.5)


def test_a_hardware_monitor(tree: Tree) -> None:
    kernel = tree(
        {
            f"{MONITOR}/name": "coretemp",
            f"{MONITOR}/temp1_input": "90000",
            f"{MONITOR}/temp1_label": "Package id 0",
            f"{MONITOR}/temp1_crit": "100000",
            f"{MONITOR}/temp2_input": "garbage",
            "/sys/class/hwmon/hwmon3/name": "nvme",
            "/sys/class/hwmon/hwmon3/temp1_input": "40000",
        }
    )
    assert heat.temperatures(kernel) == [("coretemp Package id 0", 90.0, 100.0)]
    assert heat.headroom_celsius(kernel) == pytest.approx(10.0)


def test_a_sensor_without_a_limit_gives_no_headroom(tree: Tree) -> None:
    kernel = tree({f"{ZONE}/temp": "40000"})
    assert heat.temperatures(kernel) == [("thermal_zone0", 40.0, None)]
    assert heat.headroom_celsius(kernel) is None


MAINS = {"type": "Mains", "online": "1"}
UNPLUGGED = {"type": "Mains", "online": "0"}
DRAINING = {"type": "Battery", "status": "Discharging"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (supplies(AC=MAINS), "ac"),
        (supplies(AC=UNPLUGGED, BAT0=DRAINING), "battery"),
        (supplies(AC=MAINS, BAT0=DRAINING), "ac"),
        (supplies(BAT0={"type": "Battery", "status": "Full"}), "ac"),
        (supplies(mouse={**DRAINING, "scope": "Device"}), None),
        (supplies(ucsi={"type": "USB", "online": "1"}, BAT0=DRAINING), "ac"),
    ],
)
def test_power_source(tree: Tree, files: dict[str, str], expected: str | None) -> None:
    assert power.source(tree(files)) == expected
