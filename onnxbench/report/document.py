"""JSON that onnxbench gives away: ``--json`` documents and lines of a ``.jsonl`` file.

Names in it come from model files and may be read by `jq -r` onto a terminal, so their control and
bidi characters are replaced here as they are everywhere else; line breaks of messages stay.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from onnxbench import SCHEMA
from onnxbench.errors import RefusedInput
from onnxbench.text import safe_text, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxbench.errors import OnnxBenchError
    from onnxbench.types import JsonObject, Record

LIMIT = 20_000
"""Characters that are kept of one string; a longer name is an attack, not a name."""


def dumps(value: object, *, indent: int | None = None) -> str:
    """Return ``value`` as ASCII JSON without raw control characters.

    Raises ValueError for NaN and infinity, which JSON has no number for.
    """
    return json.dumps(_clean(value), ensure_ascii=True, allow_nan=False, indent=indent)


def _clean(value: object) -> object:
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, dict):
        cleaned: dict[str, Any] = {}
        for key, item in value.items():
            name = _clean_text(str(key))
            # Two tensors whose names differ only in what was replaced stay two.
            while name in cleaned:
                name += "'"
            cleaned[name] = _clean(item)
        return cleaned
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def _clean_text(text: str) -> str:
    return "\n".join(safe_text(line, None) for line in shorten(text, LIMIT).split("\n"))


def run_document(
    run_id: str, store: str, records: Sequence[Record], skipped: Sequence[Mapping[str, object]]
) -> JsonObject:
    """Return what ``run --json`` prints; ``skipped``: documents of `types.Skip`."""
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "store": store,
        "records": [dict(record) for record in records],
        "skipped": [dict(skip) for skip in skipped],
    }


def error_document(error: OnnxBenchError) -> JsonObject:
    """Return what ``--json`` prints instead of a result; a refused file's kind is the reason."""
    kind = error.reason if isinstance(error, RefusedInput) else error.kind
    return {"error": {"kind": kind, "message": error.message, "hint": error.hint}}
