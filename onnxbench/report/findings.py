"""What has to be said beside the numbers: failures, doubts, skips. Data, not yet laid out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxbench.report import format as fmt
from onnxbench.report.axes import MODEL, at, text_at
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from onnxbench.report.axes import Axis
    from onnxbench.types import Record

STRUCK = ("wrong-output", "fallback")
"""States with a latency that is no result: the wrong answer, or another device's."""

DOUBTFUL = ("noisy", "unreliable")

_NAMES = 4
"""Rows that are named in one line; the others are counted."""

_SPIKES = "outliers: "
"""How the notes on outliers begin (`onnxbench.measure.notes`)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line below a table: ``label`` says what kind, ``text`` what."""

    label: str
    text: str


def is_ok(record: Record) -> bool:
    """Say whether the record's latency is a result."""
    return record.get("status") == "ok"


def is_result(record: Record) -> bool:
    """Say whether the latency is one of what was asked for: ok, and no provider but that one."""
    return is_ok(record) and "fallback" not in record


def is_struck(record: Record) -> bool:
    """Say whether the record has a latency that is shown, and is no result."""
    return record.get("status") in STRUCK or (is_ok(record) and "fallback" in record)


def state(record: Record) -> str:
    """Return the verdict's grade, or the status of a record that is no result."""
    if is_ok(record) and "fallback" in record:
        return "fallback"
    status = text_at(record, "status") or "unknown"
    return (text_at(record, "verdict.grade") or "not judged") if status == "ok" else status


def failure(record: Record) -> str:
    """Return in one line why a record is no result, and what to type next."""
    if is_ok(record) and "fallback" in record:
        return text_at(record, "fallback") or "nodes ran on another provider"
    kind, message, phase = (text_at(record, f"error.{key}") for key in ("kind", "message", "phase"))
    what = ": ".join(part for part in (kind, message) if part)
    what = what or text_at(record, "parity.reason") or text_at(record, "latency.reason")
    where = f" (in {phase})" if phase else ""
    return _with_hint(f"{what or 'no reason was recorded'}{where}", text_at(record, "error.hint"))


def _with_hint(text: str, hint: str) -> str:
    return f"{text} → {hint}" if hint else text


def name(record: Record, varying: Sequence[Axis] = ()) -> str:
    """Return how a row is called in a sentence: "resnet50 (threads 2, batch 8)"."""
    rest = [
        axis.phrase.format(text)
        for axis in varying
        if axis is not MODEL and (text := axis.text(record))
    ]
    model = MODEL.text(record) or "unnamed"
    return f"{model} ({', '.join(rest)})" if rest else model


def names(of: Iterable[str]) -> str:
    """Return "a, b, c and 5 more", each name once."""
    unique = list(dict.fromkeys(of))
    shown = ", ".join(fmt.fit(one, 40) for one in unique[:_NAMES])
    return shown + (f" and {len(unique) - _NAMES} more" if len(unique) > _NAMES else "")


def doubts(records: Sequence[Record], varying: Sequence[Axis] = ()) -> list[Finding]:
    """Return why verdicts are bad, one line for each reason code, and then what to do about it."""
    grouped: dict[tuple[str, str], list[tuple[str, str]]] = {}
    advice: dict[str, list[str]] = {}
    for record in records:
        grade = text_at(record, "verdict.grade")
        if not is_ok(record) or grade not in DOUBTFUL:
            continue
        # A single row needs no name.
        row = name(record, varying) if len(records) > 1 else ""
        for reason in at(record, "verdict.reasons") or ():
            code, _, sentence = safe_text(str(reason)).partition(": ")
            grouped.setdefault((grade, code), []).append((row, sentence or code))
        if hint := text_at(record, "verdict.advice"):
            advice.setdefault(hint, []).append(row)
    found = [Finding(grade, _alike(rows)) for (grade, _), rows in sorted(grouped.items())]
    for hint, rows in advice.items():
        found.append(Finding("advice", hint if len(advice) == 1 else f"{names(rows)}: {hint}"))
    return found


def _alike(rows: list[tuple[str, str]]) -> str:
    """Return one line for rows that have the same trouble, each with its own figures."""
    if len({sentence for _, sentence in rows}) == 1:
        return _about(names(row for row, _ in rows), rows[0][1])
    (first, sentence), others = rows[0], rows[1:]
    return f"{first}: {sentence}; likewise {names(row for row, _ in others)}"


def _about(subject: str, sentence: str) -> str:
    return f"{subject}: {sentence}" if subject else sentence


def skips(skipped: Sequence[Mapping[str, object]]) -> list[Finding]:
    """Return what was asked for and not measured (`Skip.document`), one line for each reason."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for skip in skipped:
        runtime, reason, hint = (text_at(skip, key) for key in ("runtime", "reason", "hint"))
        grouped.setdefault((runtime, reason, hint), []).append(text_at(skip, "model"))
    return [
        Finding("skipped", _with_hint(f"{names(models)} on {runtime}: {reason}", hint))
        for (runtime, reason, hint), models in grouped.items()
    ]


def legend(records: Sequence[Record], varying: Sequence[Axis] = ()) -> list[Finding]:
    """Return what the latency is, and why an interval is missing where one is."""
    ok = [record for record in records if is_ok(record)]
    missing: dict[str, list[str]] = {}
    for record in ok:
        if not at(record, "latency.ci95_ns"):
            reason = text_at(record, "latency.ci95_reason") or "no reason was recorded"
            missing.setdefault(reason, []).append(name(record, varying))
    found = [Finding("latency", measured(ok))] if ok else []
    return found + [Finding("± ?", f"{names(rows)}: {why}") for why, rows in missing.items()]


def notes(records: Sequence[Record], varying: Sequence[Axis] = ()) -> list[Finding]:
    """Return the notes of measured records, each once: what was guessed or odd has to be said.

    Notes on outliers differ in their figures alone and share a line. A record without a number
    has its reason elsewhere.
    """
    grouped: dict[str, list[tuple[str, str]]] = {}
    ok = [record for record in records if is_ok(record)]
    for record in ok:
        for text in record.get("notes") or ():
            note = safe_text(str(text))
            key = _SPIKES if note.startswith(_SPIKES) else note
            grouped.setdefault(key, []).append((name(record, varying), note))
    return [
        Finding("note", key if len(rows) == len(ok) and key != _SPIKES else _alike(rows))
        for key, rows in grouped.items()
    ]


def measured(records: Sequence[Record], *, interval: bool = True) -> str:
    """Return what the latency is, with the numbers of processes and samples behind it."""
    processes = [n for r in records if (n := at(r, "latency.processes"))]
    samples = [n for r in records for n in at(r, "latency.samples_per_process") or ()]
    text = f"geometric mean of process medians ({_range(processes, 'process')}"
    if samples:
        text += f", {_range(samples, 'sample')} each"
    return f"{text}) ± half-width of its 95 % t-interval" if interval else f"{text})"


def _range(values: Sequence[int], noun: str) -> str:
    low, high = min(values, default=0), max(values, default=0)
    return f"{fmt.count(low)}–" * (low != high) + fmt.plural(high, noun)


def commands(records: Sequence[Record]) -> list[str]:
    """Return the different commands that measure these records again."""
    return list(dict.fromkeys(str(r["reproduce"]) for r in records if r.get("reproduce")))


def run_facts(records: Sequence[Record]) -> list[str]:
    """Return when the records were made, and by which version."""
    created = sorted(text for r in records if (text := text_at(r, "created")))
    moments = list(dict.fromkeys(fmt.timestamp(text) for text in created[:1] + created[-1:]))
    version = {text for r in records if (text := text_at(r, "tool.version"))}
    return [" to ".join(moments)] * bool(moments) + [f"onnxbench {v}" for v in sorted(version)][:1]
