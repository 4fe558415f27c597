"""What adapters share: probes, refusals, the guarded first run."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

import pytest

from onnxbench.adapting import (
    PlainEngine,
    guarded,
    installed,
    longest_first,
    main_precision,
    mainly,
    not_bound,
    one_place,
    refuse_misfits,
    refused_option,
)
from onnxbench.errors import InputRefused, Unsupported
from onnxbench.worker.judging import narrowest

if TYPE_CHECKING:
    from collections.abc import Callable

OPTIONS = ("enable_mem_pattern", "intra_op_threads")


class Engine(PlainEngine):
    """An engine of nothing but its first run."""

    def __init__(
        self, call: Callable[[], object], first: Callable[[], object] | None = None
    ) -> None:
        self.run = guarded(self, call, self.translate, first)

    @staticmethod
    def translate(error: Exception) -> Exception:
        return Unsupported(f"translated {error}")


def test_a_probe_takes_the_version_of_the_first_and_needs_them_all() -> None:
    found = installed("mine", ("numpy", "onnx"), "pip install mine")
    assert found.available
    assert found.version == importlib.metadata.version("numpy")
    lacking = installed("mine", ("numpy", "no-such-package"), "pip install mine")
    assert (lacking.available, lacking.hint) == (False, "pip install mine")
    assert lacking.reason == "the package no-such-package is not installed"


@pytest.mark.parametrize("typed", ["enable_mem_patern", "ENABLE_MEM_PATTERN", "mem_pattern"])
def test_the_nearest_option_is_offered_in_any_case(typed: str) -> None:
    assert refused_option("it", typed, OPTIONS).hint == "did you mean --set enable_mem_pattern=…?"


def test_without_a_near_one_all_are_listed_or_the_page_is_named() -> None:
    assert refused_option("it", "x", OPTIONS).hint == "one of: enable_mem_pattern, intra_op_threads"
    assert refused_option("it", "x", OPTIONS, "see the page").hint == "see the page"
    assert refused_option("it", "x", ()).hint == "it has none: leave --set out"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"a": "f32[1]"}, "input 'b' takes i64[2], given was nothing"),
        ({"a": "f32[2]", "b": "i64[2]"}, "input 'a' takes f32[1], given was f32[2]"),
        ({"a": "f32[1]", "b": "i64[2]", "c": "x"}, "input 'c' takes nothing, given was x"),
    ],
)
def test_an_input_that_does_not_fit_is_named(given: dict[str, str], told: str) -> None:
    wanted = {"a": "f32[1]", "b": "i64[2]"}
    refuse_misfits(wanted, wanted)
    with pytest.raises(InputRefused) as refused:
        refuse_misfits(given, wanted)
    assert refused.value.message == told


def test_only_the_first_run_is_guarded() -> None:
    calls: list[str] = []
    engine = Engine(lambda: calls.append("bare"), lambda: calls.append("first"))
    engine.run()
    engine.run()
    engine.run()
    assert calls == ["first", "bare", "bare"]


def test_errors_of_the_first_run_are_ours_and_our_own_stay() -> None:
    def fail() -> None:
        raise ValueError("once")

    with pytest.raises(Unsupported, match="translated once"):
        Engine(fail).run()
    with pytest.raises(InputRefused, match="no inputs are bound"):
        Engine(not_bound).run()


def test_shares_are_of_all_and_the_longest_comes_first() -> None:
    rows = longest_first([("a", "Conv", "CPU", 1, 2), ("b", "Relu", "CPU", 3, 2)])
    assert [(row["name"], row["share"]) for row in rows] == [("b", 0.75), ("a", 0.25)]
    assert longest_first([]) == []
    assert longest_first([("a", "Relu", "CPU", 0, 1)])[0]["share"] == 0.0


def test_one_place_holds_every_node() -> None:
    placed = one_place("CPU", {"Conv": 2, "Relu": 1})
    assert (placed["nodes"], placed["node_share"], placed["time_share"]) == (3, 1.0, 1.0)


def test_heavy_layers_decide_the_precision_and_truth_values_never_do() -> None:
    assert mainly({("bfloat16", True): 2, ("float32", False): 9}) == "bfloat16"
    assert mainly({("int8", False): 9, ("float16", False): 1}) == "float16"
    assert mainly({("int8", True): 1, ("float32", False): 9}) == "int8"
    assert mainly({("int8", False): 1}) == "int8"
    assert mainly({}) is None


def test_what_less_was_computed_in_is_told_with_its_share() -> None:
    spent = {("float32", True): 85.0, ("bfloat16", True): 10.0, ("int8", True): 5.0}
    told = mainly({**spent, ("float16", True): 0.5, ("int64", False): 99.0}) or ""
    assert told == "float32 with 10 % bfloat16 and 5 % int8"
    assert main_precision(told) == "float32"
    assert narrowest(told) == "int8"
    assert mainly({("float32", True): 3, ("", True): 1}) == "float32 with 25 % unknown"
    assert mainly({("float32", True): 1, ("", True): 3}) is None
    assert mainly({("float32", True): 0}) == "float32", "of no elements"
