"""What a record says in words: failed attempts, odd outputs, spikes, and nulls without a field
for their reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.measure.children import measurements
from onnxbench.measure.evidence import reached_steady_state
from onnxbench.text import safe_text
from onnxbench.types import PHASES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.measure.children import Children
    from onnxbench.measure.distribution import Distribution
    from onnxbench.types import Measurement

_SPIKY = 0.10
"""Outliers that take more than this share of a process's time are worth a note; our judgement."""


def notes(children: Children, distributions: Sequence[Distribution]) -> list[str]:
    """Return the notes of one cell, ours first, then those of its processes without repeats."""
    facts = measurements(children.facts)
    timed = measurements(children.good)
    said = (note for measurement in (*facts, *timed) for note in measurement.get("notes", []))
    return [
        *children.notes(),
        *_outputs(facts, timed),
        *_threads(timed),
        *_cut_short(timed),
        *_spikes(distributions),
        *_unobserved(timed),
        *_unreported(facts, timed),
        *dict.fromkeys(safe_text(note) for note in said),
    ]


def _outputs(facts: Sequence[Measurement], timed: Sequence[Measurement]) -> list[str]:
    found = []
    everyone = [*facts, *timed]
    changed = sum(m.get("outputs_sha256") != m.get("outputs_sha256_after") for m in everyone)
    different = len({m["outputs_sha256"] for m in everyone if "outputs_sha256" in m})
    if changed:
        found.append(
            f"nondeterministic-output: two runs on the same inputs gave different outputs in"
            f" {changed} of {len(everyone)} processes"
        )
    elif different > 1:
        found.append(f"nondeterministic-output: {different} different outputs between processes")
    nonfinite = sum(m.get("parity", {}).get("nonfinite", 0) for m in facts)
    if nonfinite:
        found.append(f"nonfinite-output: {nonfinite} output elements are NaN or infinite")
    return found


def _cut_short(timed: Sequence[Measurement]) -> list[str]:
    """Say where sampling ended before it had what was asked for."""
    why = {"limit": "its time limit", "room": "the room for samples"}
    return [
        f"sampling ended at {why[stop]}, with {measurement['samples']} samples"
        for measurement in timed
        if (stop := measurement.get("stop", "")) in why
    ]


def _threads(timed: Sequence[Measurement]) -> list[str]:
    """Say where a process was found to compute with another number of threads than it was told.

    Found are those that the runtime started, or those that were busy: a runtime may keep idle
    helpers, and may leave threads of its own idle where a network is too small for them.
    """
    odd = set()
    for measurement in timed:
        effective = measurement.get("facts", {})
        told, found = effective.get("threads_told"), effective.get("threads_found")
        if None not in (told, found) and told not in (found, effective.get("threads_busy")):
            control = effective.get("threads_control", "exact")
            why = "" if control == "exact" else f" ({safe_text(str(control), 200)})"
            odd.add(f"threads: told {told}, found {found}{why}")
    return sorted(odd)


def _spikes(distributions: Sequence[Distribution]) -> list[str]:
    worst = max(distributions, key=lambda d: d.outliers.time_share, default=None)
    if worst is None or worst.outliers.time_share <= _SPIKY:
        return []
    share, count = 100 * worst.outliers.time_share, worst.outliers.count
    return [f"outliers: {count} of {worst.count} samples take {share:.0f} % of a process's time"]


def _unobserved(timed: Sequence[Measurement]) -> list[str]:
    """Say what the verdict could not look at in any process."""
    found = []
    loads = [measurement.get("load", {}) for measurement in timed]
    unseen = [
        name
        for name in ("foreign_cores", "steal_share")
        if loads and all(load.get(name) is None for load in loads)
    ]
    if unseen:
        reason = next((load["reason"] for load in loads if load.get("reason")), "not reported")
        found.append(f"not observed: {', '.join(unseen)} ({safe_text(reason)})")
    if timed and all(reached_steady_state(measurement) is None for measurement in timed):
        found.append("not observed: steady state (warm-up was too short to test for it)")
    return found


def _unreported(facts: Sequence[Measurement], timed: Sequence[Measurement]) -> list[str]:
    """Give the reason of nulls and gaps in the record that have no field for one."""
    missing = [
        f"phases_ns.{phase}"
        for phase in PHASES
        if all(phase not in measurement.get("phases_ns", {}) for measurement in timed)
    ]
    if not any(measurement.get("placement") for measurement in facts):
        missing.append("placement")
    if not any(measurement.get("precision_effective") for measurement in facts):
        missing.append("precision_effective")
    return [f"reported by no process: {', '.join(missing)}"] if missing else []
