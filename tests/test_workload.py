"""How shapes are bound and inputs chosen, and that every guess is said out loud."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbench.errors import PlanError
from onnxbench.types import Artifact, ArtifactFile, GivenTensor, InputRecipe, TensorSpec, Workload
from onnxbench.workload import Ask, elements, make_workload, symbols


def artifact(*inputs: TensorSpec) -> Artifact:
    file = ArtifactFile("/models/m.onnx", "model", 1000, 1, 1)
    return Artifact("a" * 64, (file,), 10, {"": 17}, "test", inputs, (), {}, 1, 0)


def spec(
    name: str, dtype: str, *dims: int | str | None, index_limit: int | None = None
) -> TensorSpec:
    return TensorSpec(name, dtype, dims, index_limit)


def image(batch: int | str | None = "N") -> TensorSpec:
    return spec("x", "float", batch, 3, 32, 32)


def make(*inputs: TensorSpec, **ask: object) -> Workload:
    return make_workload(artifact(*inputs), Ask(**ask))  # type: ignore[arg-type]


def recipe(made: TensorSpec, **ask: object) -> tuple[InputRecipe, tuple[str, ...]]:
    workload = make(made, **ask)
    return workload.inputs[0], workload.notes


@pytest.mark.parametrize("batch", ["N", None, 8])
def test_batch_binds_the_first_dim(batch: int | str | None) -> None:
    workload = make(image(batch), batch=8)
    assert workload.shapes == {"x": (8, 3, 32, 32)}
    assert workload.batch == 8


@pytest.mark.parametrize("batch", ["N", None])
def test_without_a_batch_it_is_one(batch: str | None) -> None:
    assert make(image(batch)).batch == 1


@pytest.mark.parametrize(
    "inputs", [[image(1)], [spec("x", "float", 2)], [spec("x", "float", "N")], []]
)
def test_a_batch_that_cannot_be_is_refused(inputs: list[TensorSpec]) -> None:
    with pytest.raises(PlanError, match="asked was 8") as caught:
        make(*inputs, batch=8)
    assert caught.value.hint


def test_a_batch_reaches_every_input() -> None:
    others = (
        spec("a", "float", "N", 5),
        spec("b", "float", None, 5),
        spec("c", "float", "batch_2", 5),
    )
    workload = make(spec("t", "float"), image(), *others, spec("fixed", "float", 7, 5), batch=4)
    assert [shape[:1] for shape in workload.shapes.values()] == [(), (4,), (4,), (4,), (4,), (7,)]


def test_dims_bind_symbols_in_every_input() -> None:
    inputs = spec("x", "float", "N", "len"), spec("y", "int64", "N", "len")
    workload = make(*inputs, dims={"N": 2, "len": 9})
    assert set(workload.shapes.values()) == {(2, 9)}
    assert symbols(artifact(*inputs)) == {"N", "len"}


def test_a_shape_binds_the_symbols_of_the_others() -> None:
    inputs = (
        spec("ids", "int64", "N", "S"),
        spec("mask", "int64", "N", "S"),
        spec("b", "float", None, 2),
    )
    workload = make(*inputs, shapes={"ids": (3, 11)})
    assert workload.shapes == {"ids": (3, 11), "mask": (3, 11), "b": (3, 2)}


def test_a_file_binds_the_symbols_of_the_others() -> None:
    tensor = GivenTensor("ids", "int64", (3, 11), "/f.npz", "ids", "0" * 64)
    inputs = spec("mask", "int64", "N", "S"), spec("ids", "int64", "N", "S")
    workload = make(*inputs, given={"ids": tensor})
    assert workload.shapes == {"mask": (3, 11), "ids": (3, 11)}
    assert workload.inputs[1].kind == "file"
    assert workload.inputs[1].sha256 == "0" * 64


@pytest.mark.parametrize("shape", [(1, 3, 32), (1, 3, 32, 33), ()])
def test_a_shape_must_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(PlanError, match="--shape says"):
        make(image(), shapes={"x": shape})
    tensor = GivenTensor("x", "float", shape, "/f.npz", "x", "0" * 64)
    with pytest.raises(PlanError, match="the file holds"):
        make(image(), given={"x": tensor})


def test_a_shape_makes_up_for_an_unknown_rank() -> None:
    unknown = TensorSpec("x", "float", None)
    with pytest.raises(PlanError, match="no declared rank") as caught:
        make(unknown)
    assert "--shape x:" in caught.value.hint
    assert make(unknown, shapes={"x": (2, 3)}).shapes == {"x": (2, 3)}


def test_a_file_of_another_type_is_refused() -> None:
    tensor = GivenTensor("x", "double", (1, 3, 32, 32), "/f.npz", "x", "0" * 64)
    with pytest.raises(PlanError, match="is float, the file holds double"):
        make(image(), given={"x": tensor})


def test_an_open_dim_names_its_flag() -> None:
    with pytest.raises(PlanError, match="dim depth is open") as caught:
        make(spec("x", "float", "N", "depth"))
    assert "--dim depth=N" in caught.value.hint
    with pytest.raises(PlanError, match="axis 1 is open") as caught:
        make(spec("x", "float", "N", None))
    assert "--shape x:1x1" in caught.value.hint


@pytest.mark.parametrize(("symbol", "size"), [("seq_len", 128), ("height", 224), ("channels", 3)])
def test_guessed_dims_are_said(symbol: str, size: int) -> None:
    workload = make(spec("x", "float", "N", symbol), spec("y", "float", "N", symbol))
    assert workload.shapes["y"] == (1, size)
    (note,) = workload.notes
    assert f"--dim {symbol}=N" in note


def test_image_sides_are_guessed_and_said() -> None:
    workload = make(spec("x", "float", None, 3, None, None))
    assert workload.shapes["x"] == (1, 3, 224, 224)
    assert len(workload.notes) == 2
    assert all("guess" in note for note in workload.notes)


def test_containers_cannot_be_made() -> None:
    with pytest.raises(PlanError, match="sequence"):
        make(TensorSpec("x", "sequence(float)", None))


@pytest.mark.parametrize("dtype", ["float", "double", "float16", "bfloat16", "float8e4m3fn"])
def test_floats_are_uniform_in_the_declared_range(dtype: str) -> None:
    made, notes = recipe(spec("x", dtype, 2, 2), float_range=(0.0, 255.0), seed=3)
    assert (made.kind, made.low, made.high, made.seed) == ("uniform", 0.0, 255.0, 3)
    assert notes == ()


INT_CASES = [
    (spec("input_ids", "int64", 1, 8, index_limit=30522), "uniform", 0, 30522, "token ids"),
    (spec("index", "int32", 3, index_limit=7), "uniform", 0, 7, "indices"),
    (spec("anything", "int64", 3, index_limit=7), "uniform", 0, 7, "indices"),
    (spec("attention_mask", "int64", 1, 8), "constant", 1, 1, "mask"),
    (spec("attention_mask", "float", 1, 8), "constant", 1, 1, "mask"),
    (spec("token_type_ids", "int64", 1, 8), "constant", 0, 0, "segment"),
    (spec("position_ids", "int64", 1, 8), "range", 0, 2, "positions"),
    (spec("k", "int64"), "constant", 1, 1, "1"),
    (spec("counts", "int32", 3), "uniform", 0, 2, "integers in [0, 2)"),
    (spec("training", "bool"), "constant", 1, 1, "true"),
]


@pytest.mark.parametrize("case", INT_CASES, ids=lambda case: case[0].name)
def test_integers_get_valid_ranges_said_out_loud(
    case: tuple[TensorSpec, str, float, float, str],
) -> None:
    made, kind, low, high, said = case
    found, notes = recipe(made)
    assert (found.kind, found.low, found.high) == (kind, low, high)
    (note,) = notes
    assert said in note
    assert "--inputs" in note


@pytest.mark.parametrize(
    ("dtype", "kind", "low", "high"),
    [("uint8", "uniform", 0, 256), ("int8", "uniform", -128, 128), ("bool", "bernoulli", 0, 1),
     ("string", "digits", 0, 1)],
)  # fmt: skip
def test_other_types_need_no_guess(dtype: str, kind: str, low: float, high: float) -> None:
    found, notes = recipe(spec("x", dtype, 2, 2))
    assert (found.kind, found.low, found.high) == (kind, low, high)
    assert notes == ()


def test_a_name_does_not_make_a_number_of_a_string() -> None:
    found, _ = recipe(spec("mask_token", "string", 2))
    assert found.kind == "digits"


def test_lengths_follow_the_bound_sequence() -> None:
    inputs = spec("x", "float", "N", "seq"), spec("x_lengths", "int64", "N")
    workload = make(*inputs, dims={"seq": 50})
    assert (workload.inputs[1].kind, workload.inputs[1].low) == ("constant", 50)


def test_the_key_tells_inputs_apart_but_not_paths() -> None:
    def key(**changes: object) -> str:
        fields = {"name": "x", "dtype": "float", "shape": (2,), "path": "/a.npz", "member": "x",
                  "sha256": "0" * 64} | changes  # fmt: skip
        tensor = GivenTensor(**fields)  # type: ignore[arg-type]
        return make(spec("x", "float", 2), given={"x": tensor}).key

    assert key() == key(path="/b.npz", member="y")
    assert key() != key(sha256="1" * 64)
    assert make(image()).key == make(image()).key
    assert (
        len({make(image(), seed=1).key, make(image(), seed=2).key, make(image(), batch=2).key}) == 3
    )


def test_hostile_names_are_said_safely() -> None:
    with pytest.raises(PlanError) as caught:
        make(spec("\x1b[31m", "float", "N", "d\u202e"))
    assert "\x1b" not in caught.value.message
    assert "\u202e" not in caught.value.message + caught.value.hint


DIMS = st.one_of(st.integers(0, 9), st.sampled_from(["N", "seq", "c", "batch"]), st.none())
SPECS = st.builds(
    TensorSpec,
    st.text(min_size=1, max_size=5),
    st.sampled_from(["float", "int64", "bool", "string", "uint8"]),
    st.one_of(st.none(), st.lists(DIMS, max_size=4).map(tuple)),
    st.one_of(st.none(), st.integers(1, 9)),
)


@given(
    st.lists(SPECS, max_size=4, unique_by=lambda made: made.name),
    st.one_of(st.none(), st.integers(1, 9)),
    st.dictionaries(st.sampled_from(["N", "seq", "c", "batch"]), st.integers(1, 9)),
)
def test_whatever_is_made_keeps_the_declaration(
    inputs: list[TensorSpec], batch: int | None, dims: dict[str, int]
) -> None:
    """Either a PlanError with a hint, or shapes that agree with what the file and the user say."""
    try:
        workload = make(*inputs, batch=batch, dims=dims)
    except PlanError as error:
        assert error.hint  # noqa: PT017
        return
    assert batch in (None, workload.batch)
    bound: dict[str, int] = dict(dims)
    for declared, made in zip(inputs, workload.inputs, strict=True):
        assert declared.shape is not None
        assert len(declared.shape) == len(made.shape)
        for dim, size in zip(declared.shape, made.shape, strict=True):
            if isinstance(dim, int):
                assert size == dim
            elif dim is not None:
                assert bound.setdefault(dim, size) == size
        if declared.dtype == "int64" and made.kind == "uniform":
            assert made.low < made.high
        assert elements(made.shape) >= 0
