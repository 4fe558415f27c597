"""The verdict: every suspicion alone, the limits, the worst of several, and the advice."""

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from onnxbench.measure.children import measurements, samples_ns
from onnxbench.measure.distribution import describe
from onnxbench.measure.evidence import Code, Reading, gather
from onnxbench.measure.interval import t_interval
from onnxbench.measure.stopping import INTERVAL_NARROW, PROCESSES_MAX_REACHED
from onnxbench.measure.verdict import GRADES, RULES, Situation, judge
from onnxbench.types import Sampling, VerdictDoc

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.types import Child

    Make = Callable[..., Child]

SITUATION = Situation(5, 0, Sampling(), PROCESSES_MAX_REACHED)


def verdict_on(children: list[Child], sampling: Sampling | None = None) -> VerdictDoc:
    sampling = sampling or Sampling()
    distributions = [describe(samples_ns(child)) for child in children]
    interval = t_interval([d.median_ns for d in distributions])
    readings = gather(distributions, measurements(children), interval, sampling.processes_min)
    return judge(readings, Situation(len(children), 0, sampling, PROCESSES_MAX_REACHED))


def codes(verdict: VerdictDoc) -> list[str]:
    return [reason.partition(":")[0] for reason in verdict["reasons"]]


def spread(share: float) -> np.ndarray[Any, Any]:
    """Samples whose IQR is ``share`` of their median, without drift."""
    half = 1e6 * share
    return np.tile(np.linspace(1e6 - half, 1e6 + half, 50), 4).astype(np.int64)


def test_clean_children_are_stable(timed: Make) -> None:
    assert verdict_on([timed(block) for block in range(5)]) == {
        "grade": "stable",
        "reasons": [],
        "advice": "",
    }


@pytest.mark.parametrize(
    ("changes", "grade", "code"),
    [
        ({"load": {"throttle_events": 1}}, "unreliable", "throttled"),
        ({"load": {"swapped_in_pages": 8}}, "unreliable", "swap-in"),
        ({"load": {"clock_hz_after": 2_800_000_000}}, "unreliable", "clock-drop"),
        ({"load": {"steal_share": 0.021}}, "unreliable", "steal"),
        ({"load": {"foreign_cores": 0.11}}, "noisy", "foreign-cores"),
        ({"load": {"foreign_cores": 0.51}}, "unreliable", "foreign-cores"),
        ({"warmup": {"steady": False, "runs": 500}}, "noisy", "no-steady-state"),
        ({"samples": spread(0.06)}, "usable", "iqr-wide"),
        ({"samples": spread(0.12)}, "noisy", "iqr-wide"),
        ({"samples": spread(0.30)}, "unreliable", "iqr-wide"),
    ],
)
def test_each_suspicion_alone_gives_its_grade_and_advice(
    timed: Make, changes: dict[str, Any], grade: str, code: str
) -> None:
    verdict = verdict_on([timed(block, **changes) for block in range(5)])
    assert verdict["grade"] == grade
    assert codes(verdict) == [code]
    assert verdict["advice"].endswith(".")


@pytest.mark.parametrize("step", [+60_000, -60_000])
def test_drift_either_way_is_unreliable(timed: Make, step: int) -> None:
    samples = [1_000_000] * 50 + [1_000_000 + step] * 50
    verdict = verdict_on([timed(block, samples) for block in range(5)])
    assert verdict["grade"] == "unreliable"
    assert codes(verdict) == ["drift", "iqr-wide"]
    assert f"lies {step / 10_000:+.0f} %" in verdict["reasons"][0]


def test_one_event_in_one_process_is_enough(timed: Make) -> None:
    children = [timed(0, load={"throttle_events": 2}), *(timed(block) for block in range(1, 5))]
    verdict = verdict_on(children)
    assert verdict["reasons"] == [
        "throttled: the machine throttled itself 2 times while samples were taken"
    ]


def test_one_unlucky_process_does_not_decide_a_rate_but_is_told(timed: Make) -> None:
    unlucky = timed(0, load={"steal_share": 0.4}, samples=[1_000_000] * 50 + [1_200_000] * 50)
    rest = [timed(block) for block in range(1, 10)]
    assert not {"steal", "drift"} & set(codes(verdict_on([unlucky, *rest])))
    stolen = [timed(block, load={"steal_share": 0.03}) for block in range(1, 10)]
    assert "(worst process 40 %)" in verdict_on([unlucky, *stolen])["reasons"][0]


def test_drifts_that_cancel_are_no_drift(timed: Make) -> None:
    up, down = [1_000_000] * 50 + [1_060_000] * 50, [1_060_000] * 50 + [1_000_000] * 50
    children = [timed(0, up), timed(1, down), timed(2, up), timed(3, down), timed(4)]
    assert "drift" not in codes(verdict_on(children))


@pytest.mark.parametrize(
    ("half_width", "grade"),
    [(0.0099, "stable"), (0.011, "usable"), (0.031, "noisy"), (0.101, "unreliable")],
)
def test_a_wide_interval_costs_the_grade(half_width: float, grade: str) -> None:
    verdict = judge([Reading("interval-wide", half_width, half_width)], SITUATION)
    assert verdict["grade"] == grade


def test_processes_that_differ_widen_the_interval(timed: Make) -> None:
    children = [timed(block, [1_000_000 + 40_000 * block] * 50) for block in range(5)]
    verdict = verdict_on(children)
    assert verdict["grade"] == "noisy"
    assert codes(verdict) == ["interval-wide", "process-apart"]
    assert "over 5 processes is ±" in verdict["reasons"][0]


def test_one_process_far_from_the_others_is_named(timed: Make) -> None:
    children = [timed(0, [1_080_000] * 50), *(timed(block) for block in range(1, 30))]
    verdict = verdict_on(children)
    assert verdict["grade"] == "usable"
    assert verdict["reasons"] == [
        "process-apart: the farthest process lies +8 % from the median of all"
    ]


def test_too_few_processes_are_unreliable_however_quiet(timed: Make) -> None:
    verdict = verdict_on([timed(block) for block in range(3)])
    assert verdict["grade"] == "unreliable"
    assert verdict["reasons"][0] == "few-processes: good processes: 3, which is 2 too few"


def test_one_process_is_unreliable_even_if_that_was_asked_for(timed: Make) -> None:
    verdict = verdict_on([timed(0)], Sampling(processes_min=1, processes_max=1))
    assert verdict["grade"] == "unreliable"
    assert verdict["advice"] == "Try --processes 5."


def test_three_processes_that_were_asked_for_are_at_best_usable(timed: Make) -> None:
    three = Sampling(processes_min=3, processes_max=3, target_half_width=None)
    verdict = verdict_on([timed(block) for block in range(3)], three)
    assert (verdict["grade"], codes(verdict)) == ("usable", ["small-sample"])


def test_the_worst_wins_and_speaks_first() -> None:
    readings = [Reading("iqr-wide", 0.06, 0.1), Reading("interval-wide", 0.2, 0.2),
                Reading("foreign-cores", 0.2, 0.3)]  # fmt: skip
    verdict = judge(readings, SITUATION)
    assert verdict["grade"] == "unreliable"
    assert codes(verdict) == ["interval-wide", "foreign-cores", "iqr-wide"]


def test_a_cause_advises_before_its_symptom() -> None:
    readings = [Reading("interval-wide", 0.2, 0.2), Reading("steal", 0.06, 0.1)]
    assert judge(readings, SITUATION)["advice"] == "Measure on a machine whose CPU is not shared."


def test_what_was_not_observed_is_no_suspicion(timed: Make) -> None:
    nothing = dict.fromkeys(("foreign_cores", "steal_share", "throttle_events", "clock_hz_after"))
    assert verdict_on([timed(b, load=nothing) for b in range(5)])["grade"] == "stable"


def test_a_warmup_too_short_for_the_test_is_no_suspicion(timed: Make) -> None:
    short = {"steady": False, "runs": 5}
    assert verdict_on([timed(b, warmup=short) for b in range(5)])["grade"] == "stable"
    failed = {"steady": False, "runs": 500}
    mixed = [timed(0, warmup=failed), *(timed(b, warmup=short) for b in range(1, 5))]
    assert codes(verdict_on(mixed)) == ["no-steady-state"]


# No machine with TensorRT was at hand: what processes say of their engines is made up here, in the
# form that `tests/runtimes/test_onnxruntime_profiles.py` proves the adapter to give.
CACHED: dict[str, Any] = {"cache": True, "cached": True, "build": "0123", "files": {"a.engine": 6}}
OWN: dict[str, Any] = {"cache": False, "cached": False, "build": None, "files": {}}


def on_engines(timed: Make, *engines: dict[str, Any]) -> VerdictDoc:
    asked = Sampling(processes_min=2)
    facts = [{"facts": {"engine": engine}} for engine in engines]
    return verdict_on([timed(block, **fact) for block, fact in enumerate(facts)], asked)


def test_one_engine_in_all_processes_is_one_draw_and_no_claim(timed: Make) -> None:
    assert on_engines(timed, *[CACHED] * 5) == {
        "grade": "noisy",
        "reasons": [
            (
                "engine-builds: engine builds behind 5 processes: 2 fewer than the 3 that a claim "
                "needs, for each build may pick other kernels"
            )
        ],
        "advice": "Try --set tensorrt.engine_cache=off, so that each process builds its own "
        "engine.",
    }


@pytest.mark.parametrize(
    ("engines", "suspected"),
    [
        ([OWN] * 5, False),
        ([{**CACHED, "build": name} for name in "aabbc"], False),
        ([CACHED, CACHED, CACHED, OWN, OWN], False),
        ([{**CACHED, "build": name} for name in "aabbb"], True),
        ([{**CACHED, "build": None}] * 5, True),  # files that go by a name not known here
        ([CACHED, CACHED, CACHED, CACHED, OWN], True),
    ],
)
def test_engine_builds_are_counted(
    timed: Make, engines: list[dict[str, Any]], *, suspected: bool
) -> None:
    verdict = on_engines(timed, *engines)
    assert ("engine-builds" in codes(verdict)) is suspected
    assert (verdict["grade"] == "noisy") is suspected


def test_a_few_processes_with_engines_of_their_own_need_more_of_them(timed: Make) -> None:
    assert on_engines(timed, OWN, OWN)["advice"].startswith("Try --processes 3:")
    assert "engine_cache=off --processes 3" in on_engines(timed, CACHED, CACHED)["advice"]


def test_every_code_has_one_rule_with_rising_limits() -> None:
    assert sorted(rule.code for rule in RULES) == sorted(typing.get_args(Code))
    assert all(list(rule.limits) == sorted(rule.limits) for rule in RULES)
    assert GRADES == ("stable", "usable", "noisy", "unreliable")


def advice(code: Code, value: float, **changes: Any) -> str:
    situation = dataclasses.replace(SITUATION, **changes)
    return judge([Reading(code, value, value)], situation)["advice"]


def test_advice_names_what_it_takes_and_never_what_is_done() -> None:
    narrow = {"stop": INTERVAL_NARROW}
    assert advice("interval-wide", 0.018, **narrow) == "Try --max-noise 1%."
    ten = {"processes": 10}
    assert advice("interval-wide", 0.015, **ten) == "Try --processes 23."
    budget = {"processes": 6, "stop": "budget spent"}
    assert advice("interval-wide", 0.031, **budget) == "Let the run go on to its end."
    assert advice("interval-wide", 0.04, **budget) == "Try --processes 11."
    assert "quieter host" in advice("interval-wide", 0.09, **ten)
    assert advice("drift", 0.06) == "Try --warmup 20s."
    assert "--warmup" not in advice("drift", 0.06, sampling=Sampling(warmup_s=20.0))
    assert "--warmup" not in advice("no-steady-state", 1.0, sampling=Sampling(warmup_s=20.0))
    assert advice("process-apart", 0.06) == (
        "Try --processes 10, so that one odd process counts less."
    )
    assert "--processes" not in advice("process-apart", 0.06, processes=30)
    assert "processes fail" in advice("few-processes", 2, processes=3, failed=2)
    assert "budget spent" in advice("few-processes", 2, processes=3, stop="budget spent")
