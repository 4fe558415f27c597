from __future__ import annotations

import pytest

from onnxbench.suggest import SHOWN, did_you_mean


@pytest.mark.parametrize(
    ("name", "nearest"), [("restnet50", "resnet50"), ("VGG19", "vgg19"), ("alex-net", "AlexNet")]
)
def test_nearest_name(name: str, nearest: str) -> None:
    assert did_you_mean(name, ["vgg19", "resnet50", "AlexNet"]) == f"did you mean {nearest}?"


def test_without_a_near_one_all_are_listed() -> None:
    assert did_you_mean("zzz", {"b", "a"}) == "one of: a, b"
    assert did_you_mean("zzz", []) == "there is none to choose from"


def test_a_long_list_is_cut_and_says_so() -> None:
    hint = did_you_mean("zzz", [f"model{i:02}" for i in range(SHOWN + 5)])
    assert hint.count("model") == SHOWN
    assert hint.endswith("and 5 more")


def test_an_endless_name_costs_nothing() -> None:
    assert did_you_mean("x" * 10_000_000, [f"{'x' * 50}{i}" for i in range(100)])
