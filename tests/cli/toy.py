"""An exporter as a plug-in brings it: a network of one Relu, which goes wrong as its name says."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxbench.sources import BATCH, MODEL_FILE, ExportRequest, InputSpec, SourceFacts, Written

HOSTILE = "\x1b[31mred\x1b[0m \u202egnp\u202c \x00 [bold]markup[/bold] [/] "


class Toy:
    """Behind the scheme ``toy:``; needs nothing but onnx."""

    name = "toy"
    revision = 1
    modules = ("onnx",)
    distributions = ("onnx",)
    environment = ""

    def load(self, request: ExportRequest) -> Relu:
        what = request.location
        if what == "hostile":
            raise ValueError(HOSTILE + "x" * 10_000_000 + "\u202e")
        if what == "hang":
            time.sleep(600)
        if what == "crash":
            os.write(1, HOSTILE.encode())
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == "memory":
            np.ones(1 << 28)
        return Relu(request)


class Relu:
    """y = max(x, 0), of any batch; ``scaled``: the file says something else."""

    def __init__(self, request: ExportRequest) -> None:
        self._request = request
        weights = "pretrained: toy" if request.weights == "pretrained" else "random: seed 0"
        image = InputSpec("x", (BATCH, 4))
        self.facts = SourceFacts((image,), ("y",), weights, 0, 0, 0, {"onnx": "1"})

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        return [np.maximum(inputs[0], 0)]

    def counts(self) -> None:
        return None

    def write(self) -> Written:
        import onnx
        from onnx import TensorProto, helper

        def value(name: str) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, 4])

        operator = "Abs" if self._request.location == "scaled" else "Relu"
        node = helper.make_node(operator, ["x"], ["y"])
        graph = helper.make_graph([node], self._request.location, [value("x")], [value("y")])
        opsets = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        onnx.save(model, Path(self._request.folder, MODEL_FILE))
        return Written("toy", 17, dynamic_batch=True)
