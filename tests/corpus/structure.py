"""Well-formed protobuf that is no runnable model: 19 to 31 and others of the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

from tests.corpus.case import NOT_TAKEN, Case, model_of, of_model, refused, relu, value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _no_graph() -> onnx.ModelProto:
    model = relu()
    model.ClearField("graph")
    return model


def _no_outputs() -> onnx.ModelProto:
    return model_of([helper.make_node("Relu", ["x"], ["y"])], outputs=[])


def _cycle() -> onnx.ModelProto:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    return model_of([*nodes, helper.make_node("Relu", ["b"], ["y"])])


def _self_cycle() -> onnx.ModelProto:
    return model_of([helper.make_node("Add", ["x", "y"], ["y"])])


def _duplicate_output() -> onnx.ModelProto:
    return model_of([helper.make_node(op, ["x"], ["y"]) for op in ("Relu", "Abs")])


def _duplicate_input() -> onnx.ModelProto:
    return model_of([helper.make_node("Relu", ["x"], ["y"])], [value("x"), value("x")])


def _undefined_input() -> onnx.ModelProto:
    return model_of([helper.make_node("Relu", ["nothing"], ["y"])])


def _undefined_output() -> onnx.ModelProto:
    return model_of([helper.make_node("Relu", ["x"], ["z"])])


def _undefined_in_subgraph() -> onnx.ModelProto:
    branch = helper.make_graph([helper.make_node("Relu", ["gone"], ["b"])], "b", [], [value("b")])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    return model_of([node], constants=[helper.make_tensor("c", TensorProto.BOOL, [], [True])])


def _opset(version: int | None) -> Callable[[], onnx.ModelProto]:
    def make() -> onnx.ModelProto:
        model = relu()
        if version is None:
            del model.opset_import[:]
        else:
            model.opset_import[0].version = version
        return model

    return make


def _two_opsets() -> onnx.ModelProto:
    model = relu()
    model.opset_import.append(helper.make_opsetid("ai.onnx", 9))
    return model


def _ir_version(version: int) -> Callable[[], onnx.ModelProto]:
    def make() -> onnx.ModelProto:
        model = relu()
        model.ir_version = version
        return model

    return make


def _input(
    dims: Sequence[int | str | None] | None, dtype: int = TensorProto.FLOAT
) -> onnx.ModelProto:
    return model_of([helper.make_node("Shape", ["x"], ["y"])], [value("x", dims, dtype)],
                    [value("y", None, TensorProto.INT64)])  # fmt: skip


def _untyped_input() -> onnx.ModelProto:
    model = relu()
    model.graph.input[0].ClearField("type")
    return model


def _constant(tensor: TensorProto) -> onnx.ModelProto:
    return model_of([helper.make_node("Add", ["x", "w"], ["y"])], constants=[tensor])


def _tensor(dims: Sequence[int], data: bytes, dtype: int = TensorProto.FLOAT) -> TensorProto:
    return TensorProto(name="w", dims=dims, data_type=dtype, raw_data=data)


def _short_list() -> onnx.ModelProto:
    return _constant(TensorProto(name="w", dims=[1000], data_type=1, float_data=[1.0] * 999))


def _strings_as_raw() -> onnx.ModelProto:
    return _constant(_tensor([4], bytes(4), TensorProto.STRING))


def _unknown_operator() -> onnx.ModelProto:
    return model_of([helper.make_node("Frobnicate", ["x"], ["y"])])


def _unknown_domain() -> onnx.ModelProto:
    node = helper.make_node("Relu", ["x"], ["y"], domain="example.unknown")
    return model_of([node], domains=["example.unknown"])


def _ep_context() -> onnx.ModelProto:
    node = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft",
                            embed_mode=0, ep_cache_context="/etc/passwd")  # fmt: skip
    return model_of([node], domains=["com.microsoft"])


def _many_long_names() -> onnx.ModelProto:
    inputs = [value(f"{index}" * 1000) for index in range(1000, 3000)]
    return model_of([helper.make_node("Relu", [inputs[0].name], ["y"])], inputs)


STRUCTURE: tuple[Case, ...] = (
    refused("no graph", 19, "no-graph", of_model(_no_graph)),
    refused("no nodes", 20, "no-nodes", of_model(lambda: model_of([]))),
    refused("no outputs", 21, "no-outputs", of_model(_no_outputs)),
    refused("cycle", 22, "cycle", of_model(_cycle)),
    refused("node that waits for itself", 22, "cycle", of_model(_self_cycle)),
    refused("duplicate output", 23, "duplicate-name", of_model(_duplicate_output)),
    refused("duplicate input", 23, "duplicate-name", of_model(_duplicate_input)),
    refused("undefined input", 24, "undefined-name", of_model(_undefined_input)),
    refused("undefined output", 24, "undefined-name", of_model(_undefined_output)),
    refused("undefined in a subgraph", 24, "undefined-name", of_model(_undefined_in_subgraph)),
    Case("unknown operator", 25, of_model(_unknown_operator), "run", statuses=NOT_TAKEN),
    Case("unknown domain", 26, of_model(_unknown_domain), "run", statuses=NOT_TAKEN),
    refused("EPContext", 26, "ep-context", of_model(_ep_context)),
    refused("opset 0", 27, "opset", of_model(_opset(0))),
    refused("opset 999", 27, "opset", of_model(_opset(999))),
    refused("opset -1", 27, "opset", of_model(_opset(-1))),
    refused("no opset", 27, "opset", of_model(_opset(None))),
    refused("two opsets", 27, "opset", of_model(_two_opsets)),
    refused("IR 999", 28, "ir-version", of_model(_ir_version(999))),
    refused("IR 0", 28, "ir-version", of_model(_ir_version(0))),
    refused("unknown input dtype", 29, "unknown-dtype", of_model(lambda: _input([2], 999))),
    refused("input without dtype", 29, "unknown-dtype", of_model(lambda: _input([2], 0))),
    refused("input without type", 29, "unknown-dtype", of_model(_untyped_input)),
    refused(
        "unknown constant dtype",
        29,
        "unknown-dtype",
        of_model(lambda: _constant(_tensor([2], bytes(8), 999))),
    ),
    refused(
        "dims larger than the data",
        30,
        "tensor-size",
        of_model(lambda: _constant(_tensor([1000], bytes(8)))),
    ),
    refused(
        "dims larger than much data",
        30,
        "tensor-size",
        of_model(lambda: _constant(_tensor([100, 100], bytes(4000)))),
    ),
    refused(
        "product of dims overflows",
        30,
        "tensor-size",
        of_model(lambda: _constant(_tensor([1 << 33, 1 << 33], bytes(8)))),
    ),
    refused(
        "data larger than dims",
        30,
        "tensor-size",
        of_model(lambda: _constant(_tensor([2], bytes(12)))),
    ),
    refused(
        "much data larger than dims",
        30,
        "tensor-size",
        of_model(lambda: _constant(_tensor([2], bytes(4000)))),
    ),
    refused("list shorter than dims", 30, "tensor-size", of_model(_short_list)),
    refused("strings as raw data", 30, "tensor-size", of_model(_strings_as_raw)),
    refused(
        "negative dim of a constant", 31, "bad-dims",
        of_model(lambda: _constant(_tensor([-2], bytes(8)))),
    ),
    refused("negative dim", 31, "bad-dims", of_model(lambda: _input([-1, 2]))),
    refused("dim 2^40", 31, "bad-dims", of_model(lambda: _input([1 << 40]))),
    refused("rank 100", 31, "bad-dims", of_model(lambda: _input([1] * 100))),
    Case(
        "dim 0", 31, of_model(lambda: _input([0, 2])), "run",
        statuses=frozenset({"ok", "skipped", "unsupported"}),
    ),
    Case(
        "unknown dims", 31, of_model(lambda: _input([None, "n\x1b[31m"])), "run",
        statuses=frozenset({"ok", "skipped"}),
    ),
    Case(
        "unknown rank", 31, of_model(lambda: _input(None)), "run",
        statuses=frozenset({"ok", "skipped"}),
    ),
    refused("2,000 long input names", 16, "name-too-long", of_model(_many_long_names)),
)  # fmt: skip
