from __future__ import annotations

import getpass
import json
import re
import socket
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from onnxbench.probes import host, software
from onnxbench.probes.kernel import LIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onnxbench.probes.kernel import Kernel
    from onnxbench.types import JsonObject

    Tree = Callable[[Mapping[str, str | bytes]], Kernel]

HEX16 = re.compile(r"[0-9a-f]{16}")


def test_the_host_id_is_stable_and_says_nothing() -> None:
    code = "from onnxbench.probes import host; print(host.host_id(), host.boot_id())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == [host.host_id(), host.boot_id()]
    assert HEX16.fullmatch(host.host_id())
    assert HEX16.fullmatch(host.boot_id() or "")


def test_machine_and_name_both_count(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "one")
    first = host.host_id(tree({"/etc/machine-id": "a" * 32}))
    assert host.host_id(tree({"/etc/machine-id": "b" * 32})) != first
    monkeypatch.setattr(socket, "gethostname", lambda: "two")
    assert host.host_id(tree({"/etc/machine-id": "a" * 32})) != first


@pytest.mark.parametrize("absent", ["", "uninitialized"])
def test_firmware_stands_in_for_a_machine_id(
    tree: Tree, absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uuid, "getnode", lambda: 0x112233445566)
    serial = "/proc/device-tree/serial-number"
    kernel = tree({"/etc/machine-id": absent, serial: b"10000000abcdef01\0"})
    first = host.host_id(kernel)
    assert host.host_id(tree({serial: b"10000000abcdef02\0"})) != first


def test_an_invented_address_is_not_used(nowhere: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = iter([0x01_00_00_00_00_01, 0x01_00_00_00_00_02])  # the multicast bit is set
    monkeypatch.setattr(uuid, "getnode", lambda: next(nodes))
    assert host.host_id(nowhere) == host.host_id(nowhere)


def test_a_boot_has_its_own_id(tree: Tree) -> None:
    path = "/proc/sys/kernel/random/boot_id"
    first = host.boot_id(tree({path: "f2f6fd08-77be-4860-8769-8713fdd34729"}))
    assert host.boot_id(tree({path: "00000000-77be-4860-8769-8713fdd34729"})) != first


def test_the_device_is_this_processor() -> None:
    device = host.device()
    assert device.kind == "cpu"
    assert device.name
    assert device.arch
    assert not device.emulated


def nulls(environment: JsonObject) -> set[str]:
    return {
        f"{section}.{field}"
        for section, fields in environment.items()
        if section != "reasons"
        for field, value in fields.items()
        if value is None
    }


def test_every_null_has_its_reason(nowhere: Kernel) -> None:
    for environment in (host.environment(), host.environment(nowhere)):
        assert set(environment["reasons"]) == nulls(environment)
        assert all(environment["reasons"].values())


def test_the_environment_is_a_document() -> None:
    environment = host.environment()
    assert json.loads(json.dumps(environment, allow_nan=False)) == environment
    assert environment["kernel"]["release"]
    assert environment["cpu"]["affinity_cores"] >= 1
    assert environment["host"]["uptime_s"] > 0
    assert len(environment["host"]["load_average"]) == 3


def test_nothing_private_is_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-tell")
    monkeypatch.setenv("MY_OMP_TOKEN", "do-not-tell")
    text = json.dumps(host.environment())
    secrets = [
        "do-not-tell",
        LIVE.text("/etc/machine-id"),
        LIVE.text("/proc/sys/kernel/random/boot_id"),
    ]
    assert [secret for secret in secrets if secret and secret in text] == []
    names = {socket.gethostname(), getpass.getuser()}
    assert not [name for name in names if json.dumps(name) in text]


@pytest.mark.parametrize(
    "name",
    [
        "OMP_NUM_THREADS",
        "KMP_AFFINITY",
        "MKL_DYNAMIC",
        "MALLOC_ARENA_MAX",
        "LD_PRELOAD",
        "ORT_X",
        "HIP_VISIBLE_DEVICES",
        "VK_ICD_FILENAMES",
        "CXX",
    ],
)
def test_variables_that_change_speed_are_recorded(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "7")
    assert software.recorded_variables()[name] == "7"


@pytest.mark.parametrize("name", ["PATH", "OMP", "XOMP_X", "LD_PRELOADED", "XCUDA_X", "VK_TOKEN"])
def test_other_variables_are_not(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "7")
    assert name not in software.recorded_variables()


def test_mitigations(tree: Tree, nowhere: Kernel) -> None:
    base = "/sys/devices/system/cpu/vulnerabilities"
    kernel = tree(
        {
            f"{base}/meltdown": "Not affected",
            f"{base}/spectre_v1": "Mitigation: usercopy",
            f"{base}/mds": "Vulnerable: no microcode",
        }
    )
    assert software.mitigations(kernel) == {"mitigated": ["spectre_v1"], "vulnerable": ["mds"]}
    assert software.mitigations(nowhere) is None
