"""Random weights of a paddle network that compute something: finite, of normal size, all distinct.

A network as it is built normalises by a mean of 0 and a variance of 1, which its activations do
not have: they grow from layer to layer, in RedNet (whose involutions multiply activations by
activations) until they overflow, in GhostNet until the last digits of the logits are worth whole
numbers. Zero biases and unit scales are equal tensors besides, which exporters merge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SPREAD = 0.2
"""Redrawn scales lie within this share of their constant."""

_BIAS_STD = 0.02
_VARIANCE_FLOOR = 0.01
"""Least running variance of a channel, as a share of the layer's mean: a dead channel would
otherwise multiply by 1/sqrt(epsilon)."""

_LEAST_VARIANCE = 1e-5


def batch_norms(network: Any) -> Iterator[Any]:
    """Yield the batch normalisations of ``network``, of paddle's old and new kind."""
    from paddle import nn  # noqa: PLC0415

    # The public classes derive from a private one, which the old kind does not.
    kinds = (nn.BatchNorm, nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D, nn.SyncBatchNorm)
    return (layer for layer in network.sublayers(include_self=True) if isinstance(layer, kinds))


def randomize(network: Any, pictures: Sequence[Any], seed: int) -> None:
    """Redraw what was initialised to a constant, then set every batch normalisation's statistics
    to those of its input while ``network`` looks at ``pictures``.

    Raises ExportError when a tensor is not finite afterwards.
    """
    _redraw(network, np.random.default_rng(seed))
    _calibrate(network, pictures)
    for name, value in network.state_dict().items():
        array = value.numpy()
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ExportError(
                f"random weights of {name} are not finite", "try another --seed, and report this"
            )


def _redraw(network: Any, rng: np.random.Generator) -> None:
    statistics = {id(t) for norm in batch_norms(network) for t in (norm._mean, norm._variance)}  # noqa: SLF001
    seen: set[bytes] = set()
    for parameter in network.parameters():
        if id(parameter) in statistics:
            continue
        array = parameter.numpy()
        constant = array.size > 0 and array.min() == array.max()
        if constant or array.tobytes() in seen:
            array = _drawn(array, rng)
            parameter.set_value(array)
        seen.add(array.tobytes())


def _drawn(array: Any, rng: np.random.Generator) -> Any:
    factor = rng.uniform(1 - _SPREAD, 1 + _SPREAD, array.shape)
    noise = rng.normal(0, _BIAS_STD, array.shape)
    return np.where(array == 0, noise, array * factor).astype(array.dtype)


def _calibrate(network: Any, pictures: Sequence[Any]) -> None:
    """Let every batch normalisation take mean and variance of the input that reaches it.

    The layer itself then normalises with them: what follows sees what it will see in use. Dropout
    and all else stays as in evaluation.
    """
    import paddle  # noqa: PLC0415

    hooks = [norm.register_forward_pre_hook(_take_statistics) for norm in batch_norms(network)]
    with paddle.no_grad():
        network(*pictures)
    for hook in hooks:
        hook.remove()


def _take_statistics(norm: Any, inputs: Any) -> None:
    array = inputs[0].numpy().astype(np.float64)
    layout = getattr(norm, "_data_format", None) or getattr(norm, "_data_layout", "NCHW")
    channel = array.ndim - 1 if layout in {"NHWC", "NLC", "NDHWC"} else 1
    axes = tuple(axis for axis in range(array.ndim) if axis != channel)
    variance = array.var(axes)
    floor = max(_VARIANCE_FLOOR * float(variance.mean()), _LEAST_VARIANCE)
    norm._mean.set_value(array.mean(axes).astype(np.float32))  # noqa: SLF001
    norm._variance.set_value(np.maximum(variance, floor).astype(np.float32))  # noqa: SLF001
