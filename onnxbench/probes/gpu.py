"""GPUs as NVIDIA's driver tells of them, and the device memory of this process.

Not tried on a device yet: docs/gpu-status.md.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from ctypes import byref, c_int, c_size_t, c_void_p
from typing import TYPE_CHECKING, TypeVar

from onnxbench.probes import nvml
from onnxbench.types import Device

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.probes.facts import Fact
    from onnxbench.types import JsonObject

    Answer = TypeVar("Answer")

CUDA_LIBRARY = "libcuda.so.1"

OF_PROCESS = "nvml-process"
OF_DEVICE = "nvml-device-growth"
OF_CUDA = "cuda-free-growth"
"""Where a figure of device memory comes from, the better source first (docs/method.md)."""


def facts(library: str = nvml.LIBRARY) -> dict[str, Fact]:
    """Return the section ``gpu`` of the environment; a device has ``reasons`` of its own."""
    try:
        found = nvml.Nvml(library)
        devices = [_described(gpu) for gpu in found.devices()]
    except nvml.Refused as refused:
        return dict.fromkeys(("driver", "cuda", "devices"), (None, str(refused)))
    return {
        "driver": _told(found.driver_version),
        "cuda": _told(found.cuda_version),
        "devices": (devices, ""),
    }


def device(library: str = nvml.LIBRARY) -> Device:
    """Return the device of a cell whose runtime computes through CUDA.

    Which of several a runtime takes is up to its options and ``CUDA_VISIBLE_DEVICES``: if they
    are of different kinds, the name has them all.
    """
    try:
        gpus = nvml.Nvml(library).devices()
        names = [gpu.name() for gpu in gpus]
        kinds = [f"sm_{gpu.compute_capability().replace('.', '')}" for gpu in gpus]
    except nvml.Refused:
        names = kinds = []
    return Device(
        kind="cuda",
        name=" or ".join(dict.fromkeys(names)) or "CUDA device that NVML does not name",
        arch=" or ".join(dict.fromkeys(kinds)) or "unknown",
    )


class DeviceMemory:
    """Memory of all devices that this process takes after this object was made.

    Sources in the order in which they are believed: what NVML says of this process; what the
    devices' used memory has grown by, while nobody else uses them; what the free memory that
    CUDA tells has shrunk by, where there is no NVML. To be made before the runtime makes its
    context, which counts for the first two sources and not for the third.
    """

    def __init__(self, library: str = nvml.LIBRARY, cuda: str = CUDA_LIBRARY) -> None:
        self._gpus: list[nvml.Gpu] = []
        self._cuda = cuda
        self._free: int | None = None
        self._refusals: list[str] = []
        try:
            self._gpus = nvml.Nvml(library).devices()
            self._used, self._others = _used_bytes(self._gpus), _clients(self._gpus)
        except nvml.Refused as refused:
            self._gpus = []
            self._refusals.append(str(refused))
            self._free, reason = _told(lambda: _cuda_free_bytes(cuda))
            self._refusals += [reason] if reason else []

    def read(self) -> tuple[int | None, str | None, str]:
        """Return bytes, their source, and why there are none."""
        refusals = list(self._refusals)
        for source, ask in (
            (OF_PROCESS, self._of_process),
            (OF_DEVICE, self._of_device),
            (OF_CUDA, self._of_cuda),
        ):
            found, reason = _told(ask)
            if found is not None:
                return found, source, ""
            refusals += [reason] if reason else []
        return None, None, "; ".join(dict.fromkeys(refusals))

    def _of_process(self) -> int:
        mine = os.getpid()
        if not self._gpus:
            raise nvml.Refused("")
        if mine in self._others:
            raise nvml.Refused("NVML counts processes in another namespace than ours")
        taken = [gpu.processes().get(mine, 0) for gpu in self._gpus]
        known = [each for each in taken if each is not None]
        if len(known) < len(taken) or not any(known):
            raise nvml.Refused("NVML does not tell the memory of this process")
        return sum(known)

    def _of_device(self) -> int:
        if not self._gpus:
            raise nvml.Refused("")
        if self._others or len(_clients(self._gpus)) > 1:
            raise nvml.Refused("other processes use the device")
        return max(0, _used_bytes(self._gpus) - self._used)

    def _of_cuda(self) -> int:
        if self._free is None:
            raise nvml.Refused("")
        return max(0, self._free - _cuda_free_bytes(self._cuda))


def _described(gpu: nvml.Gpu) -> JsonObject:
    """Return what a device tells of itself, with a reason for each figure that it does not."""
    questions: dict[str, Callable[[], object]] = {
        "name": gpu.name,
        "id": lambda: hashlib.sha256(f"onnxbench\0gpu\0{gpu.uuid()}".encode()).hexdigest()[:16],
        "compute_capability": gpu.compute_capability,
        "memory_total_bytes": lambda: gpu.memory_bytes()[0],
        "memory_used_bytes": lambda: gpu.memory_bytes()[1],
        "processes": lambda: len(gpu.processes()),
        "power_limit_w": gpu.power_limit_w,
        "power_w": gpu.power_w,
        "energy_j": gpu.energy_j,
        "sm_clock_hz": lambda: gpu.clock_hz(nvml.SM_CLOCK),
        "sm_clock_max_hz": lambda: gpu.max_clock_hz(nvml.SM_CLOCK),
        "memory_clock_hz": lambda: gpu.clock_hz(nvml.MEMORY_CLOCK),
        "temperature_c": gpu.temperature_c,
        "persistence": gpu.persistence,
        "throttle_reasons": gpu.throttle_reasons,
    }
    answers = {name: _told(ask) for name, ask in questions.items()}
    return {
        **{name: value for name, (value, _) in answers.items()},
        "reasons": {name: reason for name, (value, reason) in answers.items() if value is None},
    }


def _told(ask: Callable[[], Answer]) -> tuple[Answer | None, str]:
    """Return the answer, or None and why there is none."""
    try:
        return ask(), ""
    except nvml.Refused as refused:
        return None, str(refused)


def _used_bytes(gpus: list[nvml.Gpu]) -> int:
    return sum(gpu.memory_bytes()[1] for gpu in gpus)


def _clients(gpus: list[nvml.Gpu]) -> set[int]:
    """Return the processes that compute on any of ``gpus``."""
    return {pid for gpu in gpus for pid in gpu.processes()}


def _cuda_free_bytes(library: str) -> int:
    """Return the free memory of CUDA's first device: a context is made for it, or shared.

    CUDA driver API: cuDevicePrimaryCtxRetain, cuMemGetInfo. The context is given back, so that
    the runtime's own start still makes one. Raises Refused.
    """
    try:
        cuda = ctypes.CDLL(library)
    except OSError as error:
        raise nvml.Refused(str(error)) from error

    def ask(name: str, *arguments: object) -> None:
        code = getattr(cuda, name)(*arguments)
        if code:
            raise nvml.Refused(f"{name}: CUDA error {code}")

    ordinal, context, free, total = c_int(), c_void_p(), c_size_t(), c_size_t()
    ask("cuInit", 0)
    ask("cuDeviceGet", byref(ordinal), 0)
    ask("cuDevicePrimaryCtxRetain", byref(context), ordinal)
    try:
        ask("cuCtxPushCurrent_v2", context)
        try:
            ask("cuMemGetInfo_v2", byref(free), byref(total))
        finally:
            ask("cuCtxPopCurrent_v2", byref(context))
    finally:
        ask("cuDevicePrimaryCtxRelease_v2", ordinal)
    return free.value
