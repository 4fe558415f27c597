"""``timm:NAME`` and ``timm:NAME.TAG``: networks of pytorch-image-models, TAG naming the weights."""

from __future__ import annotations

import difflib
import math
from importlib import import_module
from typing import TYPE_CHECKING, Any

from onnxbench.errors import ExportError
from onnxbench.sources import Preprocess

if TYPE_CHECKING:
    from onnxbench.protocols import Source
    from onnxbench.sources import ExportRequest


class TimmExporter:
    """Builds networks with ``timm.create_model``; timm is imported when one is loaded."""

    name = "timm"
    revision = 1
    modules = ("torch", "torchvision", "timm", "onnx", "onnxscript")
    distributions = ("torch", "torchvision", "timm", "onnx", "onnxscript", "onnx-ir", "numpy")
    environment = "torch"

    def load(self, request: ExportRequest) -> Source:
        """Build the network with its weights. Raises ExportError."""
        from . import _torch_libraries, _torch_package, _torch_random, _torch_source  # noqa: PLC0415

        timm = _torch_libraries.timm()
        config = _config(timm, request.location)
        arguments = dict(request.arguments)
        trained = None
        _torch_random.seed_everything(request.seed)
        if request.weights == "pretrained" and not request.weights_from:
            module = _pretrained(timm, config, request, arguments)
            trained = f"pretrained: {config.hf_hub_id or config.url}"
        else:
            module = _create(timm, request, arguments)
            if request.weights == "pretrained" and request.weights_from:
                trained = _torch_package.load(module, request.weights_from)
        data = timm.data.resolve_data_config(arguments, model=module)
        return _torch_source.TorchSource(
            _torch_source.Built(
                module=module,
                size=tuple(data["input_size"]),
                trained=trained,
                versions=_torch_libraries.versions("timm", "torchvision"),
                fuse=_fuse,
                preprocess=_preprocess(data),
            ),
            request,
        )


def _config(timm: Any, name: str) -> Any:
    """Return what timm knows of a name's weights and pictures. Raises ExportError."""
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        close = difflib.get_close_matches(architecture, timm.list_models(), n=5)
        raise ExportError(
            f"timm has no network {architecture}",
            f"did you mean {', '.join(close)}?" if close else "timm.list_models() names them all",
        )
    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError:
        tags = timm.list_pretrained(f"{architecture}.*")
        raise ExportError(
            f"timm has no weights {tag} of {architecture}",
            f"one of {', '.join(tags)}" if tags else "it has none of this network",
        ) from None


def _create(timm: Any, request: ExportRequest, arguments: dict[str, Any], **more: Any) -> Any:
    try:
        return timm.create_model(request.location, exportable=True, **arguments, **more)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ExportError(
            f"timm does not build {request.location}: {type(error).__name__}: {error}",
            "check its arguments: in models.yaml",
        ) from error


def _pretrained(timm: Any, config: Any, request: ExportRequest, arguments: dict[str, Any]) -> Any:
    from . import _torch_hub  # noqa: PLC0415

    if not config.has_weights:
        raise ExportError(
            f"timm publishes no weights of {request.location}", "--weights random exports it"
        )
    if config.hf_hub_id:
        file = config.hf_hub_filename or "model.safetensors"
        source = _torch_hub.hugging_face(f"{file} of {config.hf_hub_id}")
    else:
        source = _torch_hub.torch_hub(config.url)
    with source:
        return _create(timm, request, arguments, pretrained=True)


def _fuse(module: Any) -> Any:
    return import_module("timm.utils.model").reparameterize_model(module, inplace=True)


def _preprocess(data: dict[str, Any]) -> Preprocess:
    """Return the transform that timm evaluates a network with."""
    height, width = data["input_size"][1:]
    scaled = tuple(math.floor(side / data["crop_pct"]) for side in (height, width))
    # "squash" scales both sides, whatever the picture's shape; else the shorter one leads.
    whole = data["crop_mode"] == "squash" or height != width
    return Preprocess(
        resize=(scaled[0], scaled[1]) if whole else scaled[0],
        crop=(height, width),
        interpolation=data["interpolation"],
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
    )
