"""NVIDIA's management library, called through ctypes: it comes with the driver, no package needed.

Names and layouts are those of ``nvml.h``, NVML API reference (docs.nvidia.com/deploy/nvml-api).
No CUDA context is made, so nothing here takes memory of a device.
"""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_int, c_uint, c_ulonglong, c_void_p

LIBRARY = "libnvidia-ml.so.1"

_TEXT_BYTES = 96
"""NVML_DEVICE_NAME_V2_BUFFER_SIZE and NVML_DEVICE_UUID_V2_BUFFER_SIZE."""

_INSUFFICIENT_SIZE = 7
_NOT_AVAILABLE = (1 << 64) - 1
"""NVML_VALUE_NOT_AVAILABLE: a container or a driver model hides the figure."""

_PROCESSES = 256

SM_CLOCK, MEMORY_CLOCK = 1, 2

_THROTTLE_REASONS = {
    0x1: "idle",
    0x2: "applications-clocks-setting",
    0x4: "software-power-cap",
    0x8: "hardware-slowdown",
    0x10: "sync-boost",
    0x20: "software-thermal-slowdown",
    0x40: "hardware-thermal-slowdown",
    0x80: "hardware-power-brake",
    0x100: "display-clock-setting",
}


class Refused(Exception):
    """What NVML does not tell: its own words for why."""


class _Memory(ctypes.Structure):
    _fields_ = (("total", c_ulonglong), ("free", c_ulonglong), ("used", c_ulonglong))


class _Process(ctypes.Structure):
    _fields_ = (
        ("pid", c_uint),
        ("used", c_ulonglong),
        ("gpu_instance", c_uint),
        ("compute_instance", c_uint),
    )


class _Library:
    """The shared library, and what its error codes mean."""

    def __init__(self, path: str) -> None:
        try:
            self._functions = ctypes.CDLL(path)
        except OSError as error:
            raise Refused(str(error)) from error

    def ask(self, name: str, *arguments: object) -> None:
        """Call a function. Raises Refused where it gives an error."""
        code = self.code(name, *arguments)
        if code:
            raise Refused(f"{name}: {self.reason(code)}")

    def code(self, name: str, *arguments: object) -> int:
        """Call a function and return its error code, 0 for none."""
        try:
            function = getattr(self._functions, name)
        except AttributeError as error:
            raise Refused(f"this driver has no {name}") from error
        return int(function(*arguments))

    def text(self, name: str, *arguments: object) -> str:
        """Call a function that fills a buffer with text."""
        text = ctypes.create_string_buffer(_TEXT_BYTES)
        self.ask(name, *arguments, text, c_uint(_TEXT_BYTES))
        return text.value.decode("utf-8", "replace")

    def reason(self, code: int) -> str:
        """Return the words of an error code."""
        try:
            say = self._functions.nvmlErrorString
        except AttributeError:
            return f"error {code}"
        say.restype = c_char_p
        return str((say(c_int(code)) or b"").decode("utf-8", "replace")) or f"error {code}"


class Nvml:
    """The library, initialized. Every method raises Refused where there is no answer."""

    def __init__(self, library: str = LIBRARY) -> None:
        """Load and initialize. Raises Refused: there is no driver, or it is not running."""
        self._library = _Library(library)
        self._library.ask("nvmlInit_v2")

    def driver_version(self) -> str:
        """Return the version of the driver."""
        return self._library.text("nvmlSystemGetDriverVersion")

    def cuda_version(self) -> str:
        """Return the newest CUDA that the driver supports."""
        number = c_int()
        self._library.ask("nvmlSystemGetCudaDriverVersion_v2", byref(number))
        return f"{number.value // 1000}.{number.value % 1000 // 10}"

    def devices(self) -> list[Gpu]:
        """Return all devices, in the order of the PCI bus."""
        count = c_uint()
        self._library.ask("nvmlDeviceGetCount_v2", byref(count))
        found = []
        for index in range(count.value):
            handle = c_void_p()
            self._library.ask("nvmlDeviceGetHandleByIndex_v2", c_uint(index), byref(handle))
            found.append(Gpu(self._library, handle))
        return found


class Gpu:
    """One device. Every method raises Refused where the device, or NVML, does not tell."""

    def __init__(self, library: _Library, handle: c_void_p) -> None:
        self._library = library
        self._handle = handle

    def name(self) -> str:
        """Return what the device calls itself."""
        return self._library.text("nvmlDeviceGetName", self._handle)

    def uuid(self) -> str:
        """Return its serial identity: to be hashed before anybody sees it."""
        return self._library.text("nvmlDeviceGetUUID", self._handle)

    def compute_capability(self) -> str:
        """Return the architecture, such as 9.0."""
        major, minor = c_int(), c_int()
        self._ask("nvmlDeviceGetCudaComputeCapability", byref(major), byref(minor))
        return f"{major.value}.{minor.value}"

    def memory_bytes(self) -> tuple[int, int]:
        """Return (total, used) memory of the device, all processes and the driver together."""
        memory = _Memory()
        self._ask("nvmlDeviceGetMemoryInfo", byref(memory))
        return memory.total, memory.used

    def processes(self) -> dict[int, int | None]:
        """Return the bytes of each process that computes on it, by its id; None where hidden."""
        count, table = c_uint(_PROCESSES), (_Process * _PROCESSES)()
        name = "nvmlDeviceGetComputeRunningProcesses_v3"
        code = self._library.code(name, self._handle, byref(count), table)
        if code and code != _INSUFFICIENT_SIZE:
            raise Refused(f"{name}: {self._library.reason(code)}")
        rows = table[: min(count.value, _PROCESSES)]
        return {row.pid: None if row.used == _NOT_AVAILABLE else row.used for row in rows}

    def power_limit_w(self) -> float:
        """Return the limit that is enforced on its power."""
        return self._number("nvmlDeviceGetEnforcedPowerLimit") / 1e3

    def power_w(self) -> float:
        """Return its power now: on Ampere and later the mean of the last second."""
        return self._number("nvmlDeviceGetPowerUsage") / 1e3

    def energy_j(self) -> float:
        """Return the energy since the driver was loaded. Volta and later."""
        energy = c_ulonglong()
        self._ask("nvmlDeviceGetTotalEnergyConsumption", byref(energy))
        return energy.value / 1e3

    def clock_hz(self, which: int) -> int:
        """Return a clock now: `SM_CLOCK` or `MEMORY_CLOCK`."""
        return self._number("nvmlDeviceGetClockInfo", c_int(which)) * 1_000_000

    def max_clock_hz(self, which: int) -> int:
        """Return the highest value of a clock."""
        return self._number("nvmlDeviceGetMaxClockInfo", c_int(which)) * 1_000_000

    def temperature_c(self) -> int:
        """Return the temperature of the chip."""
        return self._number("nvmlDeviceGetTemperature", c_int(0))

    def persistence(self) -> bool:
        """Tell whether the driver stays loaded while nobody uses the device."""
        return bool(self._number("nvmlDeviceGetPersistenceMode"))

    def throttle_reasons(self) -> list[str]:
        """Return why its clocks are lower than they could be; empty when they are not."""
        bits = c_ulonglong()
        self._ask("nvmlDeviceGetCurrentClocksThrottleReasons", byref(bits))
        return [name for bit, name in _THROTTLE_REASONS.items() if bits.value & bit]

    def _number(self, name: str, *arguments: object) -> int:
        number = c_uint()
        self._ask(name, *arguments, byref(number))
        return number.value

    def _ask(self, name: str, *arguments: object) -> None:
        self._library.ask(name, self._handle, *arguments)
