"""Calibrations as they are kept: one JSON file for each, in the folder of what is kept for good."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxbench.calibration.results import SCHEMA
from onnxbench.errors import StoreError
from onnxbench.measure.roofline import FAMILIES, Ceilings
from onnxbench.places import calibrations

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from onnxbench.types import JsonObject

MOST_BYTES = 4 << 20
"""Most that a calibration may hold; ours hold some kilobytes."""

_REQUIRED = {
    "created": str, "host": str, "runtime": str, "build": str, "threads": int, "compute": dict,
    "bandwidth": list, "missing": list,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """What is there: calibrations, the newest first, and damaged files with what is wrong."""

    documents: tuple[JsonObject, ...]
    damaged: tuple[tuple[str, str], ...]


def keep(document: JsonObject) -> Path:
    """Write a calibration beside those that are there; return its file. Raises StoreError."""
    from onnxbench.report import files  # noqa: PLC0415 - whoever only reads needs none of them
    from onnxbench.types import digest  # noqa: PLC0415

    key = [document[name] for name in ("host", "runtime", "build", "threads", "created")]
    path = calibrations() / f"{digest(key)}.json"
    try:
        calibrations().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make {calibrations()}: {error.strerror}"
        raise StoreError(message, "set ONNXBENCH_HOME to a folder that can be written") from error
    files.replace(path, json.dumps(document, indent=2) + "\n")
    return path


def kept(host: str) -> Kept:
    """Return the calibrations of ``host``."""
    documents, damaged = [], []
    try:
        paths = sorted(calibrations().glob("*.json"))
    except OSError:
        paths = []
    for path in paths:
        try:
            document = _read(path)
        except (OSError, ValueError) as error:
            damaged.append((str(path), str(error) or type(error).__name__))
            continue
        if document["host"] == host:
            documents.append(document)
    documents.sort(key=lambda document: str(document["created"]), reverse=True)
    return Kept(tuple(documents), tuple(damaged))


def _read(path: Path) -> JsonObject:
    """Return the calibration in a file. Raises ValueError if it is none, OSError."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError("too large for a calibration")
    document: Any = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refused)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError(f"not a calibration of schema {SCHEMA}")
    for name, kind in _REQUIRED.items():
        if not isinstance(document.get(name), kind):
            raise ValueError(f"its {name} is missing or damaged")  # noqa: TRY004 - of a file
    try:
        for effective in document["compute"]:
            ceilings([document], effective)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("its rates are damaged") from error
    return document


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no rate")


def ceilings(documents: Iterable[JsonObject], effective: str) -> Ceilings:
    """Return the ceilings in one effective precision, each from the newest that has it.

    ``documents``: of one runtime, build and number of threads, the newest first.
    """
    rates: dict[Any, float] = {}
    bandwidth: tuple[tuple[int, float], ...] = ()
    cache_bytes: int | None = None
    for document in documents:
        for family, rate in document["compute"].get(effective, {}).items():
            if family in FAMILIES:
                rates.setdefault(family, _positive(rate["per_second"]))
        if not bandwidth and document["bandwidth"]:
            bandwidth = tuple(
                (int(each["working_set_bytes"]), _positive(each["per_second"]))
                for each in document["bandwidth"]
            )
            cache_bytes = document.get("cache_bytes")
    return Ceilings(rates, bandwidth, cache_bytes)


def _positive(rate: object) -> float:
    if not isinstance(rate, int | float) or not rate > 0:
        raise TypeError("a rate is no positive number")
    return float(rate)
