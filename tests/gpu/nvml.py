"""NVIDIA's management library through its C interface (nvml.h): what a test reads, never sets."""

from __future__ import annotations

import ctypes
from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


class _Memory(ctypes.Structure):
    """``nvmlMemory_t``, bytes."""

    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


class Nvml:
    """Device ``index``; without the library the test is skipped with the reason."""

    def __init__(self, index: int = 0) -> None:
        try:
            self._library = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError as error:
            pytest.skip(f"no NVML: {error}")
        self._device = ctypes.c_void_p()
        self._call("initialise", partial(self._library.nvmlInit_v2))
        handle = self._library.nvmlDeviceGetHandleByIndex_v2
        self._call("find the device", partial(handle, index, ctypes.byref(self._device)))

    def energy_mj(self) -> int:
        """Return the millijoules since the driver was loaded."""
        found = ctypes.c_ulonglong()
        read = self._library.nvmlDeviceGetTotalEnergyConsumption
        self._call("read energy", partial(read, self._device, ctypes.byref(found)))
        return found.value

    def used_bytes(self) -> int:
        """Return the memory of the device that is in use, by all processes."""
        found = _Memory()
        read = self._library.nvmlDeviceGetMemoryInfo
        self._call("read memory", partial(read, self._device, ctypes.byref(found)))
        return int(found.used)

    @staticmethod
    def _call(what: str, call: Callable[[], int]) -> None:
        if code := call():
            pytest.skip(f"NVML cannot {what}: error {code}")
