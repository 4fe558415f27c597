"""Functions of a model are put where they are called; files that would explode are left alone."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator

from onnxbench.graph import functions
from onnxbench.graph.functions import inline
from tests.graph.shaping import infer_model, infer_text, model_of, node_of, shape

DENSE = """
<opset_import: ["" : 18], domain: "local">
dense <slope> (x, w) => (y) {
  one = Constant <value = float[1] {2.0}> ()
  product = MatMul(x, w)
  scaled = Mul(product, one)
  y = LeakyRelu <alpha: float = @slope> (scaled)
}
"""


def test_calls_are_inlined_at_their_own_shapes() -> None:
    graph = infer_text("""
    net (float[N, 4] x, float[4, 5] w, float[5, 6] v) => (float[N, 6] z) {
      y = local.dense <slope = 0.1> (x, w)
      z = local.dense <slope = 0.2> (y, v)
    }
    """, DENSE)  # fmt: skip
    products = [node for node in graph.nodes if node.op == "MatMul"]
    assert [node.output().dims[1] for node in products] == [5, 6]
    slopes = [node.attribute("alpha") for node in graph.nodes if node.op == "LeakyRelu"]
    assert np.allclose(slopes, [0.1, 0.2])
    assert shape(graph, "z") == ["N", 6]


def test_a_constant_in_a_body_is_one_stored_object() -> None:
    graph = infer_text("""
    net (float[N, 4] x, float[4, 4] w) => (float[N, 4] z) {
      y = local.dense <slope = 0.1> (x, w)
      k = Constant <value = float[1] {2.0}> ()
      z = local.dense <slope = 0.2> (y, w)
    }
    """, DENSE)  # fmt: skip
    first, own, second = [node.output() for node in graph.nodes if node.op == "Constant"]
    assert first is not second
    assert first.stored == second.stored is not None
    assert own.stored is None


def test_inlined_nodes_are_called_after_the_call_and_keep_notes() -> None:
    model = model_of("net (float[2, 4] x, float[4, 4] w) => (float[2, 4] y) {"
                     "y = local.dense <slope = 0.1> (x, w) }", DENSE)  # fmt: skip
    model.graph.node[0].name = "block1"
    model.graph.node[0].metadata_props.add(key="scope", value="model.block1")
    model.functions[0].node[1].name = "product"
    model.functions[0].node[1].metadata_props.add(key="own", value="yes")
    graph = infer_model(model)
    product = node_of(graph, "MatMul")
    assert product.name == "block1/product"
    assert {each.key: each.value for each in product.proto.metadata_props} == {
        "scope": "model.block1",
        "own": "yes",
    }


def test_functions_may_call_functions_in_branches() -> None:
    bodies = (
        DENSE
        + """
    <opset_import: ["" : 18, "local" : 1], domain: "local">
    either <slope> (c, x, w) => (y) {
      h = Abs(x)
      y = If (c) <
        then_branch = t () => (o) { o = local.dense <slope: float = @slope> (h, w) },
        else_branch = e () => (o) { m = Neg(h) o = MatMul(m, w) }
      >
    }
    """
    )
    graph = infer_text("""
    net (bool c, float[N, 4] x, float[4, 5] w) => (float[N, 5] a, float[N, 5] b) {
      a = local.either <slope = 0.1> (c, x, w)
      b = local.either <slope = 0.1> (c, x, w)
    }
    """, bodies)  # fmt: skip
    assert shape(graph, "a") == shape(graph, "b") == ["N", 5]
    assert [node.op for node in node_of(graph, "If").graphs["then_branch"].nodes] == [
        "Constant", "MatMul", "Mul", "LeakyRelu",
    ]  # fmt: skip
    names = [name for each in graph.walk() for name in each.values]
    assert len(names) == len(set(names))


def test_missing_inputs_and_outputs_and_aliases_stay_right() -> None:
    bodies = """
    <opset_import: ["" : 18], domain: "local">
    odd (x, low) => (same, y, unused) { same = Identity(x) y = Clip(x, low) unused = Neg(x) }
    <opset_import: ["" : 18], domain: "local">
    through (x) => (x) { n = Neg(x) }
    """
    model = model_of("""
    net (float[2, 3] x) => (float[2, 3] b, float[2, 3] d) {
      a, b = local.odd(x)
      d = local.through(a)
    }
    """, bodies)  # fmt: skip
    graph = infer_model(model)
    assert node_of(graph, "Clip").optional(1) is None
    inline(model)
    checker.check_model(model)
    given = np.array([[-2, -1, 0], [1, 2, 3]], np.float32)
    found = ReferenceEvaluator(model).run(None, {"x": given})
    assert [np.array_equal(each, given) for each in found] == [True, True]


def test_a_default_of_a_function_counts_where_the_call_says_nothing() -> None:
    bodies = """
    <opset_import: ["" : 18], domain: "local">
    soft <alpha: float = 0.3> (x) => (y) { y = LeakyRelu <alpha: float = @alpha> (x) }
    """
    graph = infer_text(
        "net (float[2] x) => (float[2] z) { y = local.soft(x) z = local.soft <alpha = 0.7> (y) }",
        bodies,
    )
    slopes = [node.attribute("alpha") for node in graph.nodes]
    assert np.allclose(slopes, [0.3, 0.7])


def test_a_body_means_the_operators_of_its_own_opset() -> None:
    """ReduceMean takes its axes as an attribute until opset 17 and as an input from 18 on."""
    bodies = """
    <opset_import: ["" : 13], domain: "local">
    mean (x) => (y) { y = ReduceMean <axes = [1], keepdims = 0> (x) }
    """
    graph = infer_text(
        "net (float[N, 4, 5] x) => (float[N, 5] z) { y = local.mean(x) z = Neg(y) }", bodies
    )
    assert shape(graph, "y") == ["N", 5]
    assert node_of(graph, "ReduceMean").opset == 13
    assert node_of(graph, "Neg").opset == 18


# ---------------------------------------------------------------------------------- hostile files


def nest(length: int, calls: int, *, inside_if: bool = False) -> ModelProto:
    """Return a model of ``length`` functions, each of which calls the next one ``calls`` times."""
    made = []
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    for index in range(length):
        last = index == length - 1
        nodes = [
            helper.make_node("Relu" if last else f"f{index + 1}", [f"y{call}"], [f"y{call + 1}"],
                             domain="" if last else "local")
            for call in range(calls)
        ]  # fmt: skip
        if inside_if:
            condition = helper.make_node("Constant", [], ["c"], value_ints=[1])
            branch = helper.make_graph(
                nodes, "b", [], [helper.make_empty_tensor_value_info(f"y{calls}")]
            )
            other = helper.make_graph([helper.make_node("Neg", ["y0"], ["n"])], "o", [],
                                      [helper.make_empty_tensor_value_info("n")])  # fmt: skip
            choice = helper.make_node("If", ["c"], [f"y{calls}"])
            choice.attribute.append(helper.make_attribute("then_branch", branch))
            choice.attribute.append(helper.make_attribute("else_branch", other))
            nodes = [condition, choice]
        made.append(
            helper.make_function("local", f"f{index}", ["y0"], [f"y{calls}"], nodes, opsets)
        )
    graph = helper.make_graph(
        [helper.make_node("f0", ["x"], ["y"], domain="local"),
         helper.make_node("Neg", ["x"], ["z"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_empty_tensor_value_info("y"), helper.make_empty_tensor_value_info("z")],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=opsets, functions=made)


def check_is_left_alone(model: ModelProto, why: str) -> None:
    start = time.perf_counter()
    graph = infer_model(model)
    assert time.perf_counter() - start < 10
    assert [node.op for node in graph.nodes] == ["f0", "Neg"]
    assert graph.outputs[0].shape is None
    assert shape(graph, "z") == [2]
    (note,) = graph.notes
    assert why in note


def test_two_calls_in_each_of_a_hundred_functions_are_left_alone() -> None:
    check_is_left_alone(nest(90, 2), "nodes")


def test_a_chain_of_three_thousand_functions_is_left_alone() -> None:
    check_is_left_alone(nest(3000, 1), "3,000 calls")


def test_subgraphs_in_functions_stay_within_what_parsers_take() -> None:
    check_is_left_alone(nest(40, 1, inside_if=True), "40 subgraphs")


def test_calls_that_fit_are_expanded() -> None:
    graph = infer_model(nest(90, 1))
    assert [node.op for node in graph.nodes] == ["Relu", "Neg"]
    assert graph.notes == []
    assert len(infer_model(nest(10, 2)).nodes) == 2**10 + 1
    assert shape(infer_model(nest(20, 1, inside_if=True)), "y") == [2]


def test_the_limit_is_on_all_calls_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "MAX_NODES", 3000)
    model = nest(10, 2)  # 1,024 nodes in each call of f0
    for index in range(3):
        model.graph.node.append(helper.make_node("f0", ["x"], [f"u{index}"], domain="local"))
    found = inline(model)
    assert len(found.notes) == 1
    assert Counter(node.op_type for node in model.graph.node) == {"Relu": 2048, "f0": 2, "Neg": 1}


def test_a_function_that_calls_itself_is_left_alone() -> None:
    bodies = """
    <opset_import: ["local" : 1], domain: "local"> f0 (x) => (y) { y = local.g(x) }
    <opset_import: ["local" : 1], domain: "local"> g (x) => (y) { y = local.f0(x) }
    """
    graph = infer_text("net (float[2] x) => (float[2] z) { y = local.f0(x) z = Neg(x) }", bodies)
    assert shape(graph, "z") == [2]
    assert len(graph.notes) == 1
    assert "calls itself" in graph.notes[0]
