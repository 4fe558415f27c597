"""A record as one flat row for a spreadsheet or a data frame.

Numbers stay in the record's units (ns, bytes), said in every header. The first columns are the
same in every file and always in this order; what the environment holds differs from host to host
and follows as ``environment_…``, sorted. A null is an empty cell beside its reason column.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from onnxbench.report.axes import at, options, shapes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from onnxbench.types import Record

Cell = str | int | float | bool | None

PATHS: tuple[tuple[str, str], ...] = (
    ("schema", "schema"),
    ("record_id", "record_id"),
    ("run_id", "run_id"),
    ("created", "created"),
    ("status", "status"),
    ("error_kind", "error.kind"),
    ("error_message", "error.message"),
    ("error_hint", "error.hint"),
    ("error_phase", "error.phase"),
    ("cell_id", "cell_id"),
    ("model_id", "cell.model.id"),
    ("model_sha256", "cell.model.sha256"),
    ("model_bytes", "cell.model.bytes"),
    ("model_opset", "cell.model.opset"),
    ("model_weights", "cell.model.weights"),
    ("runtime", "cell.runtime"),
    ("device_kind", "cell.device.kind"),
    ("device_name", "cell.device.name"),
    ("device_arch", "cell.device.arch"),
    ("device_emulated", "cell.device.emulated"),
    ("shapes", ""),
    ("batch", "cell.batch"),
    ("inputs", "cell.inputs"),
    ("precision", "cell.precision"),
    ("threads", "cell.threads"),
    ("boundary", "cell.boundary"),
    ("options", ""),
    ("label", "cell.label"),
    ("latency_median_ns", "latency.median_ns"),
    ("latency_ci95_low_ns", "latency.ci95_ns.0"),
    ("latency_ci95_high_ns", "latency.ci95_ns.1"),
    ("latency_ci95_reason", "latency.ci95_reason"),
    ("latency_min_ns", "latency.min_ns"),
    ("latency_mean_ns", "latency.mean_ns"),
    ("latency_p90_ns", "latency.p90_ns"),
    ("latency_p90_reason", "latency.p90_reason"),
    ("latency_p95_ns", "latency.p95_ns"),
    ("latency_p95_reason", "latency.p95_reason"),
    ("latency_p99_ns", "latency.p99_ns"),
    ("latency_p99_reason", "latency.p99_reason"),
    ("latency_iqr_over_median", "latency.iqr_over_median"),
    ("latency_outlier_share", "latency.outlier_share"),
    ("latency_reason", "latency.reason"),
    ("samples", "latency.samples"),
    ("samples_per_process", "latency.samples_per_process"),
    ("processes", "latency.processes"),
    ("throughput_per_s", "throughput_per_s"),
    ("throughput_reason", "throughput_reason"),
    ("phase_import_ns", "phases_ns.import"),
    ("phase_load_ns", "phases_ns.load"),
    ("phase_first_run_ns", "phases_ns.first_run"),
    ("phase_warmup_ns", "phases_ns.warmup"),
    ("peak_rss_bytes", "memory.peak_rss_bytes"),
    ("model_rss_bytes", "memory.model_rss_bytes"),
    ("device_bytes", "memory.device_bytes"),
    ("memory_reason", "memory.reason"),
    ("device_reason", "memory.device_reason"),
    ("placement", "placement"),
    ("precision_effective", "precision_effective"),
    ("parity_reference", "parity.reference"),
    ("parity_max_abs", "parity.max_abs"),
    ("parity_max_rel", "parity.max_rel"),
    ("parity_top1_agree", "parity.top1_agree"),
    ("parity_passed", "parity.passed"),
    ("parity_reason", "parity.reason"),
    ("energy_joules_per_inference", "energy.joules_per_inference"),
    ("energy_idle_watts", "energy.idle_watts"),
    ("energy_sensor", "energy.sensor"),
    ("energy_reason", "energy.reason"),
    ("macs", "static.macs"),
    ("flops", "static.flops"),
    ("transcendentals", "static.transcendentals"),
    ("params", "static.params"),
    ("buffers", "static.buffers"),
    ("weight_bytes", "static.weight_bytes"),
    ("peak_activation_bytes", "static.peak_activation_bytes"),
    ("static_convention", "static.convention"),
    ("static_exact", "static.exact"),
    ("static_coverage", "static.coverage"),
    ("static_reason", "static.reason"),
    ("macs_per_s", "derived.macs_per_s"),
    ("flops_per_s", "derived.flops_per_s"),
    ("verdict_grade", "verdict.grade"),
    ("verdict_reasons", "verdict.reasons"),
    ("verdict_advice", "verdict.advice"),
    ("stop", "stop"),
    ("notes", "notes"),
    ("tool_version", "tool.version"),
    ("reproduce", "reproduce"),
    ("runtime_version", "effective.runtime_version"),
    ("fallback", "fallback"),
    ("threads_told", "effective.threads_told"),
    ("threads_found", "effective.threads_found"),
    ("threads_busy", "effective.threads_busy"),
    ("threads_control", "effective.threads_control"),
    ("threads_spinning", "effective.spinning"),
    ("parity_cosine", "parity.cosine"),
    ("parity_scale", "parity.scale"),
    ("parity_tolerance", "parity.tolerance"),
    ("parity_input_sensitive", "parity.input_sensitive"),
    ("weights_bytes", "memory.weights_bytes"),
    ("working_set_bytes", "memory.working_set_bytes"),
    ("memory_phases", "memory.phases"),
    ("conversion_cached", "conversion.cached"),
    ("conversion_duration_ns", "conversion.duration_ns"),
    ("conversion_bytes", "conversion.bytes"),
    ("conversion_reason", "conversion.reason"),
)
"""Header and dotted path of the columns every file has. Columns may be added, never renamed."""


def rows(records: Sequence[Record]) -> tuple[list[str], list[list[Cell]]]:
    """Return the headers and one row for each record."""
    environments = [dict(_leaves(record.get("environment") or {})) for record in records]
    extra = sorted({key for environment in environments for key in environment})
    table = [
        [_fixed(record, header, path) for header, path in PATHS]
        + [environment.get(key) for key in extra]
        for record, environment in zip(records, environments, strict=True)
    ]
    return [header for header, _ in PATHS] + [f"environment_{key}" for key in extra], table


def _fixed(record: Record, header: str, path: str) -> Cell:
    if header == "shapes":
        return shapes(record, limit=None)
    if header == "options":
        return options(record, limit=None)
    parent, _, index = path.rpartition(".")
    if index.isdecimal():
        pair = at(record, parent)
        return pair[int(index)] if pair else None
    return _cell(at(record, path))


def _cell(value: object) -> Cell:
    """Return a scalar as it is, a list of texts as sentences, anything else as JSON."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " | ".join(value)
    return json.dumps(value, sort_keys=True)


def _leaves(document: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, Cell]]:
    for key, value in document.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}_")
        else:
            yield f"{prefix}{key}", _cell(value)
