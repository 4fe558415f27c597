"""What ncnn did: time per layer, and in which precision."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from onnxbench.adapting import longest_first
from onnxbench.runtimes._ncnn_options import NARROWING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from onnxbench.types import OpTime

    Array = np.ndarray[Any, np.dtype[Any]]

PASSES = 10
BUDGET_S = 5.0
"""Passes over the layers that are timed: fewer where they take longer than this."""

_AS_IT_IS = 1
"""Argument of ``extract``: hand the blob out packed as it is, without a conversion for reading."""


def layers(net: Any) -> list[Any]:
    """Return the layers that compute: all but the inputs."""
    return [layer for layer in net.layers() if layer.type != "Input"]


def time_layers(net: Any, feed: Callable[[Any], None], provider: str) -> list[OpTime]:
    """Return time per layer, the longest first: each blob is extracted in the order of the layers.

    ``feed`` gives an extractor its inputs. ncnn keeps all blobs for this (light mode off), so that
    a layer computes when its blob is asked for, and none twice.
    """
    found = layers(net)
    spent = [0] * len(found)
    passes = 0
    start = time.perf_counter()
    while passes <= PASSES and (passes < 2 or time.perf_counter() - start < BUDGET_S):
        extractor = net.create_extractor()
        extractor.set_light_mode(False)
        feed(extractor)
        for index, layer in enumerate(found):
            before = time.perf_counter_ns()
            extractor.extract(layer.tops[0], _AS_IT_IS)
            # The first pass fills caches and pools of memory.
            spent[index] += (time.perf_counter_ns() - before) * (passes > 0)
        passes += 1
    return longest_first(
        (layer.name, layer.type, provider, ns, passes - 1)
        for layer, ns in zip(found, spent, strict=True)
    )


def precision(
    ncnn: Any, option: Any, weights: str, compute: Callable[[Sequence[str]], list[Array]]
) -> str:
    """Return what is computed in, and what is stored narrower.

    ``weights``: how the file keeps them. ``compute(off)``: the outputs of a net without the options
    ``off``. ncnn says of no layer whether an option has an effect on this processor; so it is
    computed with and without it, and an option that changes no bit of any output narrows nothing.
    """
    on = [name for name in NARROWING if getattr(option, name)]
    narrower = set() if weights == "float32" else {weights}
    if on:
        exact = compute(on)
        for kind in ("bf16", "fp16"):
            of_kind = [name for name in on if kind in name]
            others = [name for name in on if kind not in name]
            if of_kind and _differ(compute(others), exact):
                narrower.add({"bf16": "bfloat16", "fp16": "float16"}[kind])
    if "float16" in narrower and option.use_fp16_arithmetic and ncnn.cpu_support_arm_asimdhp():
        return "float16"
    kept = next((name for name in ("bfloat16", "float16") if name in narrower), None)
    return f"float32 ({kept} storage)" if kept else "float32"


def _differ(ours: Sequence[Array], theirs: Sequence[Array]) -> bool:
    return any(a.tobytes() != b.tobytes() for a, b in zip(ours, theirs, strict=True))
