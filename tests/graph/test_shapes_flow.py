"""Shapes through If, Loop, Scan and SequenceMap."""

from __future__ import annotations

import time

import pytest
from onnx import ModelProto, TensorProto, helper

from tests.graph.shaping import infer_model, infer_text, model_of, node_of, shape

# ---------------------------------------------------------------------------------------------- If

BRANCHES = """
net (bool c, float[N, 6] x) => (float[] z) <bool always = {1}> {
  y = If (CONDITION) <then_branch = t () => (o) { THEN }, else_branch = e () => (o) { ELSE }>
  z = Neg(y)
}
"""


def branches(then: str, other: str, condition: str = "c") -> str:
    text = BRANCHES.replace("THEN", then).replace("ELSE", other)
    return text.replace("CONDITION", condition)


def test_dims_on_which_branches_agree_are_known() -> None:
    slices = "s = Constant <value_ints = [0]> () k = Constant <value_ints = [{}]> () "
    one = "one = Constant <value_ints = [1]> () o = Slice(x, s, k, one)"
    graph = infer_text(branches(slices.format(2) + one, slices.format(4) + one))
    assert shape(graph, "z") == ["N", "If_n"]
    assert shape(node_of(graph, "If").graphs["else_branch"], "o") == ["N", 4]


def test_branches_of_different_ranks_leave_the_shape_open() -> None:
    graph = infer_text(branches("o = Flatten <axis = 0> (x)", "o = ReduceSum <keepdims = 0> (x)"))
    assert graph.outputs[0].shape is None


def test_a_constant_condition_takes_its_branch() -> None:
    graph = infer_text(branches("o = Transpose(x)", "o = ReduceSum <keepdims = 0> (x)", "always"))
    assert shape(graph, "z") == [6, "N"]


def test_a_branch_may_hand_on_a_value_of_the_graph_around_it() -> None:
    model = model_of(branches("o = Abs(x)", "o = Neg(x)"))
    then = model.graph.node[0].attribute[0].g
    del then.node[:]
    then.output[0].name = "x"
    graph = infer_model(model)
    assert node_of(graph, "If").graphs["then_branch"].outputs[0] is graph.inputs[1]
    assert shape(graph, "z") == ["N", 6]


# -------------------------------------------------------------------------------------------- Loop

LOOP = """
net (int64 m, bool go, float[N, 4] x) => (float[] last, float[] all) <int64 five = {5}, bool t = {1}> {
  a, b = Loop (LIMIT, CONDITION, x) <body = run (int64 i, bool c, float[] v) => (bool d, float[] w, float[] s) {
    d = NEXT
    w = STEP
    s = ReduceSum <keepdims = 0> (v)
  }>
  last = Neg(a)
  all = Neg(b)
}
"""  # noqa: E501


def loop(
    limit: str, condition: str = "t", following: str = "Identity(c)", step: str = "Abs(v)"
) -> str:
    text = LOOP.replace("LIMIT", limit).replace("CONDITION", condition)
    return text.replace("NEXT", following).replace("STEP", step)


def test_a_constant_limit_counts_the_runs() -> None:
    graph = infer_text(loop("five"))
    assert node_of(graph, "Loop").trips == 5
    assert shape(graph, "last") == ["N", 4]
    assert shape(graph, "all") == [5]
    body = node_of(graph, "Loop").graphs["body"]
    assert shape(body, "v") == shape(body, "w") == ["N", 4]


def test_a_condition_that_may_end_a_loop_leaves_the_results_open() -> None:
    graph = infer_text(loop("five", "go"))
    assert node_of(graph, "Loop").trips == 5  # at most
    assert shape(graph, "all") == ["Loop_n1"]
    graph = infer_text(loop("five", following="And(go, c)"))
    assert shape(graph, "all") == ["Loop_n1"]


def test_a_limit_that_is_not_known_is_a_symbol() -> None:
    graph = infer_text(loop("m"))
    assert str(node_of(graph, "Loop").trips) == "n_Loop_0"
    assert shape(graph, "all") == ["n_Loop_0"]
    assert shape(infer_text(loop("m"), dims={"n_Loop_0": 7}), "all") == [7]


def test_a_limit_may_be_an_open_dim() -> None:
    text = (
        loop("m")
        .replace("int64 m, ", "")
        .replace(
            "{\n  a, b", "{\n  size = Shape <start = 0, end = 1> (x) m = Squeeze(size)\n  a, b", 1
        )
    )
    graph = infer_text(text)
    assert str(node_of(graph, "Loop").trips) == "N"
    assert shape(graph, "all") == ["N"]


def test_a_shape_that_grows_from_run_to_run_is_open() -> None:
    graph = infer_text(loop("five", step="Concat <axis = 1> (v, x)"))
    body = node_of(graph, "Loop").graphs["body"]
    assert shape(body, "v") == ["N", "Loop_v_1"]
    assert shape(body, "w") == ["N", "Loop_v_1 + 4"]
    assert shape(graph, "last") == ["N", "Loop_n"]


def test_a_rank_that_changes_from_run_to_run_is_open() -> None:
    graph = infer_text(loop("five", step="Unsqueeze(v, axis)").replace(
        "int64 five = {5}", "int64 five = {5}, int64[1] axis = {0}"))  # fmt: skip
    assert graph.outputs[0].shape is None


def nest_of_loops(depth: int) -> ModelProto:
    """Return loops inside one another, each of which needs three looks at its body."""
    step = [helper.make_node("Concat", ["v", "w0"], ["y"], axis=0)]
    for level in range(depth):
        body = helper.make_graph(
            [*step, helper.make_node("Identity", ["c"], ["d"])],
            "body",
            [helper.make_tensor_value_info("i", TensorProto.INT64, []),
             helper.make_tensor_value_info("c", TensorProto.BOOL, []),
             helper.make_tensor_value_info("v", TensorProto.FLOAT, None)],
            [helper.make_tensor_value_info("d", TensorProto.BOOL, []),
             helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        )  # fmt: skip
        outer = "w0" if level == depth - 1 else "v"
        step = [helper.make_node("Loop", ["m", "", outer], ["y"], body=body)]
    graph = helper.make_graph(
        step,
        "net",
        [helper.make_tensor_value_info("w0", TensorProto.FLOAT, [3]),
         helper.make_tensor_value_info("m", TensorProto.INT64, [])],
        [helper.make_empty_tensor_value_info("y")],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def test_loops_inside_loops_take_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxbench.graph.flow.MAX_VISITS", 2_000)
    start = time.perf_counter()
    graph = infer_model(nest_of_loops(15))
    assert time.perf_counter() - start < 10
    assert sum(1 for _ in graph.walk()) == 16


# -------------------------------------------------------------------------------------------- Scan


def test_a_scan_runs_once_for_each_element() -> None:
    graph = infer_text("""
    net (float[4] s, float[B, 9, T] x) => (float[] last, float[] all) {
      a, b = Scan <num_scan_inputs = 1, scan_input_axes = [2], scan_output_axes = [1],
                   body = step (float[] v, float[] e) => (float[] w, float[] o) {
        total = ReduceSum <keepdims = 0> (e)
        w = Add(v, total)
        o = Neg(e)
      }> (s, x)
      last = Neg(a)
      all = Neg(b)
    }
    """)
    scan = node_of(graph, "Scan")
    assert str(scan.trips) == "T"
    assert shape(scan.graphs["body"], "e") == ["B", 9]
    assert shape(graph, "last") == [4]
    assert shape(graph, "all") == ["B", "T", 9]


def test_a_scan_of_opset_8_has_a_batch() -> None:
    body = helper.make_graph(
        [helper.make_node("Add", ["v", "e"], ["w"]), helper.make_node("Neg", ["e"], ["o"])],
        "step",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("v", "e")],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("w", "o")],
    )
    graph = helper.make_graph(
        [helper.make_node("Scan", ["", "s", "x"], ["a", "b"], body=body, num_scan_inputs=1)],
        "net",
        [helper.make_tensor_value_info("s", TensorProto.FLOAT, ["B", 5]),
         helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 7, 5])],
        [helper.make_empty_tensor_value_info("a"), helper.make_empty_tensor_value_info("b")],
    )  # fmt: skip
    made = infer_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)]))
    assert shape(node_of(made, "Scan").graphs["body"], "e") == [5]
    assert shape(made, "a") == ["B", 5]
    assert shape(made, "b") == ["B", 7, 5]


# ------------------------------------------------------------------------------------- SequenceMap


def test_the_body_of_a_sequence_map_gets_the_elements() -> None:
    graph = infer_text("""
    net (float[N, 3] x, float[3, 2] w) => (float[] y) {
      s = SequenceConstruct(x, x, x)
      r = SequenceMap (s, w) <
        body = each (float[] e, float[] k) => (float[] o) { o = MatMul(e, k) }
      >
      zero = Constant <value_int = 0> ()
      e = SequenceAt(r, zero)
      y = Neg(e)
    }
    """)  # fmt: skip
    node = node_of(graph, "SequenceMap")
    assert node.trips == 3
    assert shape(node.graphs["body"], "o") == ["N", 2]
    assert shape(graph, "y") == ["N", 2]
