"""torchvision and timm, imported beside a torch build that torchvision was not compiled for.

A torchvision wheel built for CUDA does not load its compiled library next to CPU-only torch, and
its import then fails because it describes the shapes of an operator that nobody defined.
Classification networks, their weights' tables and the image transforms need none of these
operators, so declaring the two missing ones is enough; detection networks stay out of reach.
timm imports torchvision, so it has to come second.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import torch

__all__ = ["skip_initialisation", "timm", "torchvision"]

UNDEFINED = "torchvision::nms"
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_declared: list[Any] = []  # a torch library withdraws its operators when it is collected


def skip_initialisation() -> None:
    """Make torch's weight initialisation do nothing in this process: weights are overwritten, and
    for a large network drawing them takes longer than exporting it."""
    for name in dir(torch.nn.init):
        if name.endswith("_") and not name.startswith("_"):
            setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)


def _torchvision() -> Any:
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if UNDEFINED not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(operator + SCHEMA)
    _declared.append(library)
    return importlib.import_module("torchvision")


torchvision: Any = _torchvision()
timm: Any = importlib.import_module("timm")
