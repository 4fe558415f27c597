"""External data that a model may not have: 41 and 42 of the list."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import onnx
from onnx import TensorProto, helper

from tests.corpus.case import IR_VERSION, OPSET, Case, model_of, of_model, refused, value

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA_BYTES = 16
"""What the tensor needs: four floats."""


def tensor(**entries: str | int) -> TensorProto:
    """Return a tensor of four floats whose external data has these keys and values."""
    return _tensor([(key, str(text)) for key, text in entries.items()])


def _tensor(entries: list[tuple[str, str]]) -> TensorProto:
    made = TensorProto(name="w", dims=[4], data_type=TensorProto.FLOAT)
    made.data_location = TensorProto.EXTERNAL
    for key, text in entries:
        made.external_data.add(key=key, value=text)
    return made


def adding(constant: TensorProto) -> onnx.ModelProto:
    """Return y = x + constant."""
    node = helper.make_node("Add", ["x", constant.name], ["y"])
    return model_of([node], [value("x", [4])], [value("y", [4])], [constant])


def _case(name: str, reason: str, made: TensorProto) -> Case:
    def build(folder: Path) -> Path:
        (folder / "w.bin").write_bytes(bytes(DATA_BYTES))
        return of_model(lambda: adding(made))(folder)

    return refused(f"external data: {name}", 41, f"external-data-{reason}", build)


def _with_file(name: str, reason: str, make: Callable[[Path], object], at: str = "w.bin") -> Case:
    """A case whose data file ``at`` is made by ``make``; beside the folder lies a secret."""

    def build(folder: Path) -> Path:
        outside = folder / "outside"
        model = folder / "model"
        outside.mkdir()
        model.mkdir()
        (outside / "secret.bin").write_bytes(bytes(DATA_BYTES))
        make(model)
        return of_model(lambda: adding(tensor(location=at)))(model)

    return refused(f"external data: {name}", 41, f"external-data-{reason}", build)


def _symlink_parent(model: Path) -> None:
    (model / "data").symlink_to(model.parent / "outside")


def _symlink_inside(model: Path) -> None:
    (model / "real.bin").write_bytes(bytes(DATA_BYTES))
    (model / "w.bin").symlink_to("real.bin")


# ---------------------------------------------------------------- every place that holds a tensor


def _in_sparse(part: str) -> onnx.SparseTensorProto:
    values = helper.make_tensor("w", TensorProto.FLOAT, [2], [1, 2])
    indices = helper.make_tensor("i", TensorProto.INT64, [2], [0, 1])
    far = tensor(location="../secret.bin")
    far.dims[:] = [2]
    if part == "values":
        values = far
    else:
        far.data_type = TensorProto.INT64
        indices = far
    return helper.make_sparse_tensor(values, indices, [4])


def _with_attribute(**attribute: Any) -> onnx.ModelProto:
    constant = helper.make_node("Constant", [], ["w"], **attribute)
    return model_of([constant, helper.make_node("Add", ["x", "w"], ["y"])], [value("x", [4])],
                    [value("y", [4])])  # fmt: skip


def _far() -> TensorProto:
    return tensor(location="../secret.bin")


def _in_hidden_attribute() -> onnx.ModelProto:
    """The attribute says that it is an int, and holds a tensor too."""
    model = _with_attribute(value_int=1)
    model.graph.node[0].attribute[0].t.CopyFrom(_far())
    return model


def _in_tensor_list() -> onnx.ModelProto:
    model = _with_attribute(value_int=1)
    model.graph.node[0].attribute.add(name="many", type=onnx.AttributeProto.TENSORS).tensors.append(
        _far()
    )
    return model


def _in_sparse_list() -> onnx.ModelProto:
    model = _with_attribute(value_int=1)
    attribute = model.graph.node[0].attribute.add(name="many", type=12)
    attribute.sparse_tensors.append(_in_sparse("values"))
    return model


def _in_sparse_initializer(part: str) -> onnx.ModelProto:
    node = helper.make_node("Add", ["x", "w"], ["y"])
    model = model_of([node], [value("x", [4])], [value("y", [4])])
    sparse = _in_sparse(part)
    sparse.values.name = "w"
    model.graph.sparse_initializer.append(sparse)
    return model


def _subgraph() -> onnx.GraphProto:
    add = helper.make_node("Add", ["x", "w"], ["b"])
    return helper.make_graph([add], "branch", [], [value("b", [4])], [_far()])


def _in_subgraph() -> onnx.ModelProto:
    branch = _subgraph()
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    condition = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    return model_of([node], [value("x", [4])], [value("y", [4])], [condition])


def _function(*, default: bool) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("local", 1)]
    constant = helper.make_node("Constant", [], ["w"])
    if default:
        constant.attribute.add(name="value", ref_attr_name="v", type=onnx.AttributeProto.TENSOR)
    else:
        constant.attribute.append(helper.make_attribute("value", _far()))
    body = [constant, helper.make_node("Add", ["a", "w"], ["b"])]
    function = helper.make_function("local", "F", ["a"], ["b"], body, opsets)
    if default:
        function.attribute_proto.append(helper.make_attribute("v", _far()))
    node = helper.make_node("F", ["x"], ["y"], domain="local")
    graph = helper.make_graph([node], "g", [value("x", [4])], [value("y", [4])])
    return helper.make_model(
        graph, functions=[function], opset_imports=opsets, ir_version=IR_VERSION
    )


def _in_training() -> onnx.ModelProto:
    model = model_of([helper.make_node("Relu", ["x"], ["y"])])
    model.training_info.add().algorithm.CopyFrom(_subgraph())
    return model


def _hidden(place: str, make: Callable[[], onnx.ModelProto]) -> Case:
    name = f"external data: `..` in {place}"
    return refused(name, 41, "external-data-escapes", of_model(make))


def _missing_shard(folder: Path) -> Path:
    """Forty data files, of which one is not there."""
    names = [f"model-{index:05}-of-00040.bin" for index in range(40)]
    constants = []
    for name in names:
        constants.append(tensor(location=name, offset=0, length=DATA_BYTES))
        constants[-1].name = name
        (folder / name).write_bytes(bytes(DATA_BYTES))
    (folder / names[17]).unlink()
    node = helper.make_node("Sum", ["x", *names], ["y"])
    return of_model(lambda: model_of([node], [value("x", [4])], [value("y", [4])], constants))(
        folder
    )


_HUGE = 1 << 62

EXTERNAL: tuple[Case, ...] = (
    _case("`..`", "escapes", tensor(location="../secret.bin")),
    _case("`junk/..`", "escapes", tensor(location="junk/../../secret.bin")),
    _case("`..` that stays inside", "escapes", tensor(location="junk/../w.bin")),
    _case("absolute", "escapes", tensor(location="/etc/passwd")),
    _case("backslashes", "escapes", tensor(location="..\\secret.bin")),
    _case("no location", "malformed", tensor(offset=0)),
    _case("empty location", "malformed", tensor(location="")),
    _case("location `.`", "malformed", tensor(location="./.")),
    _case("location with NUL", "malformed", tensor(location="w.bin\0.txt")),
    _case("memory marker", "in-memory", tensor(location="*/_ORT_MEM_ADDR_/*", offset=94_000_000)),
    _case("missing", "missing", tensor(location="gone.bin")),
    _case("location of 60,000 characters", "unreadable", tensor(location="w" * 60_000)),
    _case("file as a folder", "unreadable", tensor(location="w.bin/w.bin")),
    _case("negative offset", "malformed", tensor(location="w.bin", offset=-1)),
    _case("huge offset", "size", tensor(location="w.bin", offset=_HUGE)),
    _case("offset of 30 digits", "malformed", tensor(location="w.bin", offset="9" * 30)),
    _case("offset of 5,000 digits", "malformed", tensor(location="w.bin", offset="9" * 5000)),
    _case("offset 1e3", "malformed", tensor(location="w.bin", offset="1e3")),
    _case("offset 0x10", "malformed", tensor(location="w.bin", offset="0x10")),
    _case("offset in Arabic digits", "malformed", tensor(location="w.bin", offset="\u0661")),
    _case("offset past the end", "size", tensor(location="w.bin", offset=1)),
    _case("negative length", "malformed", tensor(location="w.bin", length=-16)),
    _case("huge length", "size", tensor(location="w.bin", length=_HUGE)),
    _case("length that is no number", "malformed", tensor(location="w.bin", length="all")),
    _case("length of another shape", "size", tensor(location="w.bin", length=12)),
    _case("unknown key", "malformed", tensor(location="w.bin", run="sh -c id")),
    _case("basepath", "malformed", tensor(location="w.bin", basepath="/")),
    _case(
        "duplicate key",
        "malformed",
        _tensor([("location", "w.bin"), ("location", "../secret.bin")]),
    ),
    _with_file("symlink", "link", lambda at: (at / "w.bin").symlink_to("../outside/secret.bin")),
    _with_file("symlink that stays inside", "link", _symlink_inside),
    _with_file("symlink to nothing", "link", lambda at: (at / "w.bin").symlink_to("gone")),
    _with_file("parent symlink", "link", _symlink_parent, "data/secret.bin"),
    _with_file("hard link", "link", lambda at: os.link(at / "../outside/secret.bin", at / "w.bin")),
    _with_file("fifo", "not-regular", lambda at: os.mkfifo(at / "w.bin")),
    _with_file("folder", "not-regular", lambda at: (at / "w.bin").mkdir()),
    _with_file("/dev/zero", "link", lambda at: (at / "w.bin").symlink_to("/dev/zero")),
    _with_file("too short", "size", lambda at: (at / "w.bin").write_bytes(bytes(DATA_BYTES - 1))),
    _hidden("an attribute", lambda: _with_attribute(value=_far())),
    _hidden("an attribute of another type", _in_hidden_attribute),
    _hidden("a list of tensors", _in_tensor_list),
    _hidden("a sparse attribute", lambda: _with_attribute(sparse_value=_in_sparse("values"))),
    _hidden("a list of sparse tensors", _in_sparse_list),
    _hidden("sparse values", lambda: _in_sparse_initializer("values")),
    _hidden("sparse indices", lambda: _in_sparse_initializer("indices")),
    _hidden("a subgraph", _in_subgraph),
    _hidden("a function", lambda: _function(default=False)),
    _hidden("a function's default", lambda: _function(default=True)),
    _hidden("training info", _in_training),
    refused("external data: missing shard", 42, "external-data-missing", _missing_shard),
)
