"""Everything about one record on one page: ``onnxbench show RECORD``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from onnxbench.report import axes, environment, findings, layout, proof
from onnxbench.report import format as fmt
from onnxbench.report.axes import at, text_at
from onnxbench.report.columns import half_width
from onnxbench.report.findings import Finding
from onnxbench.report.op_times import op_times_table
from onnxbench.text import PARAGRAPH, safe_text
from onnxbench.types import PHASES

if TYPE_CHECKING:
    from rich.console import RenderableType

    from onnxbench.types import Record

_STATISTICS = ("median", "min", "mean", "p90", "p95", "p99")
_MEMORY = {
    "peak_rss_bytes": "peak RSS",
    "model_rss_bytes": "model RSS",
    "imported_rss_bytes": "RSS after import",
    "uss_bytes": "USS",
    "pss_bytes": "PSS",
    "weights_bytes": "loading adds",
    "working_set_bytes": "running adds",
    "device_bytes": "device",
}


def record_detail(record: Record, *, width: int) -> RenderableType:
    """Return the page: what was measured, every statistic or why it is missing, and how to repeat.

    Sections without anything in them are left out.
    """
    sections = {
        "": _subject(record),
        "latency": _latency(record),
        "phases": _phases(record),
        "memory": _memory(record),
        "conversion": _conversion(record),
        "network": _network(record),
        "placement": _placement(record),
        "threads": _threads(record),
        "outputs": _outputs(record),
        "verdict": _verdict(record),
        "environment": environment.summary(record.get("environment") or {}),
        "notes": _notes(record),
    }
    parts: list[RenderableType] = []
    label_width = max(len(f.label) for lines in sections.values() for f in lines)
    for title, lines in sections.items():
        if lines:
            heading = Text(f"\n{title}", style="bold") if title else Text(_headline(record), "bold")
            parts += [heading, layout.definitions(lines, width, indent=2, label_width=label_width)]
    if record.get("op_times"):
        hot = op_times_table(record["op_times"], width=width)
        parts += [Text("\nhot operators", style="bold"), hot]
    return Group(*parts, Text(), *layout.reproduce(findings.commands([record]), width))


def _headline(record: Record) -> str:
    state = findings.state(record)
    return f"{findings.name(record)} on {text_at(record, 'cell.runtime')}: {state}"


def _subject(record: Record) -> list[Finding]:
    emulated = " (emulated)" if at(record, "cell.device.emulated") else ""
    size = at(record, "cell.model.bytes")
    lines = [
        Finding("record", f"{text_at(record, 'record_id')} of run {text_at(record, 'run_id')}"),
        Finding("made", ", ".join(findings.run_facts([record]))),
        Finding("sha256", text_at(record, "cell.model.sha256")),
        Finding("file", _joined(
            fmt.size(size) if isinstance(size, int) else "",
            _labelled("opset", text_at(record, "cell.model.opset")),
            _labelled("weights", text_at(record, "cell.model.weights")),
        )),
        Finding("device", _joined(
            text_at(record, "cell.device.name") + emulated, text_at(record, "cell.device.arch")
        )),
        Finding("inputs", axes.shapes(record, PARAGRAPH)),
        Finding("cell", _joined(*(
            axis.phrase.format(text)
            for axis in (axes.THREADS, *axes.WORKLOAD, axes.OPTIONS)
            if (text := axis.text(record))
        ))),
        Finding("failure", "" if findings.is_ok(record) else findings.failure(record)),
    ]  # fmt: skip
    return [line for line in lines if line.text]


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _labelled(label: str, text: str) -> str:
    return f"{label} {text}" if text else ""


def _latency(record: Record) -> list[Finding]:
    latency: dict[str, Any] = dict(record.get("latency") or {})
    lines = []
    for name in _STATISTICS:
        value, reason = latency.get(f"{name}_ns"), latency.get(f"{name}_reason")
        if name == "median":
            reason = latency.get("reason")
        if value is not None:
            around = _interval(record) if name == "median" else ""
            lines.append(Finding(name, fmt.duration(value) + around))
        elif reason:
            lines.append(Finding(name, _missing(str(reason))))
    for key, label in (("iqr_over_median", "IQR / median"), ("outlier_share", "outliers")):
        if (share := latency.get(key)) is not None:
            lines.append(Finding(label, fmt.percent(share)))
    if medians := latency.get("process_medians_ns"):
        lines.append(Finding("processes", ", ".join(map(str.strip, fmt.durations(medians)))))
    if latency.get("samples"):
        stop = _labelled("ended by", text_at(record, "stop"))
        lines.append(Finding("samples", _joined(fmt.count(latency["samples"]), stop)))
    per_s = record.get("throughput_per_s")
    missing = text_at(record, "throughput_reason")
    if per_s is not None or missing:
        text = _missing(missing) if per_s is None else fmt.rate(per_s)
        lines.append(Finding("throughput", text))
    return lines


def _missing(reason: str) -> str:
    return f"{fmt.NOTHING} ({safe_text(reason) or 'no reason was recorded'})"


def _interval(record: Record) -> str:
    half, interval = half_width(record), at(record, "latency.ci95_ns")
    if half is None:
        return f" ± {_missing(text_at(record, 'latency.ci95_reason'))}"
    low, high = map(str.strip, fmt.durations(interval))
    return f" ± {fmt.percent(half)} (95 % interval {low} to {high})"


def _phases(record: Record) -> list[Finding]:
    phases = record.get("phases_ns") or {}
    return [
        Finding(safe_text(name).replace("_", " "), fmt.NOTHING if ns is None else fmt.duration(ns))
        for name, ns in sorted(phases.items(), key=_place_in_order)
    ]


def _place_in_order(phase: tuple[str, object]) -> int:
    """Return where a phase comes; the store gives keys in alphabetical order."""
    return PHASES.index(phase[0]) if phase[0] in PHASES else len(PHASES)


def _memory(record: Record) -> list[Finding]:
    memory: dict[str, Any] = dict(record.get("memory") or {})
    lines = []
    for key, label in _MEMORY.items():
        if key not in memory:
            continue
        reason = "device_reason" if key == "device_bytes" else "reason"
        missing = _missing(str(memory.get(reason, "")))
        lines.append(Finding(label, missing if memory[key] is None else fmt.size(memory[key])))
    for phase, figures in (memory.get("phases") or {}).items():
        sizes = (
            f"{label} {fmt.size(figures[key])}"
            for key, label in (("rss_bytes", "RSS"), ("uss_bytes", "USS"), ("pss_bytes", "PSS"))
            if figures.get(key) is not None
        )
        if text := _joined(*sizes):
            lines.append(Finding(f"after {safe_text(phase).replace('_', ' ')}", text))
    return lines


def _conversion(record: Record) -> list[Finding]:
    """Return what the conversion into the runtime's own format took and gave."""
    conversion: dict[str, Any] = dict(record.get("conversion") or {})
    if not conversion:
        return []
    if (took_ns := conversion.get("duration_ns")) is None:
        return [Finding("took", _missing(str(conversion.get("reason", ""))))]
    when = "kept from then" if conversion.get("cached") else "made for this run"
    lines = [Finding("took", _joined(fmt.duration(took_ns), when))]
    if conversion.get("bytes") is not None:
        lines.append(Finding("files", fmt.size(conversion["bytes"])))
    facts = conversion.get("facts") or {}
    return lines + [Finding(safe_text(key), safe_text(str(facts[key]))) for key in sorted(facts)]


def _network(record: Record) -> list[Finding]:
    static: dict[str, Any] = dict(record.get("static") or {})
    if static.get("params") is None:
        reason = static.get("reason")
        return [Finding("counted", _missing(str(reason)))] if reason else []
    lines = []
    for key, label in (("macs", "MACs"), ("flops", "FLOPs"), ("params", "parameters")):
        count = static.get(key)
        formula = (static.get("formulas") or {}).get(key, "")
        shown = f"{fmt.decimal(count)} ({count:,})" if count is not None else safe_text(formula)
        per_s = at(record, f"derived.{key}_per_s")
        rate = "" if per_s is None else f"{fmt.decimal(per_s)}/s of useful work"
        lines.append(Finding(label, _joined(shown, rate)))
    for key, label in (("weight_bytes", "weights"), ("peak_activation_bytes", "activations")):
        if static.get(key) is not None:
            peak = " at their peak, by liveness" if key.startswith("peak") else ""
            lines.append(Finding(label, fmt.size(static[key]) + peak))
    unknown = sum(each["nodes"] for each in static.get("unknown") or ())
    if unknown:
        lines.append(
            Finding("not counted", f"{fmt.plural(unknown, 'node')}: totals are lower bounds")
        )
    return lines


def _placement(record: Record) -> list[Finding]:
    lines = []
    for place in record.get("placement") or ():
        nodes = f"{fmt.plural(place['nodes'], 'node')} ({fmt.percent(place['node_share'])})"
        share = place.get("time_share")
        unknown = f"time {_missing(place['time_reason'])}" if place.get("time_reason") else ""
        time = unknown if share is None else f"{fmt.percent(share)} of the time"
        lines.append(Finding(proof.provider(place), _joined(nodes, time, proof.operators(place))))
    if fallback := text_at(record, "fallback"):
        lines.append(Finding("fallback", fallback))
    if effective := text_at(record, "precision_effective"):
        other = "not the type that the model declares" if proof.computes_otherwise(record) else ""
        lines.append(Finding("precision", _joined(effective, other)))
    return lines


def _threads(record: Record) -> list[Finding]:
    """Return the threads that were told, found and busy, and what the runtime says of them."""
    counts = (
        f"{label} {found}"
        for label in ("told", "found", "busy")
        if (found := at(record, f"effective.threads_{label}")) is not None
    )
    spinning = at(record, "effective.spinning")
    said = {True: "yes", False: "no"}.get(spinning, spinning) if spinning is not None else ""
    lines = [
        Finding("threads", _joined(*counts)),
        Finding("control", text_at(record, "effective.threads_control")),
        Finding("spinning", safe_text(str(said))),
    ]
    return [line for line in lines if line.text]


def _outputs(record: Record) -> list[Finding]:
    parity: dict[str, Any] = dict(record.get("parity") or {})
    if not parity:
        return []
    passed = {True: "passed", False: "FAILED"}.get(parity.get("passed"), "not checked")  # type: ignore[arg-type]
    against = _labelled("against", text_at(record, "parity.reference"))
    errors = (
        f"{label} {parity[key]:.3g}"
        for key, label in (
            ("max_abs", "largest error"),
            ("max_rel", "relative"),
            ("scale", "largest |reference|"),
            ("tolerance", "error/scale at most"),
        )
        if parity.get(key) is not None
    )
    lines = [Finding("parity", _joined(passed, against, *errors, text_at(record, "parity.reason")))]
    if parity.get("cosine") is not None:
        lines.append(Finding("cosine", f"{parity['cosine']:.9g}"))
    if "input_sensitive" in parity:
        words = {
            True: "give other outputs, as the reference's do",
            False: "give the SAME outputs: the input is not read",
        }
        same = "gave the reference equal outputs too, so nothing is known"
        lines.append(Finding("other inputs", words.get(parity["input_sensitive"], same)))
    if parity.get("deterministic") is not None:
        lines.append(Finding("two runs", "same bytes" if parity["deterministic"] else "differ"))
    if parity.get("nonfinite"):
        lines.append(Finding("non-finite", fmt.plural(parity["nonfinite"], "element")))
    return lines


def _verdict(record: Record) -> list[Finding]:
    if not findings.is_ok(record):
        return []
    lines = [Finding("grade", findings.state(record))]
    for reason in at(record, "verdict.reasons") or ():
        code, _, sentence = safe_text(str(reason), PARAGRAPH).partition(": ")
        lines.append(Finding(code, sentence))
    if advice := text_at(record, "verdict.advice"):
        lines.append(Finding("advice", advice))
    return lines


def _notes(record: Record) -> list[Finding]:
    return [Finding("", safe_text(str(note), PARAGRAPH)) for note in record.get("notes") or ()]
