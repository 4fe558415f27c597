"""What the shapes of computed values follow from: inputs, and only last what the file declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from onnx import TensorProto, helper

from onnxbench.graph.profile import Binding
from onnxbench.graph.reader import strip
from onnxbench.graph.shapes import expand, infer
from tests.graph.shaping import infer_model, infer_text, model_of, node_of, shape

if TYPE_CHECKING:
    from pathlib import Path

    from tests.graph.conftest import RunChild

MLP = """
net (float[N, 8] x, float[8, 4] w) => (float[N, 4] y) { h = MatMul(x, w) y = Relu(h) }
"""


def test_every_value_of_the_light_networks_has_a_static_shape(light_model: Path) -> None:
    with light_model.open("rb") as file:
        graph = infer(strip(file.fileno()), Binding())
    for value in graph.values.values():
        assert value.shape is not None, value.name
        assert all(isinstance(dim, int) for dim in value.shape), value.name
    assert graph.notes == []


def test_a_static_network_needs_no_sympy(light_model: Path, run_child: RunChild) -> None:
    printed = run_child(
        """
        import sys
        from onnxbench.graph.profile import Binding
        from onnxbench.graph.reader import strip
        from onnxbench.graph.shapes import infer
        with open(sys.argv[1], "rb") as file:
            infer(strip(file.fileno()), Binding())
        print(*{"sympy", "onnx_ir", "onnxruntime"} & set(sys.modules))
        """.replace("\n        ", "\n"),
        light_model,
    )
    assert printed == "\n"


# ------------------------------------------------------------------------- what the file declares


def test_the_inputs_overrule_types_that_are_stale() -> None:
    model = model_of(MLP.replace("N", "2"))
    model.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, [2, 4]))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 16
    graph = infer_model(model)
    assert shape(graph, "h") == shape(graph, "y") == [16, 4]


def test_a_declared_type_fills_what_no_engine_knows() -> None:
    graph = infer_text("""
    net (float[N, 8] x) => (float[N, 3] y) <float[N, 5] h> { h = local.Magic(x) y = local.More(h) }
    """)
    assert shape(graph, "h") == ["N", 5]
    assert shape(graph, "y") == ["N", 3]
    assert graph.outputs[0].dtype == TensorProto.FLOAT


def test_one_stale_declaration_makes_all_of_them_worthless() -> None:
    graph = infer_text("""
    net (float[16, 8] x) => (float[2, 3] y) <float[2, 8] h> { h = Relu(x) y = local.Magic(h) }
    """)
    assert shape(graph, "h") == [16, 8]
    assert graph.outputs[0].shape is None
    assert len(graph.notes) == 1
    assert "contradict" in graph.notes[0]


def test_a_declared_name_fills_a_size_that_depends_on_data() -> None:
    graph = infer_text("net (float[N] x) => (int64[1, found] y) { y = NonZero(x) }")
    assert shape(graph, "y") == [1, "found"]
    bound = infer_text("net (float[N] x) => (int64[1, found] y) { y = NonZero(x) }",
                       dims={"found": 7})  # fmt: skip
    assert shape(bound, "y") == [1, 7]


def test_sizes_that_the_user_gives_reach_declared_types_too() -> None:
    graph = infer_text(
        "net (float[N, 8] x) => (float[N, 3] y) { y = local.Magic(x) }", dims={"N": 4}
    )
    assert shape(graph, "y") == [4, 3]


# --------------------------------------------------------------------------------- symbols, order


def test_open_dims_flow_through_the_network() -> None:
    graph = infer_text(MLP)
    assert shape(graph, "h") == ["N", 4]


def test_a_size_that_depends_on_data_is_named_after_its_node() -> None:
    graph = infer_text("net (float[N] x) => (int64[] z) { y = NonZero(x) z = Neg(y) }")
    assert shape(graph, "y") == shape(graph, "z") == [1, "NonZero_n"]


def test_equal_sizes_of_one_node_get_one_name() -> None:
    graph = infer_text("""
    net (float[9] x, int64[1] k) => (float[] z, int64[] j) {
      y, i = TopK(x, k) z = Neg(y) j = Neg(i)
    }
    """)
    assert shape(graph, "y") == shape(graph, "i") == ["TopK_n"]


def test_invented_names_can_be_bound() -> None:
    text = "net (float[N] x) => (int64[] z) { y = NonZero(x) z = Neg(y) }"
    graph = infer_text(text, dims={"NonZero_n": 300})
    assert shape(graph, "z") == [1, 300]


def test_nodes_are_put_in_an_order_in_which_they_can_run() -> None:
    model = model_of("""
    net (bool c, float[2, 3] x) => (float[2, 3] y) {
      a = Relu(x)
      b = Neg(a)
      y = If (c) <
        then_branch = t () => (o) { o = Add(b, a) }, else_branch = e () => (p) { p = Abs(b) }
      >
    }
    """)  # fmt: skip
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    graph = infer_model(model)
    assert [node.op for node in graph.nodes] == ["Relu", "Neg", "If"]
    assert shape(graph, "y") == shape(graph, "b") == [2, 3]


def test_a_graph_in_order_keeps_its_own() -> None:
    graph = infer_text("net (float[2] x) => (float[2] z) { b = Neg(x) a = Abs(x) z = Add(a, b) }")
    assert [node.op for node in graph.nodes] == ["Neg", "Abs", "Add"]


# -------------------------------------------------------------------------------------- constants


def test_what_follows_from_constants_alone_is_constant() -> None:
    graph = infer_text("""
    net (float[2, 3] x) => (float[2, 3] y) <float[3] w = {1, 2, 3}> {
      c = Constant <value_floats = [1.0, 2.0, 3.0]> ()
      sum = Add(w, c)
      r = RandomNormalLike(w)
      size = Shape(x)
      z = Add(x, sum)
      y = Add(z, r)
    }
    """)
    constant = {value.name for value in graph.values.values() if value.constant}
    assert constant == {"w", "c", "sum"}


def test_an_if_is_constant_unless_a_branch_reads_an_activation_or_draws_at_random() -> None:
    text = """
    net (float[2] x) => (float[2] y) <bool c = {1}, float[2] w = {1, 2}> {
      y = If (c) <then_branch = t () => (o) { o = BODY }, else_branch = e () => (p) { p = Abs(w) }>
    }
    """
    for body, constant in (("Neg(w)", True), ("Neg(x)", False), ("Add(w, x)", False),
                           ("RandomNormalLike(w)", False)):  # fmt: skip
        assert infer_text(text.replace("BODY", body)).outputs[0].constant is constant


def test_sibling_subgraphs_may_use_the_same_names() -> None:
    graph = infer_text("""
    net (bool c, float[2, 3] x) => (float[a, b] y) {
      y = If (c) <
        then_branch = t () => (o) { h = Transpose(x) o = Relu(h) },
        else_branch = e () => (o) { h = Flatten <axis = 0> (x) o = Relu(h) }
      >
    }
    """)
    branches = node_of(graph, "If").graphs
    assert shape(branches["then_branch"], "h") == [3, 2]
    assert shape(branches["else_branch"], "h") == [1, 6]


def test_what_an_exporter_notes_about_an_initializer_stays() -> None:
    model = model_of("net (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }")
    info = model.graph.value_info.add(name="w")
    info.metadata_props.add(key="kind", value="PARAMETER")
    assert infer_model(model).values["w"].metadata == {"kind": "PARAMETER"}


# ------------------------------------------------------------------ bodies of standard operators


def test_a_standard_function_expands_at_the_shapes_of_the_call() -> None:
    graph = infer_text("net (float[B, 6] x) => (float[B, 6] y) { y = Mish(x) }")
    node = node_of(graph, "Mish")
    body = expand(node)
    assert body is not None
    assert [each.op for each in body.nodes] == ["Softplus", "Tanh", "Mul"]
    assert body.inputs[0] is graph.inputs[0]
    assert all(output is not None and output.shape == graph.inputs[0].shape
               for each in body.nodes for output in each.outputs)  # fmt: skip


def test_an_attribute_of_the_call_reaches_the_body() -> None:
    graph = infer_text("net (float[B, 6] x) => (float[B, 6] y) { y = Elu <alpha = 0.5> (x) }")
    body = expand(node_of(graph, "Elu"))
    assert body is not None
    values = [each.value for each in body.values.values() if each.value is not None]
    assert 0.5 in [float(value.reshape(-1)[0]) for value in values]


def test_an_operator_without_a_body_does_not_expand() -> None:
    graph = infer_text(MLP)
    assert expand(node_of(graph, "MatMul")) is None


def test_a_function_that_no_engine_knows_gets_its_shape_from_its_body() -> None:
    graph = infer_text("""
    net (float[2, 8] x) => (float z) { y = MeanVarianceNormalization <axes = [1]> (x) z = Neg(y) }
    """)
    assert shape(graph, "y") == [2, 8]


@pytest.mark.parametrize("op", ["MatMulNBits", "SkipLayerNormalization"])
def test_contrib_operators_are_known(op: str) -> None:
    if op == "MatMulNBits":
        text = """
        net (float[B, S, 64] x, uint8[32, 2, 16] w, float[64] s) => (float[B, S, 32] y) {
          y = com.microsoft.MatMulNBits <K = 64, N = 32, bits = 4, block_size = 32> (x, w, s)
        }"""
    else:
        text = """
        net (float[B, S, 32] x, float[B, S, 32] skip, float[32] g) => (float[B, S, 32] y) {
          y = com.microsoft.SkipLayerNormalization (x, skip, g)
        }"""
    model = model_of(text)
    model.graph.output[0].ClearField("type")
    assert shape(infer_model(model), "y") == ["B", "S", 32]
