"""Every figure can be measured, and is called missed when it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import a_a, help, isolation, loop, make_run, parent, sweep  # noqa: A004
from benchmarks.__main__ import ANALYZER, NAMES, expanded
from benchmarks.analyzer import given
from benchmarks.pairs import alternate, mean_difference, median_ratio
from onnxbench.errors import WorkerError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_can_be_measured(name: str, tmp_path: Path) -> None:
    if name == "make_run" and not (ROOT / ".git").exists():
        pytest.skip("not a clone: there is nothing to clone again")
    home = os.environ.get("ONNXBENCH_TEST_HOME", "")
    if name == "own_tools" and not home:
        if os.environ.get("CI"):
            pytest.fail("CI has to run this: onnxbench install openvino litert")
        pytest.skip("needs the environments openvino and litert below ONNXBENCH_TEST_HOME")
    environment = {
        **os.environ, "ONNXBENCH_LOCK": str(tmp_path / "lock"), "COLUMNS": "200",
        given.OTHER_TOOLS: "", given.ZOO: "", given.EXPORTED: "",
        **({"ONNXBENCH_HOME": home} if name == "own_tools" else {}),
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", name, "--tiny"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert f" {name} " in ended.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [(["nul"], "no figure nul; there are null"), (["null", "--tiny", "--write"], "not published")],
)
def test_what_cannot_be_asked_for_is_refused(words: list[str], said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert said in ended.stderr


def test_a_group_is_all_of_its_figures_and_none_named_is_no_analyzer() -> None:
    assert expanded(["analyzer", "null", "analyzer_light"]) == [*ANALYZER, "null"]
    assert not set(expanded([])) & set(ANALYZER)


def test_sides_alternate_and_stop_when_it_is_enough() -> None:
    order: list[str] = []

    def side(name: str, value: float) -> float:
        order.append(name)
        return value

    pairs = alternate(lambda: side("a", 1), lambda: side("b", 2), 9, lambda found: len(found) == 3)
    assert pairs == [(1, 2)] * 3
    assert order[:2] == ["a", "b"], "once each, unmeasured"
    assert {"".join(order[i : i + 2]) for i in (2, 4, 6)} == {"ab", "ba"}, "the order is drawn"


def test_a_stalled_process_counts_once() -> None:
    pairs = [(1.0 + n / 100, 1.0) for n in range(14)] + [(9.0, 1.0)]
    ratio = median_ratio(pairs)
    assert (ratio.estimate, ratio.low, ratio.high) == (1.07, 1.03, 1.11)  # 4th and 12th of 15
    assert median_ratio([(2.0, 1.0), (4.0, 1.0)]).high == 4.0


def test_a_difference_has_the_textbook_interval() -> None:
    found = mean_difference([(2, 1), (4, 2), (6, 3)])  # differences 1, 2, 3; t(0.975, 2) = 4.3027
    assert found.estimate == 2
    assert found.high - found.estimate == pytest.approx(4.302653 / 3**0.5)


@pytest.mark.parametrize(("ours", "met"), [(1.002, True), (1.012, False), (0.988, False)])
def test_the_whole_interval_of_the_loops_must_be_near_one(ours: float, met: bool) -> None:
    pairs = [(ours * 1e6, 1e6), (ours * 1.001e6, 1e6), (ours * 0.999e6, 1e6)]
    good = loop.Comparison("good", 9, [(1e6, 1e6)] * 3)
    figure = loop.judge([good, loop.Comparison("other", 9, pairs)])
    assert figure.met is met
    assert figure.measured == f"the worst of 2 intervals ends {max_end(pairs):+.2%} from 1"


def max_end(pairs: list[tuple[float, float]]) -> float:
    ratio = loop.Comparison("other", 9, pairs).ratio
    return max((ratio.low - 1, ratio.high - 1), key=abs)


def test_an_interval_wider_than_the_promise_proves_nothing() -> None:
    unsure = [(1.1e6, 1e6), (0.9e6, 1e6)]
    assert not loop.judge([loop.Comparison("noisy", 9, unsure)]).met
    assert not isolation.judge([(0.30e9, 0.20e9), (0.50e9, 0.40e9), (0.39e9, 0.20e9)]).met
    assert not help.judge([(1.0e9, 1.0e9), (1.5e9, 1.0e9)]).met


def test_isolation_and_help_are_met_below_their_limits() -> None:
    assert isolation.judge([(0.30e9, 0.20e9), (0.31e9, 0.20e9), (0.29e9, 0.20e9)]).met
    assert not isolation.judge([(0.36e9, 0.20e9), (0.37e9, 0.20e9), (0.36e9, 0.20e9)]).met
    assert help.judge([(1.20e9, 1.0e9), (1.21e9, 1.0e9)]).met


def test_the_worst_child_counts_for_the_parent() -> None:
    start = parent.Spent(cpu_ns=20_000_000, wall_ns=500_000_000)
    idle = parent.Spent(cpu_ns=21_000_000, wall_ns=10_500_000_000)
    busy = parent.Spent(cpu_ns=220_000_000, wall_ns=10_500_000_000)
    assert parent.judge([(idle, start)]).measured == "0.010% of a core"
    assert parent.judge([(idle, start)]).met
    assert not parent.judge([(idle, start), (busy, start)]).met


def test_more_than_five_runs_that_see_a_difference_are_too_many() -> None:
    same = a_a.Run((1.0, 2.0, 3.0), (1.1, 1.9, 3.0))
    apart = a_a.Run((1.0, 2.0, 3.0), (1.1, 2.21, 3.31))
    assert a_a.judge([same] * 35 + [apart] * 5).met
    missed = a_a.judge([same] * 34 + [apart] * 6)
    assert not missed.met
    assert missed.measured == "6 of 40"


def test_a_sweep_is_read_from_what_the_command_says() -> None:
    said = "63 processes lived 60.0 s, 41% of it sampling; wall time 61.5 s is 1.02 times that\n"
    found = sweep.read(f"a note\n{said}", 0, 62.1)
    assert found == sweep.Sweep(63, 60.0, 0.41, 61.5, 62.1)
    assert sweep.judge(found).met
    assert not sweep.judge(sweep.read(said, 0, 63.1)).met  # more than 1.05
    assert not sweep.judge(sweep.Sweep(5, 4.0, 0.41, 4.0, 4.0)).met  # too short to tell
    for code, text in ((3, said), (0, "nothing")):
        with pytest.raises(WorkerError, match="the sweep ended"):
            sweep.read(text, code, 62.1)


def test_make_run_has_three_minutes() -> None:
    assert make_run.judge(179.0).met
    assert not make_run.judge(181.0).met
