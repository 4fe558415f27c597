"""The device of a cell: what its runtime computes on, never the processor in its place."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from onnxbench.probes import gpu, virtual
from onnxbench.probes.kernel import LIVE, Kernel
from onnxbench.types import Device

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.protocols import RuntimeAdapter

KINDS = ("cpu", "cuda", "rocm", "gpu", "npu", "any")
"""What an adapter may say that it computes on (`onnxbench.protocols.RuntimeAdapter`)."""

_UNNAMED = {"gpu": "unnamed GPU", "npu": "unnamed NPU"}
"""Names for kinds that nothing can be asked about before the run."""

_AMD = "/sys/class/kfd/kfd/topology/nodes"


def kind(adapter: RuntimeAdapter, options: Mapping[str, str]) -> str:
    """Return which of `KINDS` ``adapter`` computes on under ``options``.

    A plug-in that fails to say, or says something else, computes on ``any``: not known.
    """
    choose = getattr(adapter, "device_for", None)
    try:
        said = choose(options) if choose else getattr(adapter, "device", "cpu")
    except Exception:  # noqa: BLE001 - somebody's code; its cells are measured all the same
        return "any"
    return said if said in KINDS else "any"


def of(adapter: RuntimeAdapter, options: Mapping[str, str], kernel: Kernel = LIVE) -> Device | None:
    """Return the device of a cell of ``adapter`` under ``options``; None for the processor."""
    found = kind(adapter, options)
    if found == "cpu":
        return None
    named = _named(found, kernel)
    is_emulated = getattr(adapter, "emulated", False) or virtual.emulator(kernel) is not None
    return replace(named, emulated=is_emulated)


def amd(kernel: Kernel = LIVE) -> Device:
    """Return the device of a cell whose runtime computes through ROCm.

    As the kernel's driver for AMD's GPUs lists them: processors are nodes too, without SIMD units.
    Several GPUs of different kinds are all named, as by `onnxbench.probes.gpu.device`.
    """
    names, architectures = [], []
    for node in kernel.names(_AMD):
        properties = kernel.table(f"{_AMD}/{node}/properties")
        if properties.get("simd_count"):
            names.append(kernel.text(f"{_AMD}/{node}/name") or "")
            architectures.append(_gfx(properties.get("gfx_target_version", 0)))
    return Device(
        kind="rocm",
        name=" or ".join(filter(None, dict.fromkeys(names))) or "unnamed AMD GPU",
        arch=" or ".join(filter(None, dict.fromkeys(architectures))) or "unknown",
    )


@cache  # a plan asks once per cell
def _named(kind: str, kernel: Kernel) -> Device:
    if kind == "cuda":
        return gpu.device()
    if kind == "rocm":
        return amd(kernel)
    return Device(kind=kind, name=_UNNAMED.get(kind, "unnamed device"), arch="unknown")


def _gfx(version: int) -> str:
    """Return AMD's name of an architecture: 90010 is 9, 0 and 10, which is gfx90a."""
    major, minor, step = version // 10000, version // 100 % 100, version % 100
    return f"gfx{major}{minor:x}{step:x}" if version else ""
