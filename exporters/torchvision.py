"""``torchvision:NAME`` and ``torchvision:NAME.WEIGHTS``: torchvision's networks."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from onnxbench.errors import ExportError
from onnxbench.sources import Preprocess

if TYPE_CHECKING:
    from onnxbench.protocols import Source
    from onnxbench.sources import ExportRequest

_AUXILIARY = ("googlenet", "inception_v3")
"""Networks with classifiers that only training uses; their pictures come in normalised twice."""


class TorchvisionExporter:
    """Builds networks with ``torchvision.models.get_model``; imported when one is loaded."""

    name = "torchvision"
    revision = 1
    modules = ("torch", "torchvision", "onnx", "onnxscript")
    distributions = ("torch", "torchvision", "onnx", "onnxscript", "onnx-ir", "numpy")
    environment = "torch"

    def load(self, request: ExportRequest) -> Source:
        """Build the network with its weights. Raises ExportError."""
        from . import _torch_libraries, _torch_package, _torch_random, _torch_source  # noqa: PLC0415

        models = _torch_libraries.torchvision().models
        name, _, tag = request.location.partition(".")
        weights = _weights(models, name, tag)
        arguments, notes = _arguments(name, request)
        preprocess = _preprocess(weights)
        if preprocess is None and not request.inputs:
            raise ExportError(
                f"torchvision does not say which pictures {name} takes",
                "give its inputs: in models.yaml, such as "
                "[{name: input, shape: [batch, 3, 224, 224]}]",
            )
        side = preprocess.crop[0] if preprocess and preprocess.crop else 0
        if name.startswith("vit_") and not request.inputs:
            arguments.setdefault("image_size", side)
        trained = None
        _torch_random.seed_everything(request.seed)
        if request.weights == "pretrained" and not request.weights_from:
            module = _pretrained(models, name, weights, arguments)
            trained = f"pretrained: torchvision/{type(weights).__name__}.{weights.name}"
        else:
            module = _create(models, name, None, arguments)
            if request.weights == "pretrained" and request.weights_from:
                trained = _torch_package.load(module, request.weights_from)
        return _torch_source.TorchSource(
            _torch_source.Built(
                module=module,
                size=(3, side, side),
                trained=trained,
                versions=_torch_libraries.versions("torchvision"),
                fuse=_torch_source.fuse_children,
                preprocess=preprocess,
                notes=notes,
            ),
            request,
        )


def _weights(models: Any, name: str, tag: str) -> Any:
    """Return the entry of torchvision's table. Raises ExportError for what it does not hold."""
    names = models.list_models()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=5)
        raise ExportError(
            f"torchvision has no network {name}",
            f"did you mean {', '.join(close)}?" if close else "its models.list_models() names all",
        )
    table = models.get_model_weights(name)
    try:
        return table[tag or "DEFAULT"]
    except KeyError:
        raise ExportError(
            f"torchvision has no weights {tag or 'DEFAULT'} of {name}",
            f"one of {', '.join(table.__members__)}",
        ) from None


def _arguments(name: str, request: ExportRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    if name not in _AUXILIARY:
        return dict(request.arguments), ()
    # transform_input is what the published weights set.
    own = {"aux_logits": False, "transform_input": True, "init_weights": False}
    if request.weights == "pretrained" and not request.weights_from:
        own = {"aux_logits": False}
    return own | dict(request.arguments), ("auxiliary classifiers, used in training, are left out",)


def _create(models: Any, name: str, weights: Any, arguments: dict[str, Any]) -> Any:
    try:
        return models.get_model(name, weights=weights, **arguments)
    except RuntimeError as error:
        if "hash value" in str(error):  # a download that broke off: the hub's business
            raise
        raise _not_built(name, error) from error
    except (TypeError, ValueError, AssertionError) as error:
        raise _not_built(name, error) from error


def _not_built(name: str, error: Exception) -> ExportError:
    return ExportError(
        f"torchvision does not build {name}: {type(error).__name__}: {error}",
        "check its arguments: in models.yaml",
    )


def _pretrained(models: Any, name: str, weights: Any, arguments: dict[str, Any]) -> Any:
    from . import _torch_hub  # noqa: PLC0415

    with _torch_hub.torch_hub(weights.url):
        return _create(models, name, weights, arguments)


def _preprocess(weights: Any) -> Preprocess | None:
    """Return the transform that torchvision evaluates a classifier with, None for other tasks."""
    transform = weights.transforms()
    if not hasattr(transform, "crop_size"):
        return None
    crop, resize = transform.crop_size[0], transform.resize_size[0]
    return Preprocess(
        resize=resize,
        crop=(crop, crop),
        interpolation=transform.interpolation.value,
        mean=tuple(transform.mean),
        std=tuple(transform.std),
    )
