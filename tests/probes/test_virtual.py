from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from onnxbench.probes import virtual

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from onnxbench.probes.kernel import Kernel

    Tree = Callable[[Mapping[str, str | bytes]], Kernel]

DMI = "/sys/class/dmi/id"
CLOCKS = "/sys/devices/system/clocksource/clocksource0/available_clocksource"
X86 = "processor : 0\nvendor_id : GenuineIntel\nmodel name : Intel Xeon\nflags : fpu avx2"
QEMU = "processor : 0\nvendor_id : AuthenticAMD\nmodel name : QEMU Virtual CPU version 2.5+"
ARM = "processor : 0\nCPU implementer : 0x41\nCPU part : 0xd08"


@pytest.mark.parametrize(
    ("files", "machine", "expected"),
    [
        ({"/proc/cpuinfo": X86}, "x86_64", None),
        ({"/proc/cpuinfo": ARM}, "aarch64", None),
        ({"/proc/cpuinfo": X86}, "aarch64", "qemu-user"),
        ({"/proc/cpuinfo": ARM}, "x86_64", "qemu-user"),
        ({"/proc/cpuinfo": X86}, "riscv64", None),
        ({"/proc/cpuinfo": QEMU}, "x86_64", "qemu-tcg"),
        ({"/proc/cpuinfo": QEMU, CLOCKS: "kvm-clock tsc"}, "x86_64", None),
        ({"/proc/cpuinfo": ARM.replace("0x41", "0x00")}, "aarch64", "qemu-tcg"),
        ({"/proc/cpuinfo": X86.replace("GenuineIntel", "VirtualApple")}, "x86_64", "rosetta"),
        ({}, "x86_64", None),
    ],
)
def test_emulators(tree: Tree, files: dict[str, str], machine: str, expected: str | None) -> None:
    assert virtual.emulator(tree(files), machine) == expected


def test_an_interpreter_that_runs_under_qemu(tree: Tree, tmp_path: Path) -> None:
    kernel = tree({"/proc/cpuinfo": ARM})
    link = tmp_path / f"proc/self/task/{os.getpid()}/exe"
    link.parent.mkdir(parents=True)
    link.symlink_to("/usr/bin/qemu-aarch64-static")
    assert virtual.emulator(kernel, "aarch64") == "qemu-user"


def test_this_machine_is_not_emulated() -> None:
    assert virtual.emulator() is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"/sys/hypervisor/type": "xen"}, "xen"),
        ({f"{DMI}/sys_vendor": "Amazon EC2"}, "amazon"),
        ({f"{DMI}/sys_vendor": "QEMU", f"{DMI}/product_name": "Standard PC"}, "qemu"),
        (
            {
                f"{DMI}/sys_vendor": "Microsoft Corporation",
                f"{DMI}/product_name": "Virtual Machine",
            },
            "hyper-v",
        ),
        ({f"{DMI}/sys_vendor": "Microsoft Corporation", f"{DMI}/product_name": "Surface"}, None),
        ({CLOCKS: "kvm-clock tsc acpi_pm"}, "kvm"),
        ({CLOCKS: "tsc hpet acpi_pm"}, None),
        ({"/proc/cpuinfo": X86 + " hypervisor"}, "unknown"),
        ({"/proc/cpuinfo": X86}, None),
    ],
)
def test_hypervisors(tree: Tree, files: dict[str, str], expected: str | None) -> None:
    assert virtual.hypervisor(tree(files)) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"/.dockerenv": ""}, "docker"),
        ({"/.dockerenv": "", "/run/.containerenv": ""}, "podman"),
        ({"/run/systemd/container": "lxc"}, "lxc"),
        ({"/proc/self/cgroup": "0::/kubepods.slice/pod1"}, "kubepods"),
        ({"/proc/self/cgroup": "0::/user.slice/session-1.scope"}, None),
        ({"/proc/version": "Linux version 5.15.0-microsoft-standard-WSL2"}, "wsl"),
    ],
)
def test_containers(tree: Tree, files: dict[str, str], expected: str | None) -> None:
    assert virtual.container(tree(files)) == expected
