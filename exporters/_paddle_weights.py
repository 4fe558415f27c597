"""Random weights under which a paddle network computes like a trained one.

The rules are those of ``_torch_random``, which says why biases are large. Why they are needed at
all: a network as paddle builds it normalises by a mean of 0 and a variance of 1, which its
activations do not have. They grow from layer to layer: in RedNet, whose involutions multiply
activations by activations, until they overflow to NaN; in GhostNet until the rounding of float32
is worth whole numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _random_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onnxbench.protocols import Array


def seed_everything(seed: int) -> None:
    """Seed all generators that code building a network may draw from."""
    import paddle  # noqa: PLC0415

    paddle.seed(seed)
    _random_weights.seed_python(seed)


def batch_norms(network: Any) -> Iterator[Any]:
    """Yield the batch normalisations of ``network``, of paddle's old and new kind."""
    kinds = _batch_norm_kinds()
    return (layer for layer in network.sublayers(include_self=True) if isinstance(layer, kinds))


def _batch_norm_kinds() -> tuple[type, ...]:
    from paddle import nn  # noqa: PLC0415

    return nn.BatchNorm, nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D, nn.SyncBatchNorm


def statistics(network: Any) -> list[Any]:
    """Return the running means and variances, which paddle counts among the parameters."""
    return [t for norm in batch_norms(network) for t in (norm._mean, norm._variance)]  # noqa: SLF001


def randomise(network: Any, inputs: Sequence[Any], seed: int) -> None:
    """Give every constant tensor of ``network`` values of its own, and fit the running statistics
    to ``inputs``."""
    rng = np.random.default_rng(seed)
    done = {id(tensor) for tensor in statistics(network)}
    for owner in network.sublayers(include_self=True):
        for name, tensor in owner.named_parameters(include_sublayers=False):
            array = tensor.numpy()
            if id(tensor) not in done and array.dtype.kind == "f" and array.size:
                done.add(id(tensor))
                if (drawn := _drawn(owner, name, array, rng)) is not None:
                    tensor.set_value(drawn.astype(array.dtype))
    _settle(network, inputs)


def _drawn(owner: Any, name: str, array: Array, rng: np.random.Generator) -> Any:
    """Return new values for a constant tensor, or one with what memory held before; else None."""
    from paddle import nn  # noqa: PLC0415

    low, high = float(array.min()), float(array.max())
    if _random_weights.are_drawn(low, high):
        return None
    if name == "bias" and isinstance(owner, _batch_norm_kinds()):
        return rng.uniform(1.0, 2.0, array.shape)
    if _random_weights.is_scale(low, high):
        return rng.uniform(0.9, 1.1, array.shape) * low
    if name == "weight" and isinstance(owner, (nn.Conv2D, nn.Linear)):
        # paddle stores a Linear's weights as (inputs, outputs).
        inputs = len(array) if isinstance(owner, nn.Linear) else array[0].size
        return rng.normal(0, inputs**-0.5, array.shape)
    if array.ndim > 2 or "bias" in name or "beta" in name:
        return rng.normal(0, 0.02, array.shape)
    return rng.uniform(0.05, 0.15, array.shape)


def _settle(network: Any, inputs: Sequence[Any]) -> None:
    """Run ``network`` once, letting each batch normalisation take the statistics of its input.

    The layer itself then normalises with them, so what follows sees what it will see in use.
    Dropout and all else stays as in evaluation.
    """
    import paddle  # noqa: PLC0415
    from paddle import nn  # noqa: PLC0415

    hooks = [norm.register_forward_pre_hook(_take_statistics) for norm in batch_norms(network)]
    hooks += [
        layer.register_forward_post_hook(_mend)
        for layer in network.sublayers()
        if isinstance(layer, (nn.Conv2D, nn.Linear))
    ]
    with paddle.no_grad():
        network(*inputs)
    for hook in hooks:
        hook.remove()


def _take_statistics(norm: Any, inputs: Sequence[Any]) -> None:
    array = inputs[0].numpy().astype(np.float64)
    layout = getattr(norm, "_data_format", None) or getattr(norm, "_data_layout", "NCHW")
    channel = array.ndim - 1 if layout in {"NHWC", "NLC", "NDHWC"} else 1
    axes = tuple(axis for axis in range(array.ndim) if axis != channel)
    variance = array.var(axes)
    floor = _random_weights.variance_floor(float(variance.mean()))
    norm._mean.set_value(array.mean(axes).astype(np.float32))  # noqa: SLF001
    norm._variance.set_value(np.maximum(variance, floor).astype(np.float32))  # noqa: SLF001


def _mend(layer: Any, inputs: Sequence[Any], output: Any) -> Any:
    """Scale a layer whose output is too weak or too strong."""
    spread = float(output.numpy().std()) if output.size > 1 else 1.0
    if not _random_weights.is_far_off(spread):
        return None
    for tensor in layer.parameters(include_sublayers=False):
        tensor.set_value(tensor / spread)
    return layer.forward(*inputs)


def check(outputs: Sequence[Array]) -> tuple[str, ...]:
    """Return what is odd about a randomly initialised network's outputs, as notes.

    Raises ExportError if they are not finite.
    """
    notes: list[str] = []
    for number, output in enumerate(outputs):
        if not np.isfinite(output).all():
            raise _random_weights.not_finite(number)
        notes += _random_weights.notes_on(number, float(output.std()))
    return tuple(notes)
