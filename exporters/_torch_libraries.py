"""torchvision and timm, imported beside a torch build that torchvision was not compiled for.

A torchvision wheel built for CUDA does not load its compiled library next to CPU-only torch, and
its import then fails because it describes the shapes of an operator that nobody defined. Networks,
the tables of their weights and the image transforms need none of these operators: declaring the
two missing ones is enough. timm imports torchvision, so it has to come second.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import sys
from typing import Any

import torch

_UNDEFINED = "torchvision::nms"
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_declared: list[Any] = []  # a torch library withdraws its operators when it is collected


def torchvision() -> Any:
    """Return the module torchvision."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _UNDEFINED not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(operator + _SCHEMA)
    _declared.append(library)
    return importlib.import_module("torchvision")


def timm() -> Any:
    """Return the module timm."""
    torchvision()
    return importlib.import_module("timm")


def versions(*distributions: str) -> dict[str, str]:
    """Return the versions of Python, of what writes the file, and of ``distributions``."""
    names = ("torch", *distributions, "onnx", "onnxscript")
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
    }
