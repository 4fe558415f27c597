"""Random weights under which a network computes like a trained one.

What libraries initialise is made for training: gammas of zero that silence a block, layer scales
of 1e-6, running statistics that do not fit the activations. Exported as they are, activations
vanish (denormals, which slow a CPU down) or explode, and equal tensors are stored once. So every
constant tensor is drawn anew, and one pass over seeded pictures then sets the running statistics
and mends layers whose output is far off.

A trained network forgives rounding; one of random weights does not. Behind a batch normalisation
of mean 0, ReLU keeps half of the second moment and only 1/2 - 1/(2 pi) of the variance, which the
next normalisation scales up again: a difference grows by 1.21 per layer, a million times over 70
of them. With biases near 1.5 most units are open and it grows by about 1.03.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from . import _random_weights

if TYPE_CHECKING:
    from collections.abc import Sequence


def seed_everything(seed: int) -> None:
    """Seed all generators that code building a network may draw from."""
    torch.manual_seed(seed)
    _random_weights.seed_python(seed)


def randomise(module: Any, inputs: Sequence[Any]) -> None:
    """Give every constant tensor of ``module`` values of its own, and fit the running statistics
    to ``inputs``. Draws from torch's global generator."""
    seen: set[int] = set()
    with torch.no_grad():
        for owner in module.modules():
            for name, tensor in owner.named_parameters(recurse=False):
                if id(tensor) not in seen and tensor.is_floating_point() and tensor.numel():
                    seen.add(id(tensor))
                    _redraw(owner, name, tensor)
        _settle(module, inputs)


def _redraw(owner: Any, name: str, tensor: Any) -> None:
    """Fill ``tensor`` anew if it is constant or holds what memory held before."""
    low, high = (float(value) for value in tensor.aminmax())
    if _random_weights.are_drawn(low, high):
        return
    layer = isinstance(owner, (_ConvNd, torch.nn.Linear)) and name == "weight"
    if _random_weights.is_scale(low, high):
        tensor.uniform_(0.9, 1.1).mul_(low)
    elif isinstance(owner, _BatchNorm) and name == "bias":
        tensor.uniform_(1.0, 2.0)
    elif layer:
        tensor.normal_(std=tensor[0].numel() ** -0.5)
    elif tensor.dim() > 2 or "bias" in name or "beta" in name:
        tensor.normal_(std=0.02)
    else:
        tensor.uniform_(0.05, 0.15)


class _Mending:
    """A forward hook that scales a layer whose output is too weak or too strong."""

    def __call__(self, layer: Any, arguments: Any, output: Any) -> Any:
        spread = float(output.std()) if output.numel() > 1 else 1.0
        if not _random_weights.is_far_off(spread):
            return None
        for tensor in layer.parameters(recurse=False):
            tensor.div_(spread)
        # Computed again, not scaled: a layer that standardises its weights does not follow.
        return layer.forward(*arguments)


def _settle(module: Any, inputs: Sequence[Any]) -> None:
    """Run ``module`` once, with only its batch normalisations learning their statistics."""
    norms = [
        each
        for each in module.modules()
        if isinstance(each, _BatchNorm) and each.running_mean is not None
    ]
    layers = [each for each in module.modules() if isinstance(each, (_ConvNd, torch.nn.Linear))]
    hooks = [layer.register_forward_hook(_Mending()) for layer in layers]
    momenta = [norm.momentum for norm in norms]
    # Sums of several threads differ with their number, and equal requests shall be equal bytes.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over what is seen
        norm.train()
    try:
        module(*inputs)
    finally:
        torch.set_num_threads(threads)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
        for hook in hooks:
            hook.remove()
    for norm in norms:
        variance = norm.running_var
        floor = _random_weights.variance_floor(float(variance.mean()))
        variance.clamp_(min=floor)


def check(outputs: Sequence[Any]) -> tuple[str, ...]:
    """Return what is odd about a randomly initialised network's outputs, as notes.

    Raises ExportError if they are not finite.
    """
    notes: list[str] = []
    for number, output in enumerate(outputs):
        if not output.is_floating_point() or output.numel() < 2:
            continue
        if not bool(output.isfinite().all()):
            raise _random_weights.not_finite(number)
        notes += _random_weights.notes_on(number, float(output.std()))
    return tuple(notes)
