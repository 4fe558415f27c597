"""From records of the calibration networks to ceilings: the best median rate over the sizes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from onnxbench import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from onnxbench.calibration.cases import Case
    from onnxbench.types import JsonObject, Record

SCHEMA = 1
"""Version of the document; another one is not read."""


def calibration_document(
    cases: Mapping[str, Case],
    records: Iterable[Record],
    *,
    host: str,
    runtime: str,
    build: str,
    threads: int,
    cache_bytes: int | None,
) -> JsonObject:
    """Return what ``runtime`` attains with ``threads``, from ``records`` of the networks ``cases``.

    ``cases``: by the id of the model in a record. ``compute``: by effective precision and kind, the
    fastest size; ``bandwidth``: the fastest of each working set, the smallest first; ``missing``:
    networks that gave no rate, each with its reason.
    """
    compute: dict[str, dict[str, JsonObject]] = {}
    bandwidth: dict[int, JsonObject] = {}
    missing: list[JsonObject] = []
    for record in records:
        cell = record["cell"]
        case = cases.get(cell["model"]["id"])
        if case is None or (cell["runtime"], cell["threads"]) != (runtime, threads):
            continue
        reason = _why_none(case, record)
        if reason:
            missing.append(
                {
                    "case": case.name,
                    "type": case.type,
                    "precision": cell["precision"],
                    "reason": reason,
                }
            )
        elif case.working_set is not None:
            _keep(bandwidth, case.working_set, _rate(case, record))
        else:
            effective = str(record["precision_effective"])
            _keep(compute.setdefault(effective, {}), case.kind, _rate(case, record))
    return {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "host": host,
        "runtime": runtime,
        "build": build,
        "threads": threads,
        "cache_bytes": cache_bytes,
        "compute": compute,
        "bandwidth": [{"working_set_bytes": size, **bandwidth[size]} for size in sorted(bandwidth)],
        "missing": missing,
    }


def _keep(best: dict[Any, JsonObject], key: int | str, rate: JsonObject) -> None:
    if key not in best or rate["per_second"] > best[key]["per_second"]:
        best[key] = rate


def _why_none(case: Case, record: Record) -> str:
    """Return why a record gives no rate, "" if it does."""
    if record["status"] != "ok":
        error = record["error"]
        return f"{record['status']}: {error['message']}" if error else record["status"]
    if case.working_set is None and not record["precision_effective"]:
        return "the runtime does not tell in which precision it computed"
    return ""


def _rate(case: Case, record: Record) -> JsonObject:
    """Return FLOPs or bytes per second.

    Of the process whose median is the best: a ceiling is what can be attained, and whatever else
    the machine does only hides it. The interval is that of the record, over all processes.
    """
    latency = record["latency"]
    interval = latency["ci95_ns"]
    return {
        "per_second": case.work / (min(latency["process_medians_ns"]) * 1e-9),
        "ci95_per_second": [case.work / (end * 1e-9) for end in reversed(interval)]
        if interval
        else None,
        "foreign_cores": max(
            (load.get("foreign_cores") or 0.0 for load in record["load"]), default=0.0
        ),
        "case": case.name,
        "record_id": record["record_id"],
    }
