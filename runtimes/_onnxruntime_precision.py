"""In which type kernels of ONNX Runtime compute: as their inputs say, or in less than that."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench.runtimes import _onnxruntime_cuda as cuda
from onnxbench.runtimes import _onnxruntime_options as options
from onnxbench.runtimes._onnxruntime_profiles import CPU_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.runtimes._onnxruntime_profiles import ProviderProfile
    from onnxbench.runtimes._onnxruntime_session import Opened

FAST_MATH = "mlas.enable_gemm_fastmath_arm64_bfloat16"

PACKED = "MatMulNBits"
"""Products with weights of few bits; the session may round their floats to INT8."""

NAMES = {"float": "float32", "double": "float64", "uint8": "int8"}
"""Type of a kernel's inputs → precision, where the two are spelled differently."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How to name the type that heavy kernels compute in.

    ``lowered``: precision of matrix products and convolutions whose inputs have a type, by
    provider and type. ``silent``: providers whose kernels are fused and whose input types therefore
    prove nothing; → the precision that they were told and that they accepted, "" if none.
    ``rounds_packed``: whether `PACKED` may round its floats, which it does not say.
    """

    lowered: Mapping[tuple[str, str], str] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)
    rounds_packed: bool = False

    def of(self, provider: str, kind: str, *, heavy: bool, quantized: bool) -> str | None:
        """Return the precision of a kernel of ``provider`` with inputs of type ``kind``."""
        if kind == PACKED:
            return None if self.rounds_packed else "float32"
        if provider in self.silent:
            return None if quantized else self.silent[provider] or None
        if heavy and (provider, kind) in self.lowered:
            return self.lowered[provider, kind]
        return NAMES.get(kind, kind)


def naming(profile: ProviderProfile, session: Any, opened: Opened, device: int) -> Naming:
    """Return the naming for ``session``, from what it says of its options."""
    if profile.compiles:
        return Naming(silent={opened.provider: _told(profile, opened)})
    if opened.provider == "CUDAExecutionProvider":
        answered = session.get_provider_options().get(opened.provider, {})
        if _computes_in_tf32(answered.get("use_tf32", "1"), device):
            return Naming(lowered={(opened.provider, "float"): "tf32"})
    if opened.provider == CPU_PROVIDER:
        fast = {(CPU_PROVIDER, "float"): "bfloat16"} if _has_fast_math(session) else {}
        return Naming(lowered=fast, rounds_packed=_rounds_packed(session))
    return Naming()


def untold(profile: ProviderProfile, opened: Opened) -> str:
    """Return why the precision may not be known, "" if it is in any case."""
    if not profile.compiles:
        is_open = opened.provider == CPU_PROVIDER and _rounds_packed(opened.session)
        return f"{PACKED} does not say whether it rounds floats to INT8" if is_open else ""
    if _told(profile, opened):
        return ""
    return f"{opened.provider} fuses its nodes and does not say in which type it computes"


def has_assignment(session: Any) -> bool:
    """Tell whether ``session`` can say which provider each node was assigned to (since 1.24)."""
    return hasattr(session, "get_provider_graph_assignment_info")


def _told(profile: ProviderProfile, opened: Opened) -> str:
    """Return the precision that OpenVINO's provider was told and took, "" otherwise.

    It refuses what its device cannot do (BF16 on a CPU), so that FP32 is what it computes in; but
    ACCURACY, or nothing, leaves it to the graph and the device.
    """
    told = opened.told.get("precision", "") if profile.name == "openvino-ep" else ""
    return {"FP32": "float32", "FP16": "float16"}.get(told, "")


def _computes_in_tf32(effective: str, device: int) -> bool:
    """Tell whether float32 products run in TF32: allowed, not overruled, and in the hardware."""
    allowed = options.is_on(effective) and os.environ.get("NVIDIA_TF32_OVERRIDE") != "0"
    return allowed and cuda.has_tf32(device) is not False


def _rounds_packed(session: Any) -> bool:
    """Tell whether products with packed weights may round: level 1 is float32, the default is not.

    (onnxruntime_session_options_config_keys.h, kOrtSessionOptionsQDQMatMulNBitsAccuracyLevel.)
    """
    return options.entry(session.get_session_options(), options.ACCURACY_LEVEL) != "1"


def _has_fast_math(session: Any) -> bool:
    """Tell whether float32 products run in bfloat16 on this ARM processor (Armv8.6 BF16)."""
    if platform.machine().lower() not in ("aarch64", "arm64"):
        return False
    try:
        if session.get_session_options().get_session_config_entry(FAST_MATH) != "1":
            return False
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except Exception:  # noqa: BLE001 - the runtime raises its own Fail for a key that is not set
        return False
    features = (line for line in text.splitlines() if line.startswith("Features"))
    return any("bf16" in line.split() for line in features)
