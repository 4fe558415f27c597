"""What proves a row: the type it was computed in, where its nodes ran, how far its outputs are off.

And what keeps a row out of comparisons: a fallback, outputs that are wrong, an emulated device.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from onnxbench.adapting import main_precision
from onnxbench.report import findings
from onnxbench.report import format as fmt
from onnxbench.report.axes import MODEL, at, text_at
from onnxbench.report.findings import Finding
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from onnxbench.report.axes import Axis
    from onnxbench.types import Record

_FLOATS = {"float": "float32", "double": "float64", "float16": "float16", "bfloat16": "bfloat16"}
"""Names of the ONNX types that a precision may be, by how a declared input is written."""

_LEFT = 6
"""Operators that are named for one provider; the others are counted."""


def comparable(record: Record) -> bool:
    """Say whether a ratio may be taken of the record: a result, and of a real device."""
    return findings.is_result(record) and not at(record, "cell.device.emulated")


def precision(record: Record) -> str:
    """Return the type that the runtime said it computed in, "" where that is not known."""
    return text_at(record, "precision_effective")


def brief(type_name: str) -> str:
    """Return "bf16" for bfloat16, "f32" for float32."""
    return re.sub(r"\b(b?f)loat(?=\d)", r"\1", type_name)


def computes_otherwise(record: Record) -> bool:
    """Say whether it was computed in another type than the graph declares, or else its inputs."""
    used = main_precision(precision(record))
    if declared := text_at(record, "parity.declared"):
        return bool(used) and used != declared
    inputs = at(record, "artifact.inputs") or []
    types = {_FLOATS[spec["dtype"]] for spec in inputs if spec.get("dtype") in _FLOATS}
    return bool(used and types) and used not in types


def precisions_vary(records: Sequence[Record]) -> bool:
    """Say whether the types have to be shown with each row."""
    types = {found for record in records if (found := precision(record))}
    return len(types) > 1 or any(map(computes_otherwise, records))


def precisions(records: Sequence[Record]) -> list[str]:
    """Return the column of types; "!" marks those that the model does not declare."""
    if not precisions_vary(records):
        return [fmt.NOTHING] * len(records)
    return [
        (brief(precision(record)) or fmt.NOTHING) + (" !" if computes_otherwise(record) else "")
        for record in records
    ]


def errors(records: Sequence[Record]) -> list[str]:
    """Return the column of largest errors against a reference that is not the runtime itself."""
    found = [
        None if at(record, "parity.reference") in (None, "self") else at(record, "parity.max_abs")
        for record in records
    ]
    return [fmt.NOTHING if value is None else f"{value:.1e}" if value else "0" for value in found]


def provider(place: Mapping[str, Any]) -> str:
    """Return the provider's name without the suffix that all of ONNX Runtime's have."""
    return safe_text(str(place["provider"])).removesuffix("ExecutionProvider")


def placements(records: Sequence[Record]) -> list[str]:
    """Return the column of placements, where any row has nodes in two places."""
    if not any(len(record.get("placement") or ()) > 1 for record in records):
        return [fmt.NOTHING] * len(records)
    return [_placement(record) for record in records]


def _placement(record: Record) -> str:
    """Return "CUDA 97 % of time, 120/122 nodes" of the provider that is not the fallback."""
    places = record.get("placement") or []
    if not places:
        return fmt.NOTHING
    main = next((place for place in places if provider(place) != "CPU"), places[0])
    if len(places) == 1:
        return f"{provider(main)} 100 %"
    nodes = f"{main['nodes']}/{sum(place['nodes'] for place in places)} nodes"
    time = main.get("time_share")
    share = "" if time is None else f"{fmt.percent(time)} of time, "
    return f"{provider(main)} {share}{nodes}"


def operators(place: Mapping[str, Any]) -> str:
    """Return "Conv 12, Add 3 and 2 more" of one provider, the most frequent first."""
    counts = sorted((place.get("operators") or {}).items(), key=lambda item: -item[1])
    shown = ", ".join(f"{safe_text(str(name), 40)} {count}" for name, count in counts[:_LEFT])
    return shown + (f" and {len(counts) - _LEFT} more" if len(counts) > _LEFT else "")


def threads(records: Sequence[Record]) -> list[str]:
    """Return the column "2→1" of threads told and found, where any row has two counts.

    As in `onnxbench.measure.notes`: a runtime may keep idle helpers, so busy threads count too.
    """
    texts = []
    for record in records:
        told, found, busy = (
            at(record, f"effective.threads_{key}") for key in ("told", "found", "busy")
        )
        odd = None not in (told, found) and told not in (found, busy)
        texts.append(f"{told}→{found}" if odd else fmt.NOTHING)
    return texts


def legend(
    records: Sequence[Record], varying: Sequence[Axis] = (), hidden: Collection[str] = ()
) -> list[Finding]:
    """Return what the columns of this module mean, and what was left to another provider.

    ``hidden``: titles of columns that there was no room for.
    """
    found = []
    if precisions_vary(records):
        found.append(Finding("type", "what the runtime computed in, as it says when it is asked"))
    if any(map(computes_otherwise, records)):
        found.append(Finding("!", "computed in another type than the model declares"))
    if "told→found" not in hidden and any(text != fmt.NOTHING for text in threads(records)):
        found.append(Finding("told→found", "threads that it was told to use, and those it used"))
    references = {
        reference
        for record, text in zip(records, errors(records), strict=True)
        if text != fmt.NOTHING and (reference := text_at(record, "parity.reference"))
    }
    if references and "max error" not in hidden:
        found.append(Finding("error", f"largest |output − {' or '.join(sorted(references))}|"))
    found += _unjudged(records, varying)
    for record in records:
        places = record.get("placement") or []
        left = [place for place in places if provider(place) == "CPU" and len(places) > 1]
        for place in left:
            row = findings.name(record, varying) if len(records) > 1 else MODEL.text(record)
            behind = operators(place) or fmt.plural(place["nodes"], "node")
            found.append(Finding("on CPU", f"{row}: {behind}"))
    if any(at(record, "cell.device.emulated") for record in records):
        found.append(Finding("emulated", "an emulated device: its time says nothing of a real one"))
    return found


def _unjudged(records: Sequence[Record], varying: Sequence[Axis]) -> list[Finding]:
    """Return which results' outputs were compared with nothing, and why."""
    rows: dict[str, list[str]] = {}
    for record in records:
        reason = text_at(record, "parity.reason")
        if findings.is_result(record) and at(record, "parity.passed") is None and reason:
            rows.setdefault(reason, []).append(findings.name(record, varying))
    return [Finding("outputs", f"{findings.names(of)}: {reason}") for reason, of in rows.items()]
