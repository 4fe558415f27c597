"""Models that pre-flight lets pass and that no runtime runs well: 13 to 18 and 32 to 40."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.corpus.case import NOT_TAKEN, STOPPED, Case, model_of, of_model, value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxbench.types import Status

HOSTILE_NAMES: tuple[str, ...] = (
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b2J",
    "[/foo]",
    "[bold red]x[/]",
    "[link=file:///etc/passwd]x[/link]",
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\u202egnp.exe",
    "\u2066\u2069\u200b\ufeff",
    "nul\0byte",
    "line\nbreak\r\ttab",
    "\u2028\u2029",
    "=1+cmd|' /C calc'!A0",
    "@SUM(1)",
    "-1",
    "| a | b |",
    "`code` [text](javascript:alert(1))",
    "::error file=x::owned",
    "../../etc/passwd",
    "CON",
    "$(id)",
    "'; DROP TABLE records; --",
    "{0.__class__}",
    "%s%s%n",
)
"""Names that hurt a terminal, a table, a spreadsheet, a page, a log, a shell or a file system."""

_OK: frozenset[Status] = frozenset({"ok"})
_WRONG: frozenset[Status] = frozenset({"wrong-output"})
_CRASHED: frozenset[Status] = frozenset({"crashed"})


def _ints(name: str, numbers: Sequence[int]) -> TensorProto:
    return numpy_helper.from_array(np.array(numbers, dtype=np.int64), name)


def _scalar(name: str, number: object, dtype: type) -> TensorProto:
    return numpy_helper.from_array(np.array(number, dtype=dtype), name)


def _named(name: str) -> onnx.ModelProto:
    middle = name + "2"
    nodes = [
        helper.make_node("Relu", [name], [middle], name=name),
        helper.make_node("Relu", [middle], [name + "3"], name=name + "\n"),
    ]
    model = model_of(nodes, [value(name)], [value(name + "3")])
    model.graph.name = model.producer_name = model.doc_string = name
    return model


def _nested_if(depth: int) -> onnx.ModelProto:
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y0"])], "g0", [], [value("y0")])
    for level in range(1, depth + 1):
        out = f"y{level}"
        other = helper.make_graph(
            [helper.make_node("Abs", ["x"], [f"e{level}"])], "e", [], [value(f"e{level}")]
        )
        node = helper.make_node("If", ["c"], [out], then_branch=graph, else_branch=other)
        graph = helper.make_graph([node], f"g{level}", [], [value(out)])
    return model_of(
        graph.node,
        [value("x"), value("c", [], TensorProto.BOOL)],
        graph.output,
    )


def _chain(length: int) -> onnx.ModelProto:
    names = ["x", *(f"v{index}" for index in range(1, length)), "y"]
    return model_of([helper.make_node("Neg", [a], [b]) for a, b in itertools.pairwise(names)])


def _many_inputs(count: int) -> onnx.ModelProto:
    names = [f"x{index}" for index in range(count)]
    return model_of([helper.make_node("Sum", names, ["y"])], [value(name) for name in names])


def _expand(dims: Sequence[int]) -> onnx.ModelProto:
    shape = _ints("shape", dims)
    node = helper.make_node("Expand", ["x", "shape"], ["y"])
    return model_of([node], [value("x", [1])], [value("y", None)], [shape])


def _loop(
    body: Sequence[onnx.NodeProto], state: onnx.ValueInfoProto, *, scan: bool
) -> onnx.ModelProto:
    """A Loop without a trip count whose condition stays true."""
    outputs = [value("c_out", [], TensorProto.BOOL), value("s_out", None)]
    nodes = [helper.make_node("Identity", ["c_in"], ["c_out"]), *body]
    if scan:
        outputs.append(value("grown", None))
        nodes.append(helper.make_node("Identity", ["s_in"], ["grown"]))
    graph = helper.make_graph(
        nodes,
        "body",
        [value("i", [], TensorProto.INT64), value("c_in", [], TensorProto.BOOL), state],
        outputs,
    )
    results = ["final", "y"] if scan else ["y"]
    node = helper.make_node("Loop", ["", "c", "x"], results, body=graph)
    return model_of([node], None, [value("y", None)], [_scalar("c", True, np.bool_)])


def _endless() -> onnx.ModelProto:
    return _loop([helper.make_node("Neg", ["s_in"], ["s_out"])], value("s_in"), scan=False)


def _endless_scan() -> onnx.ModelProto:
    return _loop([helper.make_node("Neg", ["s_in"], ["s_out"])], value("s_in"), scan=True)


def _doubling() -> onnx.ModelProto:
    grow = helper.make_node("Concat", ["s_in", "s_in"], ["s_out"], axis=0)
    return _loop([grow], value("s_in", None), scan=False)


def _conv(rank: int, **attributes: Any) -> onnx.ModelProto:
    weights = numpy_helper.from_array(np.ones((1, 1, 3, 3), dtype=np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    return model_of([node], [value("x", [1] * (rank - 2) + [8, 8])], [value("y", None)], [weights])


def _divide() -> onnx.ModelProto:
    zero = numpy_helper.from_array(np.zeros(2, dtype=np.int32), "zero")
    node = helper.make_node("Div", ["x", "zero"], ["y"])
    int32 = TensorProto.INT32
    return model_of([node], [value("x", [2], int32)], [value("y", [2], int32)], [zero])


def _divide_by_result() -> onnx.ModelProto:
    """The divisor is only known when the model runs: the processor traps."""
    nodes = [
        helper.make_node("Sub", ["x", "x"], ["zero"]),
        helper.make_node("Div", ["x", "zero"], ["y"]),
    ]
    int32 = TensorProto.INT32
    return model_of(nodes, [value("x", [2], int32)], [value("y", [2], int32)])


def _gather(index: int | None) -> onnx.ModelProto:
    """A table of 7 rows; ``index`` None: the rows are an input."""
    table = numpy_helper.from_array(np.ones((7, 2), dtype=np.float32), "table")
    node = helper.make_node("Gather", ["table", "rows"], ["y"])
    if index is None:
        return model_of(
            [node], [value("rows", [3], TensorProto.INT64)], [value("y", None)], [table]
        )
    pair = helper.make_node("Add", ["x", "row"], ["y"])
    node.output[0] = "row"
    return model_of([node, pair], constants=[table, _scalar("rows", index, np.int64)])


def _reshape(dims: Sequence[int]) -> onnx.ModelProto:
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    return model_of([node], None, [value("y", None)], [_ints("shape", dims)])


def _divided_by_zero_floats() -> onnx.ModelProto:
    zero = numpy_helper.from_array(np.zeros(2, dtype=np.float32), "zero")
    nodes = [
        helper.make_node("Mul", ["x", "zero"], ["none"]),
        helper.make_node("Div", ["none", "zero"], ["y"]),
    ]
    return model_of(nodes, constants=[zero])


def _random() -> onnx.ModelProto:
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["noise"]),
        helper.make_node("Add", ["x", "noise"], ["y"]),
    ]
    return model_of(nodes)


def _identity(made: onnx.TypeProto) -> onnx.ModelProto:
    node = helper.make_node("Identity", ["x"], ["y"])
    inputs, outputs = helper.make_value_info("x", made), helper.make_value_info("y", made)
    return model_of([node], [inputs], [outputs], opset=21)


def _tensor_type(dtype: int) -> onnx.TypeProto:
    return helper.make_tensor_type_proto(dtype, [2])


def _case(
    name: str,
    number: int,
    make: Callable[[], onnx.ModelProto],
    statuses: frozenset[Status],
    note: str = "",
) -> Case:
    return Case(name, number, of_model(make), "run", None, statuses, note)


_NOT_MADE: frozenset[Status] = frozenset({"skipped", "unsupported", "error"})
"""How a model ends whose inputs nothing here can make."""

_FLOATS = _tensor_type(TensorProto.FLOAT)
_TYPES: tuple[tuple[str, onnx.TypeProto, frozenset[Status]], ...] = (
    ("string", _tensor_type(TensorProto.STRING), _OK),
    ("bfloat16", _tensor_type(TensorProto.BFLOAT16), _OK | NOT_TAKEN),
    ("float8", _tensor_type(TensorProto.FLOAT8E4M3FN), _OK | NOT_TAKEN),
    ("int4", _tensor_type(TensorProto.INT4), _OK | _NOT_MADE),
    ("sequence", helper.make_sequence_type_proto(_FLOATS), _NOT_MADE),
    ("optional", helper.make_optional_type_proto(_FLOATS), _NOT_MADE),
)

RUNNING: tuple[Case, ...] = (
    _case("If nested 20 deep", 13, lambda: _nested_if(20), _OK | NOT_TAKEN),
    _case("chain of 20,000 nodes", 14, lambda: _chain(20_000), _OK | STOPPED | NOT_TAKEN),
    _case("5,000 inputs", 15, lambda: _many_inputs(5_000), _OK | NOT_TAKEN),
    *(
        _case(
            f"hostile name {index}",
            18 if hostile == "[/foo]" else 17,
            functools.partial(_named, hostile),
            _OK | NOT_TAKEN,
            "the name must reach no output raw",
        )
        for index, hostile in enumerate(HOSTILE_NAMES)
    ),
    _case("64 GiB output", 32, lambda: _expand([1 << 34]), STOPPED | NOT_TAKEN | _CRASHED),
    _case("overflowing output", 32, lambda: _expand([1 << 40, 1 << 40]), STOPPED | NOT_TAKEN),
    _case("endless Loop", 33, _endless, STOPPED),
    _case("endless Loop that collects", 33, _endless_scan, STOPPED | NOT_TAKEN),
    _case("endless Loop that doubles", 33, _doubling, STOPPED | NOT_TAKEN),
    _case("Conv of rank 3 on weights of rank 4", 34, lambda: _conv(3), NOT_TAKEN),
    _case("Conv with stride 0", 34, lambda: _conv(4, strides=[0, 0]), NOT_TAKEN | _CRASHED),
    _case("integer division by zero", 35, _divide, NOT_TAKEN | _CRASHED),
    _case("integer division by a result", 35, _divide_by_result, NOT_TAKEN | _CRASHED),
    _case("Gather out of range", 36, lambda: _gather(1000), NOT_TAKEN),
    _case("index that needs a range", 36, lambda: _gather(None), _OK, "rows lie in [0, 7)"),
    _case("Reshape to another size", 37, lambda: _reshape([3, 5]), NOT_TAKEN),
    _case("Reshape with two -1", 37, lambda: _reshape([-1, -1]), NOT_TAKEN),
    _case("NaN output", 38, _divided_by_zero_floats, _OK | _WRONG),
    _case("random output", 39, _random, _OK | _WRONG),
    *(
        _case(f"{name} input", 40, functools.partial(_identity, made), statuses)
        for name, made, statuses in _TYPES
    ),
)
