"""What NVIDIA's driver says of a device, through its C interface (CUDA Driver API, cuda.h).

ONNX Runtime tells nothing of the device it computes on. Not run yet: no CUDA device was at hand.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.types import JsonObject

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
_TF32_SINCE = 8  # the first compute capability with TF32 (Ampere)


@cache
def describe(index: int) -> JsonObject:
    """Return name, compute capability and driver version of device ``index``, or why not."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError as error:
        return {"reason": str(error)}
    device, version = ctypes.c_int(), ctypes.c_int()
    major, minor = ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    calls: tuple[Callable[[], int], ...] = (
        partial(driver.cuInit, 0),
        partial(driver.cuDriverGetVersion, ctypes.byref(version)),
        partial(driver.cuDeviceGet, ctypes.byref(device), index),
        partial(driver.cuDeviceGetName, name, len(name), device),
        partial(driver.cuDeviceGetAttribute, ctypes.byref(major), _MAJOR, device),
        partial(driver.cuDeviceGetAttribute, ctypes.byref(minor), _MINOR, device),
    )
    for call in calls:
        if code := call():
            return {"reason": f"the driver answers with error {code}"}
    return {
        "name": name.value.decode("utf-8", "replace"),
        "compute_capability": f"{major.value}.{minor.value}",
        "driver": f"{version.value // 1000}.{version.value % 1000 // 10}",
    }


def has_tf32(index: int) -> bool | None:
    """Tell whether device ``index`` can multiply in TF32; None where the driver does not say."""
    capability = describe(index).get("compute_capability")
    return None if capability is None else int(capability.partition(".")[0]) >= _TF32_SINCE
