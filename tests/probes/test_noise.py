from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from onnxbench.probes import cpu, noise
from onnxbench.probes.kernel import format_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onnxbench.probes.kernel import Kernel
    from onnxbench.types import LoadDoc

    Tree = Callable[[Mapping[str, str | bytes]], Kernel]

CPU = "/sys/devices/system/cpu"
OURS = cpu.affinity()
CLOCK = "/sys/devices/system/clocksource/clocksource0"
V2 = {
    "/proc/self/cgroup": "0::/",
    "/proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
}


def for_ours(path: str, text: str) -> dict[str, str]:
    return {f"{CPU}/cpu{number}/{path}": text for number in OURS}


def found(kernel: Kernel) -> dict[str, noise.Check]:
    return {check.name: check for check in noise.checks(kernel, window_s=0)}


GOOD = {
    "/proc/cpuinfo": "processor : 0\nflags : fpu",
    **for_ours("cpufreq/scaling_governor", "performance"),
    **for_ours("thermal_throttle/core_throttle_count", "0"),
    f"{CPU}/intel_pstate/no_turbo": "1",
    f"{CPU}/smt/active": "0",
    f"{CPU}/online": format_cpus(OURS),
    **V2,
    "/sys/fs/cgroup/cpu.max": "max 100000",
    "/proc/meminfo": "SwapTotal: 1000 kB\nSwapFree: 1000 kB",
    "/proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0",
    "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    "/proc/sys/kernel/randomize_va_space": "2",
    f"{CLOCK}/current_clocksource": "tsc",
    f"{CLOCK}/available_clocksource": "tsc hpet",
    "/sys/class/thermal/thermal_zone0/temp": "40000",
    "/sys/class/thermal/thermal_zone0/trip_point_0_type": "passive",
    "/sys/class/thermal/thermal_zone0/trip_point_0_temp": "90000",
    "/sys/class/power_supply/AC/type": "Mains",
    "/sys/class/power_supply/AC/online": "1",
}

BAD = {
    "governor": for_ours("cpufreq/scaling_governor", "powersave"),
    "turbo": {f"{CPU}/intel_pstate/no_turbo": "0"},
    "SMT siblings": {
        f"{CPU}/smt/active": "1",
        **for_ours("topology/core_cpus_list", format_cpus((*OURS, OURS[-1] + 1))),
    },
    "affinity": {f"{CPU}/online": format_cpus((*OURS, OURS[-1] + 1))},
    "CPU quota": {"/sys/fs/cgroup/cpu.max": "50000 100000"},
    "swap": {"/proc/meminfo": "SwapTotal: 1000 kB\nSwapFree: 400 kB"},
    "memory pressure": {"/proc/pressure/memory": "some avg10=12.50 avg60=0.00 total=9"},
    "huge pages": {"/sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never"},
    "ASLR": {"/proc/sys/kernel/randomize_va_space": "0"},
    "clock source": {f"{CLOCK}/current_clocksource": "hpet"},
    "temperature": {"/sys/class/thermal/thermal_zone0/temp": "85000"},
    "throttling": for_ours("thermal_throttle/core_throttle_count", "3"),
    "power source": {
        "/sys/class/power_supply/AC/online": "0",
        "/sys/class/power_supply/BAT/type": "Battery",
        "/sys/class/power_supply/BAT/status": "Discharging",
    },
    "virtual machine": {"/sys/hypervisor/type": "xen"},
}


def test_a_quiet_machine(tree: Tree) -> None:
    states = {name: check.state for name, check in found(tree(GOOD)).items()}
    assert {name for name, state in states.items() if state != "ok"} == {"other load", "steal"}
    assert "warn" not in states.values()  # those two: the tree has no /proc/stat


@pytest.mark.parametrize("name", BAD)
def test_each_fault_is_found_alone_and_has_its_cure(tree: Tree, name: str) -> None:
    if name == "SMT siblings" and len(OURS) < 2:
        pytest.skip("one CPU has no sibling")
    checks = found(tree({**GOOD, **BAD[name]}))
    assert {check.name for check in checks.values() if check.state == "warn"} == {name}
    assert checks[name].mend
    assert checks[name].why
    assert checks[name].finding


def test_a_machine_that_tells_nothing(nowhere: Kernel) -> None:
    checks = found(nowhere)
    assert {check.state for check in checks.values()} == {"unknown"}
    assert all(check.finding for check in checks.values())


def test_every_check_is_made_once() -> None:
    names = [check.name for check in noise.checks(window_s=0.02)]
    assert len(names) == len(set(names))
    assert set(names) == {*BAD, "other load", "steal"}


@pytest.mark.parametrize(
    ("values", "states"),
    [
        ({}, ("ok", "ok")),
        ({"foreign_cores": 0.9}, ("warn", "ok")),
        ({"steal_share": 0.05}, ("ok", "warn")),
        ({"foreign_cores": None, "reason": "no"}, ("unknown", "ok")),
        ({"steal_share": None, "reason": "no"}, ("ok", "unknown")),
    ],
)
def test_load_and_steal(values: dict[str, float | str | None], states: tuple[str, str]) -> None:
    now = cast("LoadDoc", {"foreign_cores": 0.0, "steal_share": 0.0, **values})
    checks = (noise._other_load(now), noise._steal(now))
    assert tuple(check.state for check in checks) == states
    assert all(bool(check.mend) == (check.state == "warn") for check in checks)


def test_the_slow_clock_can_be_replaced_only_by_one_that_is_there(tree: Tree) -> None:
    hpet = {f"{CLOCK}/current_clocksource": "hpet"}
    assert "tsc" in found(tree({**GOOD, **hpet}))["clock source"].mend
    only = {**hpet, f"{CLOCK}/available_clocksource": "hpet acpi_pm"}
    assert found(tree({**GOOD, **only}))["clock source"].mend == noise.DEDICATED
