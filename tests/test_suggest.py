from __future__ import annotations

import pytest

from onnxbench.suggest import SHOWN, did_you_mean


@pytest.mark.parametrize(
    ("name", "nearest"), [("restnet50", "resnet50"), ("VGG19", "vgg19"), ("alex-net", "AlexNet")]
)
def test_nearest_name(name: str, nearest: str) -> None:
    assert did_you_mean(name, ["vgg19", "resnet50", "AlexNet"]) == f"did you mean {nearest}?"


@pytest.mark.parametrize("name", ["res_net-50", "ResNet50", "resnet.50"])
def test_case_and_separators_do_not_count(name: str) -> None:
    assert did_you_mean(name, ["resnet-5", "resnet50", "resnet500"]) == "did you mean resnet50?"


def test_a_beginning_goes_before_a_likeness() -> None:
    hint = did_you_mean("resnext", ["resnet50", "resnext101-32x8d", "resnext50-32x4d"])
    assert hint == "did you mean resnext50-32x4d or resnext101-32x8d?"


def test_the_equally_near_are_offered_together_but_not_many() -> None:
    assert did_you_mean("top", ["top1", "top5"]) == "did you mean top1 or top5?"
    many = [f"mobilenet-{letter}" for letter in "abcdefg"]
    assert did_you_mean("mobilnet", many) == f"did you mean {many[0]}, {many[1]} or {many[2]}?"


def test_without_a_near_one_all_are_listed() -> None:
    assert did_you_mean("zzz", {"b", "a"}) == "one of: a, b"
    assert did_you_mean("zzz", []) == "there is none to choose from"


def test_a_long_list_is_cut_and_says_so() -> None:
    hint = did_you_mean("zzz", [f"model{i:02}" for i in range(SHOWN + 5)])
    assert hint.count("model") == SHOWN
    assert hint.endswith("and 5 more")


def test_an_endless_name_costs_nothing() -> None:
    assert did_you_mean("x" * 10_000_000, [f"{'x' * 50}{i}" for i in range(100)])
