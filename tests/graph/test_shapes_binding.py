"""Sizes that the user gives: by batch, by the file's own names, by whole shapes."""

from __future__ import annotations

from typing import Any

import pytest
from onnx import ModelProto, TensorProto, helper

from onnxbench.errors import UsageError
from tests.graph.shaping import infer_model, shape

Dims = list[int | str | None]


def identity(**inputs: Dims) -> ModelProto:
    """Return a model that hands on every input, whose dims are sizes, names or open."""
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name in inputs],
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
         for name, dims in inputs.items()],
        [helper.make_empty_tensor_value_info(f"{name}_out") for name in inputs],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def shapes(model: ModelProto, **binding: Any) -> list[list[Any]]:
    graph = infer_model(model, **binding)
    return [shape(graph, value.name) for value in graph.outputs]


# --------------------------------------------------------------------------------- what is open


def test_names_of_the_file_are_symbols() -> None:
    graph = infer_model(identity(x=["batch", 3], y=["batch", "seq"]))
    assert [shape(graph, name) for name in ("x", "y")] == [["batch", 3], ["batch", "seq"]]
    assert graph.dim_names == {}


def test_other_names_get_an_identifier_and_are_remembered() -> None:
    graph = infer_model(identity(x=["sequence length", "größe", "3d", "max", "batch-size"]))
    identifiers = shape(graph, "x")
    assert len(set(identifiers)) == 5
    assert all(each.isidentifier() for each in identifiers)
    assert [graph.dim_names[each] for each in identifiers] == [
        "sequence length", "größe", "3d", "max", "batch-size",
    ]  # fmt: skip


def test_an_identifier_that_is_made_never_hits_a_name_of_the_file() -> None:
    graph = infer_model(identity(x=["batch-size", "batch_size", "batch size"]))
    first, second, third = shape(graph, "x")
    assert second == "batch_size"
    assert len({first, second, third}) == 3


def test_dims_without_a_name_differ_from_one_another() -> None:
    assert shapes(identity(x=[None, None, 3])) == [["x_0", "x_1", 3]]


@pytest.mark.parametrize("text", ["?", "-1", "None", "*", "unk__7"])
def test_a_name_that_says_nothing_is_not_one_size(text: str) -> None:
    assert shapes(identity(x=[text, text])) == [["x_0", "x_1"]]


def test_a_name_may_be_a_formula_or_a_number() -> None:
    model = identity(x=["s0", "s1"], y=["s0 + s1", "2*s0", "7"])
    assert shapes(model)[1] == ["s0 + s1", "2*s0", 7]
    assert shapes(model, dims={"s0": 3})[1] == ["s1 + 3", 6, 7]
    assert shapes(model, dims={"s0": 3, "s1": 4})[1] == [7, 6, 7]


def test_a_hyphen_is_a_minus_only_between_dims_of_the_file() -> None:
    assert shapes(identity(x=["total-past"]))[0] == ["total_past"]
    assert shapes(identity(x=["total", "past", "total-past"]))[0][2] == "-past + total"


# ------------------------------------------------------------------------------------------ --dim


@pytest.mark.parametrize("name", ["sequence length", "batch-size", "größe"])
def test_dims_are_bound_by_the_name_in_the_file(name: str) -> None:
    assert shapes(identity(x=[name, 3], y=[name]), dims={name: 5}) == [[5, 3], [5]]


def test_a_made_name_binds_too() -> None:
    assert shapes(identity(x=[None, "a b"]), dims={"x_0": 2, "a_b": 3}) == [[2, 3]]


def test_a_question_mark_binds_every_dim_of_that_name() -> None:
    assert shapes(identity(x=["?", "N", "?"]), dims={"?": 4}) == [[4, "N", 4]]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="batsh") as caught:
        infer_model(identity(x=["batch", 3]), dims={"batsh": 2})
    assert "batch" in caught.value.hint


def test_a_formula_is_bound_by_its_parts() -> None:
    with pytest.raises(UsageError, match="formula") as caught:
        infer_model(identity(x=["s0 + s1"]), dims={"s0 + s1": 2})
    assert "s0" in caught.value.hint
    assert shapes(identity(x=["s0 + s1"]), dims={"s0": 2, "s1": 3}) == [[5]]


@pytest.mark.parametrize("size", [-1, 1 << 40])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(UsageError):
        infer_model(identity(x=["N"]), dims={"N": size})


def test_a_formula_that_becomes_no_size_is_refused() -> None:
    model = identity(x=["N", "N - 5"])
    assert shapes(model, dims={"N": 6}) == [[6, 1]]
    with pytest.raises(UsageError, match="N - 5"):
        infer_model(model, dims={"N": 2})
    with pytest.raises(UsageError):
        infer_model(identity(x=["N/2"]), dims={"N": 3})


# ---------------------------------------------------------------------------------------- --batch


def test_batch_binds_the_first_axis_wherever_its_name_stands() -> None:
    model = identity(x=["N", 3], y=[7, "N"], z=[5])
    assert shapes(model, batch=8) == [[8, 3], [7, 8], [5]]


def test_batch_binds_first_axes_without_a_name() -> None:
    assert shapes(identity(x=[None, 3], y=["?", None]), batch=2) == [[2, 3], [2, "y_1"]]


def test_batch_prefers_the_axis_that_is_called_so() -> None:
    model = identity(ids=["batch_size", "seq"], positions=["seq"])
    assert shapes(model, batch=4) == [[4, "seq"], ["seq"]]


def test_the_batch_of_a_fixed_model_may_be_said_but_not_changed() -> None:
    model = identity(x=[1, 3], y=[1])
    assert shapes(model, batch=1) == [[1, 3], [1]]
    with pytest.raises(UsageError, match="fixed") as caught:
        infer_model(model, batch=2)
    assert "--shape" in caught.value.hint


def test_two_sizes_for_one_dim_are_refused() -> None:
    with pytest.raises(UsageError, match="batch"):
        infer_model(identity(x=["batch"]), batch=2, dims={"batch": 3})
    assert shapes(identity(x=["batch"]), batch=3, dims={"batch": 3}) == [[3]]


# ---------------------------------------------------------------------------------------- --shape


def test_a_shape_binds_the_names_in_it_everywhere() -> None:
    model = identity(x=["N", 3, "H", "W"], y=["N", "H"])
    assert shapes(model, shapes={"x": (2, 3, 8, 9)}) == [[2, 3, 8, 9], [2, 8]]


def test_a_shape_overrides_fixed_dims_and_says_so() -> None:
    graph = infer_model(identity(x=[1, 3, 224]), shapes={"x": (8, 3, 224)})
    assert shape(graph, "x_out") == [8, 3, 224]
    assert len(graph.notes) == 1
    assert "axis 0" in graph.notes[0]
    assert infer_model(identity(x=[1, 3]), shapes={"x": (1, 3)}).notes == []


def test_a_shape_may_give_a_rank_that_the_file_lacks() -> None:
    model = identity(x=[1])
    model.graph.input[0].type.tensor_type.ClearField("shape")
    assert shapes(model, shapes={"x": (2, 5)}) == [[2, 5]]


def test_a_shape_of_another_rank_is_refused() -> None:
    with pytest.raises(UsageError, match="2 dims"):
        infer_model(identity(x=["N", 3]), shapes={"x": (1, 3, 4)})


def test_an_unknown_input_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="imagse") as caught:
        infer_model(identity(images=["N", 3]), shapes={"imagse": (1, 3)})
    assert "images" in caught.value.hint


def test_two_shapes_may_not_contradict_each_other() -> None:
    with pytest.raises(UsageError, match="N"):
        infer_model(identity(x=["N"], y=["N"]), shapes={"x": (1,), "y": (2,)})
