"""The one form in which the environment is told: a value, or None with the reason beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.types import JsonObject

Fact = tuple[object, str]
"""A JSON value, and why it is None in case it is."""


def document(sections: Mapping[str, Mapping[str, Fact]]) -> JsonObject:
    """Return ``{section: {field: value}, …, "reasons": {"section.field": reason}}``.

    ``reasons`` holds an entry for every None and for nothing else.
    """
    values: JsonObject = {}
    reasons: dict[str, str] = {}
    for section, fields in sections.items():
        values[section] = {field: value for field, (value, _) in fields.items()}
        for field, (value, reason) in fields.items():
            if value is None:
                reasons[f"{section}.{field}"] = reason
    return {**values, "reasons": reasons}
