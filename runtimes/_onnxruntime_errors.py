"""What ONNX Runtime says when something does not work, in our terms.

Its errors have classes, but why a provider cannot be made goes to the native log alone.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from onnxbench.errors import InputRefused, NotInstalled, OutOfMemory, Unsupported
from onnxbench.runtimes import _onnxruntime_probe as probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.runtimes._onnxruntime_profiles import ProviderProfile

_REFUSALS = ("Invalid rank for input", "invalid dimensions for input", "out of data bounds")
"""What an IO-binding, whose errors have no class of their own, says of inputs that do not fit."""

_NO_ARRAY = ("No corresponding Numpy type", "non-string numpy arrays", "convertible to Numpy")
"""What is said of values that the Python interface cannot take from or give to numpy."""

_NO_MEMORY = (
    "Failed to allocate memory",
    "bad allocation",
    "bad_alloc",
    "is smaller than requested bytes",
    "cudaErrorMemoryAllocation",
    "CUDA failure 2: out of memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
)

_NO_DEVICE = re.compile(
    r"not available|no CUDA-capable|invalid device ordinal|driver version is insufficient"
    r"|no .*adapter|backend .*fail|No registered plugin EP device",
    re.IGNORECASE,
)
"""Signs that the device is what is missing, not that an option is wrong."""


_NO_REASON = ("Provider configuration is not supported", "Unknown Provider Type", "no reason given")
"""What is said of a provider that this build does not have."""


PROVIDER_FAILED = "Error creating execution provider"
"""What the error of a session says where its plugin provider could not be made."""

_MISSING = re.compile(r"(\S+\.(?:so|dll|dylib)[.\d]*): cannot open shared object")


def translate(error: Exception, during: str) -> Exception:
    """Return ``error`` as one of ours, by its class and, for memory, by its message."""
    text, kind = str(error), type(error).__name__
    if isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY):
        return OutOfMemory(text or "out of memory", "choose a smaller --batch or --shape")
    if any(sign in text for sign in _NO_ARRAY):
        return Unsupported(
            text, "no array holds this type; text and sequences need --boundary host"
        )
    if during != "load" and (kind == "InvalidArgument" or any(s in text for s in _REFUSALS)):
        named = re.search(r"input: (\S+)", text)
        name = named[1] if named else "NAME"
        return InputRefused(
            text, f"give another shape with --shape {name}:1x3x224x224, or real data with --inputs"
        )
    if during == "load" or kind in ("NotImplemented", "InvalidGraph", "EPFail"):
        return Unsupported(f"{kind}: {text}", "the runtime cannot load this model; see the message")
    return error


def provider_refused(profile: ProviderProfile, error: Exception, log: str) -> Exception:
    """Return why ``profile``'s provider could not be made, by ``error`` and the native ``log``."""
    provider = profile.provider
    said = f"{log}\n{error}"
    if invalid := re.search(r"Invalid .* option: (\S+)|Unknown option: (\S+)", said):
        name = invalid[1] or invalid[2]
        hint = "see docs/reference/options.md; this version may not know it yet"
        return Unsupported(f"{provider} has no option {name!r}", hint)
    if missing := _MISSING.search(said):
        others = [name for name in probe.missing_libraries(profile) if name != missing[1]]
        also = f" (nor {', '.join(others)})" if others else ""
        return NotInstalled(
            f"{missing[1]} not found{also}: needed by {provider}",
            _library_hint(profile, [missing[1], *others]),
        )
    reason = _native_reason(log)
    if not reason and not any(sign in str(error) for sign in _NO_REASON):
        reason = _cleared(str(error))
    if not reason:
        distribution, version = probe.installed_build()
        return NotInstalled(
            f"{distribution} {version} does not have {provider}", probe.install_hint(profile)
        )
    message = f"{provider} cannot be made: {reason}"
    if _NO_DEVICE.search(reason):
        return NotInstalled(message, "choose a device that this machine has, or another runtime")
    options = ", ".join(profile.options)
    return Unsupported(message, f"set one of its options with --set: {options}")


def is_library_missing(error: Exception) -> bool:
    """Tell whether a library could not be loaded because another is not there."""
    return _MISSING.search(str(error)) is not None


def heard(call: Callable[[], Any]) -> str:
    """Return what ``call`` writes to the process's standard error, the native part included.

    Whatever it raises is dropped: it is called to hear why it fails.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            call()
        except Exception:  # noqa: BLE001, S110 - it failed before and is to fail again
            pass
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        return file.read().decode("utf-8", "replace")


def _native_reason(log: str) -> str:
    """Return the reason of the first error line of ONNX Runtime's log, without its place in code.

    ``time [E:onnxruntime:Default, file.cc:1 f] path.cc:2 void f(Type) [ERROR] [OpenVINO] reason``.
    """
    plain = re.sub(r"\x1b\[[\d;]*m", "", log)
    line = re.search(r"\[E:onnxruntime:[^\]]*\] (.*)", plain) or re.search(
        r"\[W:onnxruntime:[^\]]*\] (.*)", plain
    )
    if line is None:
        return plain.strip()[-500:]
    return _cleared(line[1])


def _cleared(text: str) -> str:
    """Return what follows the place in the code, the kind of error and the provider's name."""
    reason = re.split(r"\[ERROR\]|\[ONNXRuntimeError\] : \d+ : \w+ :", text)[-1]
    return re.sub(r"^\s*\[[\w-]+\]\s*", "", reason).strip()[:500]


def _library_hint(profile: ProviderProfile, missing: list[str]) -> str:
    hints = [f"{probe.install_hint(profile)}, or name their folders in LD_LIBRARY_PATH"]
    if any(name.startswith("libnvinfer") for name in missing):
        hints.append("install NVIDIA's TensorRT 10")
    if any(name.startswith("libcuda.so") for name in missing):
        hints.append("install NVIDIA's driver")
    return "; ".join(hints)
