"""Options of ncnn: what may be set, and how its net says what it has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from onnxbench.adapting import refused_option
from onnxbench.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.types import JsonObject

NARROWING = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
)
"""Options that let ncnn keep or compute float32 values in a narrower type."""

NOT_OURS = {
    "num_threads": "--threads sets it",
    "use_vulkan_compute": "ncnn runs on the CPU here; there is no adapter for its Vulkan backend",
}

_TRUE, _FALSE = {"1", "true", "on", "yes"}, {"0", "false", "off", "no"}


def read(option: Any) -> JsonObject:
    """Return every flag and number of ``ncnn.Option`` as it is now."""
    values = {name: getattr(option, name) for name in dir(option) if not name.startswith("_")}
    return {name: value for name, value in values.items() if isinstance(value, bool | int)}


def apply(ncnn: Any, option: Any, threads: int, precision: str, asked: Mapping[str, str]) -> None:
    """Set ``option`` for ``threads`` and ``precision``, then what was ``asked`` with ``--set``.

    Raises Unsupported for a name or a value that ncnn does not know.
    """
    option.num_threads = threads
    if precision == "model":
        for name in NARROWING:
            setattr(option, name, False)
    known = read(option)
    for name, text in asked.items():
        setattr(option, name, _value(known, name, text))
    if "openmp_blocktime" in asked and not _has_block_time(ncnn):
        raise Unsupported(
            "this build of ncnn has no openmp_blocktime: its OpenMP is GNU's",
            "set OMP_WAIT_POLICY or GOMP_SPINCOUNT in the environment",
        )


def spinning(ncnn: Any, option: Any) -> bool | str:
    """Return whether idle threads wait busily; they are OpenMP's."""
    if option.num_threads == 1:
        return False
    if _has_block_time(ncnn):
        milliseconds = option.openmp_blocktime
        return f"for {milliseconds} ms" if milliseconds else False
    policy = os.environ.get("OMP_WAIT_POLICY", "").lower()
    if policy in ("active", "passive"):
        return policy == "active"
    turns = os.environ.get("GOMP_SPINCOUNT")
    return f"for {turns or 'some 300000'} turns of a loop (GNU OpenMP), then asleep"


def _has_block_time(ncnn: Any) -> bool:
    """Tell whether OpenMP is the one that has a block time: the other returns 0 whatever is set."""
    before = ncnn.get_kmp_blocktime()
    ncnn.set_kmp_blocktime(before + 1)
    has = bool(ncnn.get_kmp_blocktime() == before + 1)
    ncnn.set_kmp_blocktime(before)
    return has


def _value(known: Mapping[str, bool | int], name: str, text: str) -> bool | int:
    if name in NOT_OURS:
        raise Unsupported(f"{name} cannot be set", NOT_OURS[name])
    if name not in known:
        settable = set(known) - set(NOT_OURS)
        raise refused_option("ncnn", name, settable, "see docs/reference/options.md")
    if isinstance(known[name], bool):
        if text.lower() not in _TRUE | _FALSE:
            raise Unsupported(f"{name}={text!r} is neither true nor false", f"--set {name}=1")
        return text.lower() in _TRUE
    if not text.isdecimal() or len(text) > 9:
        raise Unsupported(f"{name}={text!r} is not a whole number", f"--set {name}=1")
    return int(text)
