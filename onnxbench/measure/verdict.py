"""How far a number can be believed: a grade, the reasons for it, and one thing to do next.

The worst reading wins. A quick run is judged by the same limits as a long one, by what it
observed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from onnxbench.measure.evidence import ENGINE_BUILDS, TRUSTED_PROCESSES
from onnxbench.measure.stopping import INTERVAL_NARROW
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxbench.measure.evidence import Code, Reading
    from onnxbench.types import Grade, Sampling, VerdictDoc

GRADES: tuple[Grade, ...] = ("stable", "usable", "noisy", "unreliable")

_AFFORDABLE_PROCESSES = 30
"""More processes than this are not advised: a quieter host is then the cheaper cure."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What was done already: ``processes`` good ones, ``failed`` others, and what ended the run."""

    processes: int
    failed: int
    sampling: Sampling
    stop: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Limits of one reading: its size may be at most this to be stable, usable, noisy.

    ``sentence`` is formatted with value, worst (in ``unit``) and processes.
    """

    code: Code
    limits: tuple[float, float, float]
    unit: Literal["share", "change", "count", "cores"]
    sentence: str
    advise: Callable[[Reading, Situation], str]

    def grade(self, reading: Reading) -> Grade:
        """Return the best grade that ``reading`` allows."""
        return GRADES[sum(abs(reading.value) > limit for limit in self.limits)]

    def reason(self, reading: Reading, situation: Situation) -> str:
        """Return ``code: sentence`` with the number behind the suspicion."""
        sentence = self.sentence.format(
            value=_in_words(reading.value, self.unit),
            worst=_in_words(reading.worst, self.unit),
            processes=situation.processes,
        )
        return f"{self.code}: {sentence}"


def judge(readings: Sequence[Reading], situation: Situation) -> VerdictDoc:
    """Return the verdict on ``readings``: worst grade, its reasons first, and one advice."""
    by_code = {reading.code: reading for reading in readings}
    found = [
        (GRADES.index(rule.grade(by_code[rule.code])), rule) for rule in RULES
        if rule.code in by_code
    ]  # fmt: skip
    found = sorted((entry for entry in found if entry[0] > 0), key=lambda entry: -entry[0])
    if not found:
        return {"grade": "stable", "reasons": [], "advice": ""}
    worst, first = found[0]
    return {
        "grade": GRADES[worst],
        "reasons": [rule.reason(by_code[rule.code], situation) for _, rule in found],
        "advice": first.advise(by_code[first.code], situation),
    }


def not_measured(reason: str) -> VerdictDoc:
    """Return the verdict on a cell without a number."""
    return {"grade": None, "reasons": [f"not-measured: {reason}"], "advice": ""}


def no_result(verdict: VerdictDoc, reason: str) -> VerdictDoc:
    """Return ``verdict`` on a number that is none, for the answers were wrong."""
    return {"grade": None, "reasons": [reason, *verdict["reasons"]], "advice": ""}


def with_fallback(verdict: VerdictDoc, fallback: str | None) -> VerdictDoc:
    """Return ``verdict`` on a number that another provider than the one asked for had part in."""
    if fallback is None or verdict["grade"] is None:
        return verdict
    return {
        "grade": "unreliable",
        "reasons": [f"fallback: {safe_text(fallback, 300)}", *verdict["reasons"]],
        "advice": "Leave out --allow-fallback to see such rows fail.",
    }


def _in_words(value: float, unit: str) -> str:
    if unit == "count":
        return f"{value:.0f}"
    if unit == "cores":
        return f"{value:.2f}"
    sign = "+" if unit == "change" else ""
    return f"{100 * value:{sign}.3g} %" if abs(value) < 10 else f"{100 * value:{sign}.0f} %"


def _always(text: str) -> Callable[[Reading, Situation], str]:
    return lambda _reading, _situation: text


def _longer_warmup(_reading: Reading, situation: Situation) -> str:
    sampling = situation.sampling
    # The worker's cap is the larger of the two, so a warm-up beyond the cap has been tried.
    if sampling.warmup_s <= sampling.warmup_cap_s:
        return f"Try --warmup {2 * sampling.warmup_cap_s:g}s."
    return "Find what changes while the model runs: heat, clock, other load."


def _more_processes(reading: Reading, situation: Situation) -> str:
    # The width falls with the square root of the number of processes.
    limit = next(limit for limit in (0.10, 0.03, 0.01) if reading.value > limit)
    needed = math.ceil(situation.processes * (reading.value / limit) ** 2)
    target = situation.sampling.target_half_width
    if situation.stop == INTERVAL_NARROW and target is not None and target > limit:
        return f"Try --max-noise {100 * limit:g}%."
    if needed <= situation.sampling.processes_max:
        return "Let the run go on to its end."
    if needed <= _AFFORDABLE_PROCESSES:
        return f"Try --processes {needed}."
    return "Measure on a quieter host: the processes differ too much for more of them to help."


def _outvote(_reading: Reading, situation: Situation) -> str:
    doubled = 2 * situation.processes
    if doubled <= _AFFORDABLE_PROCESSES:
        return f"Try --processes {doubled}, so that one odd process counts less."
    return "Measure on a quieter host: single processes keep falling out of line."


def _enough_processes(_reading: Reading, situation: Situation) -> str:
    if situation.processes >= situation.sampling.processes_min:
        return f"Try --processes {TRUSTED_PROCESSES}."
    if situation.failed:
        return "Mend what made processes fail (see the notes), then measure again."
    return f"Let the run go on to its end (it ended with: {situation.stop})."


def _other_builds(reading: Reading, situation: Situation) -> str:
    if ENGINE_BUILDS - reading.value == situation.processes:
        return f"Try --processes {ENGINE_BUILDS}: each of them builds an engine of its own."
    more = "" if situation.processes >= ENGINE_BUILDS else f" --processes {ENGINE_BUILDS}"
    return f"Try --set tensorrt.engine_cache=off{more}, so that each process builds its own engine."


RULES: tuple[Rule, ...] = (
    # Causes stand before symptoms: of equally bad readings the first gives the advice. The limits
    # are our judgement; those on spread within a process follow torch.utils.benchmark, which
    # warns at an IQR/median of 10 % and again at 25 %. See docs/method.md, noise verdict.
    Rule("throttled", (0, 0, 0), "count",
         "the machine throttled itself {value} times while samples were taken",
         _always("Cool the machine or lower its power limit, then measure again.")),
    Rule("swap-in", (0, 0, 0), "count",
         "{value} pages were swapped in while samples were taken",
         _always("Free memory until nothing is swapped, then measure again.")),
    Rule("clock-drop", (0.05, 0.05, 0.05), "share",
         "the clock fell by {value} while samples were taken (worst process {worst})",
         _always("Let the machine cool down or fix its clock, then measure again.")),
    Rule("steal", (0.02, 0.02, 0.02), "share",
         "the hypervisor took {value} of the CPU time (worst process {worst})",
         _always("Measure on a machine whose CPU is not shared.")),
    Rule("foreign-cores", (0.10, 0.10, 0.50), "cores",
         "other programs kept {value} cores busy (worst process {worst})",
         _always("Stop the other programs on this machine, then measure again.")),
    Rule("no-steady-state", (0.0, 0.5, 1.0), "share",
         "{value} of the processes reached no steady state in warm-up", _longer_warmup),
    Rule("drift", (0.05, 0.05, 0.05), "change",
         "the second half of the samples lies {value} from the first (worst process {worst})",
         _longer_warmup),
    Rule("few-processes", (0, 0, 0), "count",
         "good processes: {processes}, which is {value} too few", _enough_processes),
    Rule("small-sample", (0, TRUSTED_PROCESSES, TRUSTED_PROCESSES), "count",
         "good processes: {processes}, few for a 95 % interval", _enough_processes),
    Rule("engine-builds", (0, 0, math.inf), "count",
         f"engine builds behind {{processes}} processes: {{value}} fewer than the {ENGINE_BUILDS}"
         " that a claim needs, for each build may pick other kernels", _other_builds),
    Rule("process-apart", (0.05, 0.10, math.inf), "change",
         "the farthest process lies {value} from the median of all", _outvote),
    Rule("interval-wide", (0.01, 0.03, 0.10), "share",
         "the 95 % interval over {processes} processes is ±{value}", _more_processes),
    Rule("iqr-wide", (0.05, 0.10, 0.25), "share",
         "the middle half of a process's samples spreads over {value} of their median"
         " (worst process {worst})",
         _always("Measure on a quieter host: the spread is inside each process.")),
)  # fmt: skip
"""The table of limits: one row per suspicion."""
