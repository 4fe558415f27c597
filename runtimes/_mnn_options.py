"""How an MNN session is told what it may do, and the little that it says of itself."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from onnxbench.adapting import refused_option
from onnxbench.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.types import JsonObject

MODES: dict[str, dict[str, int]] = {
    "precision": {"normal": 0, "high": 1, "low": 2, "low_bf16": 3},
    "memory": {"normal": 0, "high": 1, "low": 2},
    "power": {"normal": 0, "high": 1, "low": 2},
}
"""Options of a session → what they may be, as MNN numbers them (MNNForwardType.h)."""

NARROWER = {"low": "float16", "low_bf16": "bfloat16"}
"""The type that a precision lets MNN use where the processor has it."""

CPU = {0: "CPU", 13: "CPU with vector extensions"}
"""Numbers of the backends that are this processor: MNN_FORWARD_CPU and its extension."""

_MEMORY, _FLOPS, _BACKENDS, _RESIZE, _THREADS = range(5)


def chosen(precision: str, asked: Mapping[str, str]) -> dict[str, str]:
    """Return the modes that differ from MNN's own defaults.

    ``precision`` ``model`` is MNN's ``high``, which computes in float32 everywhere. Raises
    Unsupported for an option or a value that is not known.
    """
    modes = {"precision": "high"} if precision == "model" else {}
    for name, value in asked.items():
        if name not in MODES:
            raise refused_option("MNN", name, MODES)
        if value.lower() not in MODES[name]:
            raise Unsupported(f"{name}={value!r} is not known", f"one of: {', '.join(MODES[name])}")
        modes[name] = value.lower()
    return modes


def session_config(threads: int, modes: Mapping[str, str]) -> JsonObject:
    """Return what ``createSession`` takes."""
    numbers = {name: MODES[name][value] for name, value in modes.items()}
    return {"backend": "CPU", "numThread": threads, **numbers}


def effective(net: Any, session: Any) -> JsonObject:
    """Return what the session says of itself."""
    return {
        "backend": backend(net, session),
        "numThread": threads(net, session),
        "memory_mb": net.getSessionInfo(session, _MEMORY),
        "mflops": net.getSessionInfo(session, _FLOPS),
    }


def backend(net: Any, session: Any) -> str:
    """Return the name of the backend that the session runs on."""
    number = net.getSessionInfo(session, _BACKENDS)
    return CPU.get(number, f"backend {number}")


def threads(net: Any, session: Any) -> int:
    """Return the number of threads of the session."""
    return _whole(net.getSessionInfo(session, _THREADS))


def is_ready(net: Any, session: Any) -> bool:
    """Tell whether memory is planned and nothing has to be resized."""
    return _whole(net.getSessionInfo(session, _RESIZE)) == 0


def _whole(value: float) -> int:
    """Return the integer whose bits the Python interface hands out as those of a float."""
    number: int = struct.unpack("=i", struct.pack("=f", value))[0]
    return number
