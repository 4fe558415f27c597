"""What OpenVINO's CPU plug-in executed: its layers after fusion, their types and their time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from onnxbench.adapting import longest_first, mainly, one_place

if TYPE_CHECKING:
    from onnxbench.types import OpTime, PlacementDoc

_PRECISIONS = {
    "f64": "float64",
    "f32": "float32",
    "f16": "float16",
    "bf16": "bfloat16",
    "u8": "int8",
    "i8": "int8",
}
"""Types of the layers that show in which type a model is computed."""

_HEAVY = (
    "Convolution",
    "Deconvolution",
    "FullyConnected",
    "MatMul",
    "RNN",
    "LSTM",
    "GRU",
    "ScaledDotProduct",
    "MHA",
    "QKVProjection",
    "LLMMLP",
)
"""Beginnings of the types of layers that do most of a model's arithmetic."""

_NARROW_INTEGERS = ("i8", "u8", "i4", "u4", "i2", "u2", "u1")

_ENDS = ("Const", "Input", "Output")


class Profile:
    """Counts the inferences of one compiled model with PERF_COUNT, and reads their profile.

    The plug-in keeps the mean per layer over all runs, in whole microseconds (``execTimeMcs`` of
    the runtime model). The first run also fills caches, so its share is taken out of it again.
    """

    def __init__(self, compiled: Any, provider: str) -> None:
        self._compiled = compiled
        self._provider = provider
        self._runs = 0
        self._first: dict[str, int] = {}

    def ran(self) -> None:
        """Note that one more inference has ended."""
        self._runs += 1
        if self._runs == 1:
            self._first = {layer["name"]: layer["us"] for layer in self._layers()}

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return the layers of the runtime model, and the effective precision."""
        layers = self._layers()
        inner = [layer for layer in layers if layer["type"] not in _ENDS] or layers
        operators = Counter(layer["type"] for layer in inner)
        return [one_place(self._provider, operators)], self._precision(layers)

    def op_times(self) -> list[OpTime]:
        """Return time per layer over all runs but the first, the longest first."""
        calls, rows = max(1, self._runs - 1), self._layers()
        return longest_first(
            (layer["original"] or layer["name"], layer["type"], self._provider, us * 1000, calls)
            for layer in rows
            if (us := self._after_first(layer))
        )

    def _precision(self, layers: list[dict[str, Any]]) -> str | None:
        """Return the type that most of the time of heavy layers was computed in."""
        spent = Counter[tuple[str, bool]]()
        for layer in layers:
            if layer["type"] in _ENDS or layer["precision"] not in _PRECISIONS:
                continue
            heavy = layer["type"].startswith(_HEAVY)
            spent[_PRECISIONS[layer["precision"]], heavy] += self._after_first(layer) + 1
        return mainly(spent)

    def _after_first(self, layer: dict[str, Any]) -> int:
        """Return the microseconds of a layer over all runs but the first."""
        if self._runs < 2:
            return int(layer["us"])
        whole: int = layer["us"] * self._runs
        return max(0, whole - self._first.get(layer["name"], 0))

    def _layers(self) -> list[dict[str, Any]]:
        group = int(self._compiled.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE"))
        nodes = self._compiled.get_runtime_model().get_ordered_ops()
        return [_layer(node, rounds_activations=group != 0) for node in nodes]


def _layer(node: Any, *, rounds_activations: bool) -> dict[str, Any]:
    """Return what the runtime model says of one layer; ``us`` is the mean time of a run."""
    said = node.get_rt_info()
    kind, precision, time, original = (
        said[key].astype(str) if key in said else ""
        for key in ("layerType", "runtimePrecision", "execTimeMcs", "originalLayersNames")
    )
    if kind.startswith(_HEAVY):
        types = [value.get_element_type().get_type_name() for value in node.inputs()]
        precision = _arithmetic(types, rounds_activations=rounds_activations) or precision
    return {
        "name": node.get_friendly_name(),
        "original": original,
        "type": kind,
        "precision": precision,
        "us": int(time) if time.isdecimal() else 0,
    }


def _arithmetic(inputs: list[str], *, rounds_activations: bool) -> str:
    """Return the type that a heavy layer computes in, from the types of its inputs.

    ``runtimePrecision`` names the weights' type where they are stored in INT8 or less, though the
    activations may be floating-point. With DYNAMIC_QUANTIZATION_GROUP_SIZE such a layer may round
    them to INT8 as it runs, which nothing in the runtime model shows: then INT8 is reported.
    """
    activations, weights = (*inputs, "", "")[:2]
    if rounds_activations and weights in _NARROW_INTEGERS and activations not in _NARROW_INTEGERS:
        return "i8"
    return activations
