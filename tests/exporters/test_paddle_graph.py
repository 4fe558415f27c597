from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from onnxbench.exporters._paddle_graph import Graph, name_batch

RNG = np.random.default_rng(0)
PICTURE = RNG.standard_normal((2, 3, 8, 8), np.float32)
WEIGHTS = {
    "w": RNG.standard_normal((4, 3, 3, 3), np.float32),
    "b": RNG.standard_normal(4, np.float32),
    "gamma": RNG.uniform(0.5, 1.5, 4).astype(np.float32),
    "beta": RNG.standard_normal(4, np.float32),
    "mean": RNG.standard_normal(4, np.float32),
    "variance": RNG.uniform(0.1, 2, 4).astype(np.float32),
}
NORM = ["gamma", "beta", "mean", "variance"]


def constant(name: str, values: list[int]) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(values)))


def written_by_paddle(*, readers: int = 1) -> onnx.ModelProto:
    """A convolution as paddle2onnx writes it: weights without values, bias by Reshape and Add."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3]),
        constant("shape", [1, 4, 1, 1]),
        helper.make_node("Identity", ["shape"], ["cast"]),
        helper.make_node("Reshape", ["b", "cast"], ["b4"]),
        helper.make_node("Add", ["c", "b4"], ["added"]),
        helper.make_node("Identity", ["added"], ["same"]),
        helper.make_node("BatchNormalization", ["same", *NORM], ["normed"], epsilon=1e-3),
        *[helper.make_node("Relu", ["same"], [f"r{i}"]) for i in range(readers - 1)],
        helper.make_node("Identity", ["normed"], ["fetch_name_0"]),
    ]
    return helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["d0", 3, 8, 8])],
            [helper.make_tensor_value_info("fetch_name_0", TensorProto.FLOAT, ["n", 4, 6, 6])],
        ),
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 18)],
    )


def untouched() -> Any:
    """The reference: the same graph with its weights, no rewriting."""
    model = written_by_paddle()
    graph = Graph(model.graph, WEIGHTS)
    graph.store()
    return run(model, "fetch_name_0")


def run(model: onnx.ModelProto, output: str) -> Any:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run([output], {"x": PICTURE})[0]


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_a_tidied_and_folded_graph_is_one_convolution_and_computes_the_same() -> None:
    model = written_by_paddle()
    graph = Graph(model.graph, WEIGHTS)
    graph.tidy()
    assert graph.fold_batch_norms() == 0
    graph.rename(model.graph.output[0].name, "logits")
    graph.store()
    assert operators(model) == ["Conv"]
    np.testing.assert_allclose(run(model, "logits"), untouched(), rtol=1e-5, atol=1e-5)


def test_without_folding_the_normalisation_stays_and_every_bit_of_the_weights() -> None:
    model = written_by_paddle()
    graph = Graph(model.graph, WEIGHTS)
    graph.tidy()
    graph.rename(model.graph.output[0].name, "logits")
    graph.store()
    assert operators(model) == ["Conv", "BatchNormalization"]
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    np.testing.assert_array_equal(stored["w"], WEIGHTS["w"])
    assert {"gamma", "beta", "mean", "variance"} < stored.keys()
    np.testing.assert_allclose(run(model, "logits"), untouched(), rtol=1e-5, atol=1e-5)


def test_a_normalisation_is_not_folded_where_something_else_reads_the_convolution() -> None:
    model = written_by_paddle(readers=2)
    graph = Graph(model.graph, WEIGHTS)
    graph.tidy()
    assert graph.fold_batch_norms() == 1
    graph.store()
    assert operators(model) == ["Conv", "BatchNormalization", "Relu"]


def test_names_without_a_value_are_missing() -> None:
    weights = {name: array for name, array in WEIGHTS.items() if name != "gamma"}
    assert Graph(written_by_paddle().graph, weights).missing() == {"gamma"}
    assert not Graph(written_by_paddle().graph, WEIGHTS).missing()


def test_a_shared_filter_keeps_its_values_for_the_convolution_that_is_not_normalised() -> None:
    model = written_by_paddle()
    model.graph.node.insert(0, helper.make_node("Conv", ["x", "w"], ["plain"]))
    model.graph.output.append(
        helper.make_tensor_value_info("plain", TensorProto.FLOAT, ["n", 4, 6, 6])
    )
    graph = Graph(model.graph, WEIGHTS)
    graph.tidy()
    graph.fold_batch_norms()
    graph.store()
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    np.testing.assert_array_equal(stored["w"], WEIGHTS["w"])
    np.testing.assert_allclose(
        run(model, model.graph.output[0].name), untouched(), rtol=1e-5, atol=1e-5
    )


def test_a_constant_of_no_dims_keeps_none() -> None:
    nodes = [
        constant("two", [2]),
        constant("scalar", []),
        constant("axis", [0]),
        helper.make_node("Reshape", ["two", "scalar"], ["nothing"]),
        helper.make_node("Unsqueeze", ["nothing", "axis"], ["again"]),
        helper.make_node("Gather", ["x", "nothing"], ["row"], axis=3),
        helper.make_node("Reshape", ["again", "scalar"], ["out"]),
    ]
    nodes[1].attribute[0].t.CopyFrom(numpy_helper.from_array(np.array([], np.int64)))
    model = written_by_paddle()
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.output.append(helper.make_tensor_value_info("row", TensorProto.FLOAT, ["n", 3, 8]))
    graph = Graph(model.graph, {})
    graph.tidy()
    graph.store()
    assert operators(model) == ["Gather"]
    np.testing.assert_array_equal(run(model, "row"), PICTURE[..., 2])


def test_the_open_first_dim_is_named_and_closed_ones_stay() -> None:
    graph = written_by_paddle().graph
    name_batch(graph.input, "batch")
    dims = graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["batch", 3, 8, 8]
