"""TensorRT's engines: where they are kept, whether one was there, and for which shapes.

An engine is native code: it is built here, kept in a private folder that belongs to one model,
workload, option set and build of the runtime, and never taken from anywhere else. Not run yet:
no machine with TensorRT was at hand.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.types import BuildRequest, JsonObject

_TF32 = "NVIDIA_TF32_OVERRIDE"
_CACHE = "trt_engine_cache_enable"
_FLAGS = ("_enable", "_fallback")


def engine_options(request: BuildRequest, own: Mapping[str, str]) -> dict[str, str]:
    """Return the provider's options for engines: cache and shapes.

    ``engine_cache=off`` builds the engine anew in each process: what a claim about TensorRT's speed
    needs, for two builds of one network choose different kernels. Raises Unsupported.
    """
    wanted = own.get("engine_cache", "on")
    if wanted not in ("on", "off"):
        raise Unsupported(
            f"engine_cache={wanted!r} is neither on nor off", "--set engine_cache=off"
        )
    found = _profile_shapes(request)
    if wanted == "off" or request.cache is None:
        return {**found, _CACHE: "0"}
    return {**found, _CACHE: "1", "trt_engine_cache_path": request.cache}


def keep_out_tf32() -> None:
    """Let this process multiply float32 in float32.

    TensorRT takes TF32 unless told otherwise, and its providers have no option for it; NVIDIA's
    libraries read ``NVIDIA_TF32_OVERRIDE`` when they are loaded.
    """
    os.environ[_TF32] = "0"


def spelled(told: Mapping[str, str]) -> dict[str, str]:
    """Return options with flags as this provider wants them, True or False, whatever they were."""
    words = dict.fromkeys(("1", "true", "on", "yes"), "True")
    words |= dict.fromkeys(("0", "false", "off", "no"), "False")
    return {
        name: words.get(value.lower(), value) if name.endswith(_FLAGS) else value
        for name, value in told.items()
    }


class Engines:
    """The engine files of one session: look before it is made, and say after."""

    def __init__(self, told: Mapping[str, str]) -> None:
        self._is_used = _CACHE in told
        self._folder = told.get("trt_engine_cache_path")
        self._before = self._files()

    def facts(self) -> JsonObject:
        """Return ``engine``: whether it was cached, and its files; {} for another provider.

        An engine that was not cached was built within ``session_ns``. ``build``: equal in all
        processes that run one build, which is told by the names, sizes and times of its files (to
        hash an engine would take longer than to load it); None for a build that nothing keeps.
        """
        if not self._is_used:
            return {}
        after = self._files()
        reused = [name for name, stamp in self._before.items() if after.get(name) == stamp]
        return {
            "engine": {
                "cache": self._folder is not None,
                "cached": bool(reused) and len(reused) == len(after),
                "build": _identity(after) if after else None,
                "files": {name: size for name, (size, _) in sorted(after.items())},
            }
        }

    def _files(self) -> dict[str, tuple[int, int]]:
        if self._folder is None:
            return {}
        found = {}
        for path in Path(self._folder).glob("*.engine"):
            status = path.stat()
            found[path.name] = (status.st_size, status.st_mtime_ns)
        return found


def _identity(files: Mapping[str, tuple[int, int]]) -> str:
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]


def _profile_shapes(request: BuildRequest) -> dict[str, str]:
    """Return the one shape that an engine is built for, for inputs whose file leaves dims open.

    Without it the engine would be built in the first run, and again for each new shape.
    """
    fixed = {
        spec.name: spec.shape is not None and all(isinstance(dim, int) for dim in spec.shape)
        for spec in request.inputs
    }
    if all(fixed.get(name, True) for name in request.shapes):
        return {}
    text = ",".join(
        f"{name}:{'x'.join(map(str, shape))}" for name, shape in request.shapes.items() if shape
    )
    return {f"trt_profile_{which}_shapes": text for which in ("min", "opt", "max")}
