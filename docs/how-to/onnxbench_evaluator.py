"""A runtime for onnxbench: the reference evaluator of onnx, which computes with numpy."""

import gc
from functools import partial
from importlib import metadata

from onnxbench.errors import InputRefused, Unsupported
from onnxbench.types import Capability

COMPUTED_IN = {"float": "float32", "double": "float64", "float16": "float16"}


class Evaluator:
    name = "evaluator"
    modules = ("onnx.reference",)  # what the worker imports, timed as a phase of its own
    distributions = ("onnx",)  # whose versions name the build; the first one is the runtime's own
    environment = ""  # of `onnxbench install`, for a runtime that cannot live beside others
    provider = "numpy"  # where every node has to run

    def probe(self):  # cheap: looks for the package, imports nothing
        try:
            version = metadata.version("onnx")
        except metadata.PackageNotFoundError:
            reason, hint = "the package onnx is not installed", "pip install onnx"
            return Capability(self.name, available=False, reason=reason, hint=hint)
        return Capability(self.name, available=True, version=version, distribution="onnx")

    def build(self, request):
        for option in request.options:  # a mistyped option must not be ignored
            raise Unsupported(f"evaluator has no option {option}", "leave --set out")
        if request.boundary == "device":
            raise Unsupported("evaluator keeps nothing on a device", "--boundary host")
        import onnx
        from onnx.reference import ReferenceEvaluator

        try:
            model = onnx.load(request.model)
            return Engine(ReferenceEvaluator(model), len(model.graph.node), request)
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            raise Unsupported(message, "onnx does not know this model") from error


class Engine:
    sync = None  # run() returns when the outputs are there

    def __init__(self, evaluator, nodes, request):
        self.evaluator, self.nodes, self.request = evaluator, nodes, request

    def bind(self, inputs):
        feed = {tensor.name: tensor.array for tensor in inputs}
        if set(feed) != set(self.evaluator.input_names):
            raise InputRefused(f"it takes {self.evaluator.input_names}", "see --inputs")
        self.run = partial(self.evaluator.run, None, feed)  # the hot path: no more than this

    def outputs(self):
        return dict(zip(self.evaluator.output_names, self.run(), strict=True))

    def facts(self):  # asked of the runtime, never what it was told
        return {
            "runtime_version": metadata.version("onnx"),
            "options": {},
            "threads_control": "numpy's BLAS counts the processors when it is imported",
            "spinning": "up to numpy's BLAS",
        }

    def placement(self):
        row = {"provider": "numpy", "nodes": self.nodes, "node_share": 1.0, "time_share": 1.0}
        return [row], COMPUTED_IN.get(self.request.inputs[0].dtype)

    def op_times(self):
        return []  # not told by this runtime

    def interrupt(self):
        pass  # cannot be stopped: onnxbench kills the process two seconds later

    def close(self):
        self.run = self.evaluator = None
        gc.collect()  # the evaluator refers to itself
