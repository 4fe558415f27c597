"""What people type, turned into values: lists, ranges, durations, sizes, NAME=VALUE."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbench.cli import values
from onnxbench.errors import UsageError

ANYTHING = st.text(st.characters(codec="utf-8"), max_size=20) | st.text(
    "0123456789-+*,.xX:=% skmhGiB", max_size=12
)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1", (1,)),
        ("1,8", (1, 8)),
        ("8,1,8", (8, 1)),
        (" 1 , 2 ", (1, 2)),
        ("1-4", (1, 2, 3, 4)),
        ("1-8*2", (1, 2, 4, 8)),
        ("1-9*2", (1, 2, 4, 8)),
        ("1-7+2", (1, 3, 5, 7)),
        ("3-3", (3,)),
        ("1,4-8*2,9", (1, 4, 8, 9)),
    ],
)
def test_whole_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert values.whole_numbers(text, "--batch") == numbers


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1-", "5-1", "1-8*1", "1-8*0", "1-8+0", "1.5", "²", "1-2000"]
)
def test_no_whole_numbers(text: str) -> None:
    with pytest.raises(UsageError, match="--batch"):
        values.whole_numbers(text, "--batch")


@given(st.lists(st.integers(1, 10**15), min_size=1, max_size=9, unique=True))
def test_a_list_of_numbers_comes_back(numbers: list[int]) -> None:
    assert values.whole_numbers(",".join(map(str, numbers)), "--batch") == tuple(numbers)


@given(st.integers(1, 400), st.integers(0, 400), st.integers(1, 9))
def test_a_range_is_pythons(first: int, more: int, step: int) -> None:
    found = values.whole_numbers(f"{first}-{first + more}+{step}", "--batch")
    assert found == tuple(range(first, first + more + 1, step))


@given(st.integers(1, 400), st.integers(0, 10**9), st.integers(2, 9))
def test_a_geometric_range_multiplies(first: int, more: int, factor: int) -> None:
    found = values.whole_numbers(f"{first}-{first + more}*{factor}", "--batch")
    assert found[0] == first
    assert all(b == a * factor for a, b in itertools.pairwise(found))
    assert found[-1] <= first + more < found[-1] * factor


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2),
        ("2s", 2),
        ("500ms", 0.5),
        ("1.5 s", 1.5),
        ("10m", 600),
        ("10min", 600),
        ("1h", 3600),
        ("0", 0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert values.seconds(text, "--budget") == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "share"), [("1%", 0.01), ("2", 0.02), (" 0.5 % ", 0.005), ("99.9%", 0.999)]
)
def test_shares(text: str, share: float) -> None:
    assert values.share(text, "--max-noise") == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5", 5),
        ("500MB", 500_000_000),
        ("2GiB", 2 << 30),
        ("4G", 4_000_000_000),
        ("1.5k", 1500),
        ("3 kib", 3072),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert values.size_bytes(text, "--max-memory") == size


def test_endless_numbers_are_refused() -> None:
    for parse in (values.seconds, values.size_bytes, values.share, values.whole_numbers):
        with pytest.raises(UsageError):
            parse("9" * 400, "--x")


def test_names_come_once_in_order() -> None:
    assert values.names("b, a,,b") == ("b", "a")
    assert values.names(" , ") == ()


def test_assignments() -> None:
    assert values.assignments(["a=1", " b = x=y ", "c="], "--set") == {
        "a": "1",
        "b": "x=y",
        "c": "",
    }
    assert values.assignments(["a=1", "a=1"], "--set") == {"a": "1"}
    for bad in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(UsageError, match="--set"):
            values.assignments(bad, "--set")


def test_shapes_of_odd_names() -> None:
    found = values.shapes(["x:1x3x224x224", "a:b:2,3", "scalar:", "t:4"])
    assert found == {"x": (1, 3, 224, 224), "a:b": (2, 3), "scalar": (), "t": (4,)}
    for bad in ("x", ":1", "x:1xa", "x:-1", "x:1.5"):
        with pytest.raises(UsageError, match="--shape"):
            values.shapes([bad])


def test_a_sweep_of_shapes() -> None:
    found = values.shape_values(
        ["x:1x3x224x224,1x3x160x160", "y:1,3,8", "x:2x3x64x64", "z:1x8-32*2x4-6+2", "r:2", "r:4"]
    )
    assert found == {
        "x": ((1, 3, 224, 224), (1, 3, 160, 160), (2, 3, 64, 64)),
        "y": ((1, 3, 8),),
        "z": ((1, 8, 4), (1, 8, 6), (1, 16, 4), (1, 16, 6), (1, 32, 4), (1, 32, 6)),
        "r": ((2,), (4,)),
    }
    for bad in ("x:1-4x3", "x:1x8-2*2", "x:1x1-9*1", "x:1x1-500+1x1-500+1", "x:1x3,ax3"):
        with pytest.raises(UsageError, match="--shape"):
            values.shape_values([bad])


def test_a_sweep_of_dims() -> None:
    assert values.dim_values(["seq=128-512*2", "n=1,3"]) == {"seq": (128, 256, 512), "n": (1, 3)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("all", ("all",)),
        ("disable,all", ("disable", "all")),
        ("1-8*2", ("1", "2", "4", "8")),
        ("0-4+2,9", ("0", "2", "4", "9")),
        ("1-8", ("1-8",)),
        ("", ("",)),
        ("a=b,a=b", ("a=b",)),
        ('"a,b"', ("a,b",)),
        ('"1-8*2"', ("1-8*2",)),
    ],
)
def test_the_values_of_an_option(text: str, found: tuple[str, ...]) -> None:
    assert values.option_values(text, "--set k") == found


@pytest.mark.parametrize("text", ["a,,b", ",", "1-4*1", "0-8*2", "5-1+1", "1-9999+1"])
def test_no_values_of_an_option(text: str) -> None:
    with pytest.raises(UsageError, match="--set k"):
        values.option_values(text, "--set k")


@given(ANYTHING | st.sampled_from(['"', '""', '"a"', "1-8*2", "a, b", " "]))
def test_a_value_of_an_option_is_typed_so_that_it_comes_back(value: str) -> None:
    assert values.option_values(values.option_text(value), "--set k") == (value,)


def test_dims_take_one_number() -> None:
    assert values.dims(["N=4", "seq=128"]) == {"N": 4, "seq": 128}
    for bad in ("N", "N=", "N=0", "N=x", "N=1,2", "N=1-3"):
        with pytest.raises(UsageError, match="--dim"):
            values.dims([bad])


@given(ANYTHING)
def test_whatever_is_typed_is_a_value_or_a_usage_error(text: str) -> None:
    """Nothing else is raised, nothing takes long, and the message is safe to print."""
    for parse in (
        lambda: values.whole_numbers(text, "--x"),
        lambda: values.seconds(text, "--x"),
        lambda: values.share(text, "--x"),
        lambda: values.size_bytes(text, "--x"),
        lambda: values.assignments([text], "--x"),
        lambda: values.dims([text]),
        lambda: values.shapes([text]),
        lambda: values.names(text),
        lambda: values.option_values(text, "--x"),
        lambda: values.shape_values([text]),
        lambda: values.dim_values([text]),
    ):
        try:
            parse()
        except UsageError as error:
            assert error.message.isprintable()  # noqa: PT017
