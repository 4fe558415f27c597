"""Properties of OpenVINO's CPU plug-in: what may be set, and what a compiled model says it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxbench.adapting import refused_option
from onnxbench.errors import Unsupported

if TYPE_CHECKING:
    from onnxbench.types import BuildRequest, JsonObject

DEVICE = "CPU"

OTHERWISE = {
    "INFERENCE_NUM_THREADS": "--threads says how many",
    "PERF_COUNT": "onnxbench run --op-times measures the layers",
}
"""Properties that a cell decides elsewhere → where."""

_NARROW = {"f16", "bf16", "f8e4m3", "f8e5m2"}


def config(core: Any, model: Any, request: BuildRequest) -> dict[str, str]:
    """Return the properties to compile ``model`` with.

    One stream, so that one inference has all threads; precision as asked; then the user's options.
    Raises Unsupported for a property or a value that the plug-in does not know.
    """
    settings = {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(request.threads)}
    if request.precision == "model":
        settings |= _declared_precision(model)
    if request.profile:
        settings["PERF_COUNT"] = "YES"
    _check(core, request.options)
    return settings | request.options


def _declared_precision(model: Any) -> dict[str, str]:
    """Return what makes the plug-in compute in the types that the graph declares.

    ``f32`` where the graph has no narrower floating-point type. ``dynamic`` leaves each operation
    its own type: bfloat16 stays, float16 is widened to float32 by a processor that lacks it. A
    group size of 0 keeps activations from being rounded to INT8 before quantised weights.
    """
    types = {
        output.get_element_type().get_type_name()
        for operation in model.get_ops()
        for output in operation.outputs()
    }
    return {
        "INFERENCE_PRECISION_HINT": "dynamic" if types & _NARROW else "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    }


def _check(core: Any, options: dict[str, str]) -> None:
    known = core.get_property(DEVICE, "SUPPORTED_PROPERTIES")
    writable = sorted(name for name, access in known.items() if access == "RW")
    for name, value in options.items():
        if name in OTHERWISE:
            raise Unsupported(f"{name} is not set with --set", OTHERWISE[name])
        if name not in writable:
            raise refused_option("OpenVINO", name, writable)
        try:
            core.set_property(DEVICE, {name: value})
        except RuntimeError as error:
            raise Unsupported(f"{name}={value!r}: {error}", f"check --set {name}") from error


def effective(compiled: Any) -> JsonObject:
    """Return every property as the compiled model reports it."""
    found: JsonObject = {}
    for name in compiled.get_property("SUPPORTED_PROPERTIES"):
        if name == "SUPPORTED_PROPERTIES":
            continue
        try:
            found[name] = _plain(compiled.get_property(name))
        except (RuntimeError, TypeError):  # some have no Python type
            continue
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if hasattr(value, "get_type_name"):
        return value.get_type_name()
    return getattr(value, "name", str(value))
