"""GPUs: what is said where there is none, and, through a stand-in library, how NVML is read.

No machine that runs these tests has an NVIDIA driver. The stand-in is ours; tests/gpu tries the
real thing.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from onnxbench.probes import gpu, nvml
from onnxbench.worker import modes

ABSENT = "libonnxbench-no-such-library.so.1"


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler for the stand-in of NVIDIA's libraries")
    library = tmp_path_factory.mktemp("nvml") / "libstandin.so"
    source = Path(__file__).with_name("nvml_stand_in.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return str(library)


def processes(monkeypatch: pytest.MonkeyPatch, *rows: tuple[int, int]) -> None:
    set_number(monkeypatch, "STAND_IN_PROCESSES", ",".join(f"{pid}:{size}" for pid, size in rows))


def set_number(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    monkeypatch.setenv(name, str(value))  # os.environ reaches getenv of C through putenv


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has an NVIDIA GPU")
def test_here_is_none_and_it_is_said() -> None:
    for value, reason in gpu.facts().values():
        assert value is None
        assert nvml.LIBRARY in reason
    assert gpu.device().name == "CUDA device that NVML does not name"


def test_without_any_library() -> None:
    taken = gpu.DeviceMemory(ABSENT, ABSENT).read()
    assert taken[:2] == (None, None)
    assert ABSENT in taken[2]
    with pytest.raises(nvml.Refused, match=ABSENT):
        nvml.Nvml(ABSENT)


def test_a_library_that_is_another() -> None:
    """A library without the functions is a driver too old, not a crash."""
    other = ctypes.util.find_library("c")
    assert other is not None
    assert gpu.facts(other)["devices"] == (None, "this driver has no nvmlInit_v2")


def test_a_driver_that_does_not_run(stand_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_BROKEN", "1")
    assert gpu.facts(stand_in)["devices"] == (None, "nvmlInit_v2: Driver Not Loaded")


def test_a_device_describes_itself(stand_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_number(monkeypatch, "STAND_IN_USED", 5 << 30)
    processes(monkeypatch, (4, 1 << 30))
    found: Any = gpu.facts(stand_in)
    assert (found["driver"], found["cuda"]) == (("580.1", ""), ("13.1", ""))
    (device,) = found["devices"][0]
    identity = device.pop("id")
    assert len(identity) == 16
    assert "secret" not in str(found)
    assert device == {
        "name": "Stand-in GPU",
        "compute_capability": "9.0",
        "memory_total_bytes": 80_000_000_000,
        "memory_used_bytes": 5 << 30,
        "processes": 1,
        "power_limit_w": 700.0,
        "power_w": 69.5,
        "energy_j": (1 << 40) / 1000,
        "sm_clock_hz": 345_000_000,
        "sm_clock_max_hz": 1_980_000_000,
        "memory_clock_hz": 2_619_000_000,
        "temperature_c": 31,
        "persistence": None,
        "throttle_reasons": ["idle", "hardware-thermal-slowdown"],
        "reasons": {"persistence": "nvmlDeviceGetPersistenceMode: Not Supported"},
    }


def test_the_device_of_a_cell(stand_in: str) -> None:
    device = gpu.device(stand_in)
    assert (device.kind, device.name, device.arch) == ("cuda", "Stand-in GPU", "sm_90")
    assert device.emulated is False


def test_memory_of_this_process_is_believed_first(
    stand_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_number(monkeypatch, "STAND_IN_USED", 100)
    processes(monkeypatch, (1, 50))
    memory = gpu.DeviceMemory(stand_in, ABSENT)
    set_number(monkeypatch, "STAND_IN_USED", 5000)
    processes(monkeypatch, (1, 50), (os.getpid(), 700))
    assert memory.read() == (700, gpu.OF_PROCESS, "")


@pytest.mark.parametrize("own", [(os.getpid(), -1), (99_999_999, 700)])
def test_then_the_growth_of_the_device(
    stand_in: str, monkeypatch: pytest.MonkeyPatch, own: tuple[int, int]
) -> None:
    """A container hides what a process takes, or shows it under another id."""
    set_number(monkeypatch, "STAND_IN_USED", 100)
    processes(monkeypatch)
    memory = gpu.DeviceMemory(stand_in, ABSENT)
    set_number(monkeypatch, "STAND_IN_USED", 5000)
    processes(monkeypatch, own)
    assert memory.read() == (4900, gpu.OF_DEVICE, "")


def test_the_growth_counts_only_without_others(
    stand_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes(monkeypatch, (1, 50))
    memory = gpu.DeviceMemory(stand_in, ABSENT)
    found, source, reason = memory.read()
    assert (found, source) == (None, None)
    assert "NVML does not tell the memory of this process" in reason
    assert "other processes use the device" in reason


def test_an_id_that_was_there_before_is_not_ours(
    stand_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes(monkeypatch, (os.getpid(), 50))
    found, _, reason = gpu.DeviceMemory(stand_in, ABSENT).read()
    assert found is None
    assert "another namespace" in reason


def test_without_nvml_what_cuda_has_free(stand_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_number(monkeypatch, "STAND_IN_FREE", 9000)
    memory = gpu.DeviceMemory(ABSENT, stand_in)
    set_number(monkeypatch, "STAND_IN_FREE", 2000)
    assert memory.read() == (7000, gpu.OF_CUDA, "")


def test_a_child_tells_device_memory_for_cuda_alone(
    stand_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_cpu = modes.Baseline("cpu").memory()
    assert (on_cpu["device_bytes"], on_cpu["device_reason"]) == (None, "the device is the CPU")
    real = gpu.DeviceMemory
    monkeypatch.setattr(gpu, "DeviceMemory", partial(real, stand_in, ABSENT))
    set_number(monkeypatch, "STAND_IN_USED", 100)
    baseline = modes.Baseline("cuda")
    processes(monkeypatch, (os.getpid(), 700))
    told = baseline.memory()
    assert (told["device_bytes"], told["device_bytes_source"]) == (700, gpu.OF_PROCESS)
    assert "device_reason" not in told
    monkeypatch.setattr(gpu, "DeviceMemory", partial(real, ABSENT, ABSENT))
    nothing = modes.Baseline("cuda").memory()
    assert nothing["device_bytes"] is None
    assert ABSENT in nothing["device_reason"]
