"""Imports onnx2torch, in a worker alone, so that this is no part of loading a model.

onnx2torch imports torchvision, whose import fails beside a torch that it was not compiled for
unless somebody declares two operators; no network here has them.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_declared: list[Any] = []  # a torch library withdraws its operators when it is collected


def _imported() -> Any:
    try:
        return importlib.import_module("onnx2torch")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    halves = ("torchvision", "onnx2torch")  # half imported now
    for name in [name for name in sys.modules if name.split(".")[0] in halves]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(operator + _SCHEMA)
    _declared.append(library)
    return importlib.import_module("onnx2torch")


onnx2torch = _imported()
