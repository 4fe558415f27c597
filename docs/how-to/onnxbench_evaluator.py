"""A runtime for onnxbench: the reference evaluator of onnx, which computes with numpy."""

import gc
from collections import Counter
from functools import partial
from importlib import metadata

from onnxbench.adapting import PlainEngine, installed, one_place, refuse_misfits, refused_option
from onnxbench.errors import Unsupported

COMPUTED_IN = {"float": "float32", "double": "float64"}


class Evaluator:
    name = "evaluator"
    modules = ("onnx.reference",)  # what the worker imports, timed as a phase of its own
    distributions = ("onnx",)  # whose versions name the build; the first one is the runtime's own
    provider = "numpy"  # where every node has to run

    def probe(self):  # cheap: looks for the package, imports nothing
        return installed(self.name, self.distributions, "pip install onnx")

    def build(self, request):
        for option in request.options:  # a mistyped option must not be ignored
            raise refused_option(self.name, option, known=())
        if request.boundary == "device":
            raise Unsupported("evaluator keeps nothing on a device", "--boundary host")
        from onnx.reference import ReferenceEvaluator

        try:
            return Engine(ReferenceEvaluator(request.model), request)
        except Exception as error:
            raise Unsupported(str(error), "onnx does not know this model") from error


class Engine(PlainEngine):  # which has no queue, tells no operator's time and cannot be stopped
    def __init__(self, evaluator, request):
        self.evaluator, self.type = evaluator, request.inputs[0].dtype

    def bind(self, inputs):
        feed = {tensor.name: tensor.array for tensor in inputs}
        refuse_misfits(dict.fromkeys(feed, "it"), dict.fromkeys(self.evaluator.input_names, "it"))
        self.run = partial(self.evaluator.run, None, feed)  # the hot path: no more than this

    def outputs(self, result):  # what run() returned: nothing is computed here
        return dict(zip(self.evaluator.output_names, result, strict=True))

    def facts(self):  # asked of the runtime, never what it was told
        why = "numpy's BLAS counts the processors when it is imported"
        shown = {"runtime_version": metadata.version("onnx"), "options": {}}
        return {**shown, "threads_control": why, "spinning": "up to numpy's BLAS"}

    def placement(self):
        operators = Counter(node.op_type for node in self.evaluator.proto_.graph.node)
        return [one_place("numpy", operators)], COMPUTED_IN.get(self.type)

    def close(self):
        self.run = self.evaluator = None
        gc.collect()  # the evaluator refers to itself
