"""The environment of a record in a few lines, for people; ``--json`` has all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.report import format as fmt
from onnxbench.report.findings import Finding
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from onnxbench.types import JsonObject

_LIMIT = 120
"""Characters of one value."""


def summary(environment: JsonObject) -> list[Finding]:
    """Return one line for each section, without nulls, their reasons, and nested tables."""
    lines = []
    for section, content in environment.items():
        facts = content if isinstance(content, dict) else {"": content}
        shown = [_fact(str(key), value) for key, value in facts.items()]
        text = " · ".join(filter(None, shown))
        if section != "reasons" and text:
            lines.append(Finding(safe_text(str(section)), text))
    return lines


def _fact(key: str, value: object) -> str:
    """Return "total 23.5 GiB" for ``total_bytes``, "" for what does not fit into a line."""
    name, _, unit = key.rpartition("_")
    if isinstance(value, bool):
        shown = "yes" if value else "no"
    elif isinstance(value, int | float) and unit == "bytes":
        key, shown = name, fmt.size(value)
    elif isinstance(value, int | float) and unit == "hz":
        key, shown = name, fmt.amount(value, "Hz")
    elif isinstance(value, int | float) and unit == "s":
        key, shown = name, fmt.time_span(value)
    elif isinstance(value, str | int | float):
        shown = str(value)
    elif isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        shown = " ".join(map(str, value))
    else:
        return ""
    return safe_text(f"{key.replace('_', ' ')} {shown}".strip(), _LIMIT)
