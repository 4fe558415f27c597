"""The analyzer's figures call right what is right, and missed what is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.analyzer import given, light_networks, others, published, zoo
from benchmarks.analyzer.cold import Ended
from benchmarks.analyzer.figures import (
    dynamic,
    large,
    light,
    node_tests,
    speed,
    timm,
    torchvision,
    traps,
)
from benchmarks.analyzer.found import Found
from benchmarks.analyzer.generate import Decoder, write
from benchmarks.analyzer.node_tests import ENGINES
from benchmarks.analyzer.race import OURS, File, Runner
from onnxbench.graph.analysis import analyze
from onnxbench.graph.formulas import parse
from tests.graph.operators.probes import PROBES

DECODER = Decoder(layers=2, width=64, inner=128)
# Matrices; then biases of 4 * 64 + 128 + 64 and two normalizations of 2 * 64 in each layer, and
# three scalars that scale and activate.
MATRICES = 2 * (4 * 64 * 64 + 2 * 64 * 128)


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(given.OTHER_TOOLS, raising=False)
    monkeypatch.delenv(given.ZOO, raising=False)
    others.installed.cache_clear()


# ------------------------------------------------------------------------------------ published


def put(folder: Path, name: str, decoder: Decoder, **facts: Any) -> None:
    write(folder / f"{name}.onnx", decoder)
    params = analyze(folder / f"{name}.onnx").parameters.params
    assert MATRICES <= params < MATRICES + 2000
    told = {"name": name, "model": name.split("-")[1], "params": params}
    told |= {"params_in_graph": params, "published": {}}
    (folder / f"{name}.json").write_text(json.dumps(told | facts))


def test_a_zoo_is_compared_with_what_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(given.ZOO, str(tmp_path))
    macs = parse(DECODER.macs)
    assert isinstance(macs, int)
    gmacs = macs / 1e9
    put(tmp_path, "torchvision-right-8", DECODER, published={"gmacs": gmacs, "params": 0})
    params = zoo.networks("torchvision-")[0].facts["params"]
    right = {"gmacs": gmacs, "params": params}
    put(tmp_path, "torchvision-right-8", DECODER, published=right)
    put(tmp_path, "torchvision-off-8", DECODER, published={**right, "gmacs": gmacs + 0.001})
    put(tmp_path, "torchvision-other-8", DECODER, published={**right, "params": params + 1})
    dropped = {"published": {**right, "params": params + 500}, "params": params + 500}
    put(tmp_path, "torchvision-dropped-8", DECODER, **dropped)
    failed = {"status": "failed", "name": "torchvision-never-8"}
    other = {"status": "failed", "name": "timm-never-8"}
    (tmp_path / "index.json").write_text(json.dumps({"networks": [failed, other]}))
    (tmp_path / "torchvision-broken-8.onnx").write_bytes(b"no protobuf")
    told = {"name": "torchvision-broken-8", "model": "x", "params": 1, "params_in_graph": 1}
    (tmp_path / "torchvision-broken-8.json").write_text(json.dumps(told | {"published": right}))

    figure = torchvision.measure(tiny=False)
    assert figure.measured.startswith("5 classifiers in 5 sizes: 3 within; parameters of 3 exact")
    assert figure.measured.endswith("; 1 more could not be exported")
    assert not figure.met
    rows = {row[0]: row for row in figure.table[1:]}
    assert "torchvision-right-8" not in rows
    assert rows["torchvision-off-8"][3].startswith("-0.0010 G")
    assert rows["torchvision-dropped-8"][-1] == "the export drops 500 parameters of training"
    assert "RefusedInput" in rows["torchvision-broken-8"][-1]
    assert len(figure.raw["networks"]) == 5


def test_half_a_unit_of_the_last_decimal_is_as_published() -> None:
    exact = published.Comparison("a", 4_089_500_000, 4.089, 0.0005, 1, 1, True, True)
    assert exact.fits
    assert not replace(exact, macs=4_089_510_000).fits
    assert not replace(exact, exact=False).fits
    assert not replace(exact, params_fit=False).fits
    assert published.explained(exact, "why").note == ""
    assert published.explained(replace(exact, macs=0), "why").note == "why"


def test_timm_needs_families_and_a_share() -> None:
    good = [
        published.Comparison(
            f"timm-{chr(97 + i // 26)}{chr(97 + i % 26)}_x-224",
            10**9, 1.0, 0.01, 1, 1, True, True,
        )
        for i in range(60)
    ]  # fmt: skip
    assert timm.judge(good).met
    bad = replace(good[0], macs=2 * 10**9)
    assert timm.judge([*good[1:], bad]).met, "59 of 60 are 98.3 %"
    assert not timm.judge([*good[2:], bad, bad]).met
    assert not timm.judge(good[1:]).met
    assert timm.family("timm-convnextv2_tiny-224") == "convnextv"


def test_a_formula_must_equal_the_one_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(given.ZOO, str(tmp_path))
    decoder = replace(DECODER, shape=("batch", "sequence"))
    each, attention = 2 * (4 * 64 * 64 + 2 * 64 * 128), 2 * 2 * 64
    terms = {"batch*sequence": each, "batch*sequence^2": attention}
    put(tmp_path, "a-right-dynamic", decoder, published={"macs": terms})
    assert dynamic.measure(tiny=False).met
    put(tmp_path, "b-wrong-dynamic", decoder, published={"macs": {**terms, "batch": 1}})
    figure = dynamic.measure(tiny=False)
    assert not figure.met
    assert figure.measured.startswith("1 of 2 equal")
    text = f"{attention}·batch·sequence² + {each}·batch·sequence"
    assert figure.table[1] == ("a-right-dynamic", text, text, "yes")


def test_without_a_zoo_a_figure_says_so() -> None:
    for figure in (torchvision, timm, dynamic):
        found = figure.measure(tiny=False)
        assert found.measured == f"no network exported: {given.ZOO} is not set"
        assert not found.met


# ----------------------------------------------------------------------------------- comparison


def trial(probe: str, found: Found) -> tuple[str, str]:
    known = {each.id: each for each in PROBES}
    made = traps.theirs("tool", known[probe], found)
    return made.verdict, made.said


@pytest.mark.parametrize(
    ("probe", "found", "verdict"),
    [
        ("matmul", Found(120), "right"),
        ("matmul", Found(122), "right"),
        ("matmul", Found(123), "silent"),
        ("matmul", Found(0, said=("MatMul",)), "told"),
        ("matmul", Found(error="KeyError: 1"), "refused"),
        ("gemm", Found(75, 25), "convention"),  # a bias of 15 elements, 3 rows of 5
        ("gemm", Found(67, 25), "silent"),
        ("gemm", Found(60, 25), "right"),
        ("gemm", Found(60, 20), "silent"),
        ("relu", Found(288), "convention"),
        ("view", Found(5, 0), "silent"),
        ("matmul-open", Found(0), "silent"),
        ("unknown-operator", Found(128), "silent"),
        ("unknown-operator", Found(128, said=("Custom",)), "right"),
        ("loop-stopping", Found(0), "right"),
        ("loop-stopping", Found(700), "silent"),
    ],
)
def test_another_tool_is_judged_by_what_it_says(probe: str, found: Found, verdict: str) -> None:
    assert trial(probe, found)[0] == verdict


def test_ours_must_be_exact_on_every_probe(tmp_path: Path) -> None:
    right = traps.Trial("a", "C1", "1", OURS, "right")
    trials = [replace(right, probe=str(number)) for number in range(60)]
    assert traps.judge(trials).met
    assert not traps.judge(trials[1:]).met
    for verdict in traps.VERDICTS[1:]:
        assert not traps.judge([replace(trials[0], verdict=verdict), *trials[1:]]).met
    other = replace(right, probe="0", tool="other", verdict="silent", said="7")
    figure = traps.judge([*trials[:1], other])
    assert figure.table[2] == ("C1", "0", "1", "right", "**silent** 7")
    (tmp_path / "probe.onnx").write_bytes(b"no protobuf")
    assert traps.ours(PROBES[0], tmp_path / "probe.onnx").verdict == "refused"


def test_the_light_networks_are_right_to_the_mac() -> None:
    profile = analyze(light_networks.path("squeezenet"))
    assert light.judge({"squeezenet": profile}, {}).met
    assert not light.judge({"squeezenet": replace(profile, macs=profile.macs + 1)}, {}).met
    theirs = {"tool": {"squeezenet": Found(349_151_936, 757)}}
    figure = light.judge({"squeezenet": profile}, theirs)
    assert figure.table[1][-1] == "exact; parameters -99.9%"


def test_a_wrong_shape_of_a_node_test_is_a_miss() -> None:
    right: dict[str, list[str]] = {"exact": ["a"] * 95, "unknown": ["b"] * 5, "wrong": []}
    right["raised"] = []
    names = list(ENGINES)
    assert node_tests.judge({node_tests.SIZES: dict.fromkeys(names, right)}).met
    for bad in ({"wrong": ["c"]}, {"raised": ["c"]}, {"unknown": ["b"] * 6}):
        found = {name: {**right, **bad} for name in names}
        assert not node_tests.judge({node_tests.SIZES: found}).met


# ----------------------------------------------------------------------------------------- cost


def ran(tool: str, label: str, wall_s: float, rss_bytes: int = 0, macs: int = 7) -> Runner:
    document = {"macs": macs, "params": 1, "unknown": [], "said": []}
    ended = Ended(int(wall_s * 1e9), rss_bytes, 0, False, json.dumps(document), "")
    return Runner(tool, File(label, Path("model.onnx"), 100, 7), 1, [ended])


FAST = {speed.RESNET: 0.3, speed.SMALL: 0.9, speed.SMALL_OPEN: 3.0, speed.LARGE: 4.0}
PAIRS = [(1.40e9, 1e9), (1.41e9, 1e9), (1.39e9, 1e9)]


def timed(**other: float) -> list[Runner]:
    ours = [ran(OURS, label, wall) for label, wall in FAST.items()]
    return [*ours, ran("onnx-tool", speed.SMALL, other.get("onnx_tool_s", 4.6))]


def test_every_promise_of_speed_is_judged() -> None:
    figure = speed.judge(PAIRS, timed())
    assert figure.met
    assert figure.measured.endswith("onnx-tool 5.1 ×")
    assert not speed.judge(PAIRS, timed(onnx_tool_s=4.4)).met, "less than 5 ×"
    assert not speed.judge(PAIRS, timed()[:-1]).met, "onnx-tool was not asked"
    assert not speed.judge([(1.7e9, 1e9), (1.71e9, 1e9)], timed()).met, "more than 1.6 ×"
    for label, allowed in speed.ALLOWED_S.items():
        slow = [ran(OURS, label, allowed + 0.01) if each.file.label == label and each.tool == OURS
                else each for each in timed()]  # fmt: skip
        assert not speed.judge(PAIRS, slow).met, label


def test_memory_and_truth_are_promised_with_speed() -> None:
    allowed = 80_000_000 + 100 * 6000
    for rss_bytes, met in ((allowed, True), (allowed + 1, False)):
        runners = [ran(OURS, speed.RESNET, 0.3, rss_bytes), *timed()[1:]]
        assert speed.judge(PAIRS, runners).met is met
    wrong = [ran(OURS, speed.RESNET, 0.3, macs=8), *timed()[1:]]
    assert not speed.judge(PAIRS, wrong).met


def test_a_tool_that_failed_is_no_slower_than_ours() -> None:
    failed = ran("onnx-tool", speed.SMALL, 50.0)
    failed.ended[0] = replace(failed.ended[0], code=1, stdout="", stderr="KeyError: 'IsNaN'\n")
    figure = speed.judge(PAIRS, [*timed()[:-1], failed])
    assert not figure.met
    assert failed.row()[-1] == "KeyError: 'IsNaN'"
    failed.ended[0] = replace(failed.ended[0], code=-9, timed_out=True, wall_ns=60 * 10**9)
    assert failed.row()[-1] == "killed after 60 s"
    assert speed.judge(PAIRS, [*timed()[:-1], failed]).met, "at least so slow"


@pytest.mark.parametrize(
    ("wall_s", "rss_bytes", "macs", "met"),
    [(0.39, 84_000_000, 7, True), (0.41, 84_000_000, 7, False),
     (0.39, 86_000_000, 7, False), (0.39, 84_000_000, 8, False)],
)  # fmt: skip
def test_gigabytes_of_weights_cost_next_to_nothing(
    wall_s: float, rss_bytes: int, macs: int, met: bool
) -> None:
    runners = [ran(OURS, large.EXTERNAL, wall_s, rss_bytes, macs), ran(OURS, large.EMBEDDED, 0.1)]
    runners.append(ran("qonnx", large.EXTERNAL, 50.0, 10**10, macs=0))
    assert large.judge(runners).met is met
