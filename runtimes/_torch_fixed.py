"""Modules of onnx2torch whose shapes, indices or sizes are constant, with these as plain numbers.

onnx2torch reads them from tensors in every run, which costs time, and ends the graph of a compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_OUTER = 4
"""Leading numbers of batch and channels in a list of paddings, which stands innermost first."""


def fixed(torch: Any, module: Any, constants: Sequence[Any]) -> Any:
    """Return what computes the same as ``module`` with ``constants``, its arguments but the first.

    None where there is no such thing.
    """
    make = {
        "OnnxReshape": _reshape,
        "OnnxSlice": _slice,
        "OnnxGather": _gather,
        "OnnxSplit13": _split,
        "OnnxPadDynamic": _pad,
        "OnnxSqueezeDynamicAxes": _squeeze,
        "OnnxUnsqueezeDynamicAxes": _unsqueeze,
    }.get(type(module).__name__)
    call: Any = make(torch, module, [each.tolist() for each in constants]) if make else None
    if call is None:
        return None

    class Fixed(torch.nn.Module):  # type: ignore[misc]
        def forward(self, value: Any) -> Any:
            return call(value)

    return Fixed()


def _reshape(_torch: Any, _module: Any, constants: list[Any]) -> Any:
    shape = tuple(constants[0])
    # 0 stands for the size that the input has there.
    return None if 0 in shape else lambda value: value.reshape(shape)


def _slice(_torch: Any, _module: Any, constants: list[Any]) -> Any:
    starts, ends, *others = constants
    axes = others[0] if others else range(len(starts))
    steps = others[1] if len(others) > 1 else [1] * len(starts)
    if min(steps) < 1:  # torch has no negative steps
        return None
    parts = [(axis, slice(*part)) for axis, *part in zip(axes, starts, ends, steps, strict=True)]

    def call(value: Any) -> Any:
        index = [slice(None)] * value.dim()
        for axis, part in parts:
            index[axis] = part
        return value[tuple(index)]

    return call


def _gather(_torch: Any, module: Any, constants: list[Any]) -> Any:
    (index,) = constants
    axis = module._axis  # noqa: SLF001 - it has no public one
    return (lambda value: value.select(axis, index)) if isinstance(index, int) else None


def _split(torch: Any, module: Any, constants: list[Any]) -> Any:
    (sizes,) = constants
    return lambda value: torch.split(value, sizes, dim=module.axis)


def _squeeze(torch: Any, _module: Any, constants: list[Any]) -> Any:
    axes = tuple(constants[0])
    return lambda value: torch.squeeze(value, axes)


def _unsqueeze(torch: Any, _module: Any, constants: list[Any]) -> Any:
    (axes,) = constants

    def call(value: Any) -> Any:
        rank = value.dim() + len(axes)
        for axis in sorted(axis % rank for axis in axes):
            value = torch.unsqueeze(value, axis)
        return value

    return call


def _pad(torch: Any, module: Any, constants: list[Any]) -> Any:
    pads, *others = constants
    half = len(pads) // 2
    pairs = [*zip(pads[:half], pads[half:], strict=True)][::-1]
    innermost = [number for pair in pairs for number in pair]
    mode = module.mode
    if mode != "constant":
        if any(innermost[-_OUTER:]):
            return None
        return lambda value: torch.nn.functional.pad(value, innermost[:-_OUTER], mode=mode)
    fill = others[0] if others else 0.0
    fill = fill[0] if isinstance(fill, list) else fill
    return lambda value: torch.nn.functional.pad(value, innermost, value=fill)
