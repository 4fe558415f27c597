"""Our figures beside those of onnx-tool, with the reasons why they differ."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from onnxbench.report import format as fmt
from onnxbench.report.markdown import literal
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_TITLES = ("", "onnx-tool", "onnxbench", "difference", "why")
_INDENT = 4


def cross_check_rows(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the comparison in a document of `analysis_document` as rows under `_TITLES`."""
    check = document["cross_check"]
    memory = document["memory"]["no_reuse_bytes"]
    held = None if memory is None else memory + document["weight_bytes"]
    rows = [
        _row("MACs", check["macs"], document["macs"], ""),
        *(
            _row(safe_text(each["op"], 40), each["onnx_tool_macs"], each["macs"], each["reason"])
            for each in check["by_op"]
        ),
        _row("parameters", check["params"], document["params"], check["params_note"]),
        _row("memory", check["memory_bytes"], held, check["memory_note"], is_bytes=True),
    ]
    return [(f"  {row[0]}", *row[1:]) if 0 < i <= len(check["by_op"]) else row
            for i, row in enumerate(rows)]  # fmt: skip


def cross_check_text(document: Mapping[str, Any], width: int) -> str:
    """Return the comparison in lines of at most ``width`` characters."""
    check = document["cross_check"]
    if check["status"] != "ok":
        return "\n".join(textwrap.wrap(_failure(check), width))
    table = [_TITLES, *cross_check_rows(document)]
    widths = [max(len(row[i]) for row in table) for i in range(4)]
    lines = []
    for row in table:
        cells = [f"{row[0]:<{widths[0]}}", *(f"{row[i]:>{widths[i]}}" for i in (1, 2, 3))]
        lines.append("  ".join(cells).rstrip())
        if row is not _TITLES and row[4]:
            pad = " " * _INDENT
            lines += textwrap.wrap(row[4], width, initial_indent=pad, subsequent_indent=pad)
    return "\n".join([_headline(check), *lines])


def cross_check_markdown(document: Mapping[str, Any]) -> str:
    """Return the comparison as a table in Markdown."""
    check = document["cross_check"]
    if check["status"] != "ok":
        return literal(_failure(check)) + "\n"
    rows = [" | ".join(map(literal, row)) for row in cross_check_rows(document)]
    head = [literal(_headline(check)), "", f"| {' | '.join(_TITLES)} |", "|---|---:|---:|---:|---|"]
    return "\n".join([*head, *(f"| {row} |" for row in rows)]) + "\n"


def _headline(check: Mapping[str, Any]) -> str:
    return f"cross-check: onnx-tool {safe_text(check['version'])}, {check['seconds']:.1f} s"


def _failure(check: Mapping[str, Any]) -> str:
    return f"cross-check: onnx-tool failed: {safe_text(check['reason'], 1000)}"


def _row(
    label: str, theirs: int | None, ours: int | None, why: str, *, is_bytes: bool = False
) -> tuple[str, ...]:
    shown = [
        fmt.NOTHING if n is None else fmt.size(n) if is_bytes else fmt.decimal(n)
        for n in (theirs, ours)
    ]
    difference = ""
    if theirs is not None and ours is not None:
        difference = "none" if theirs == ours else _relative(theirs, ours)
    return (label, *shown, difference, safe_text(why, 300))


def _relative(theirs: int, ours: int) -> str:
    return (
        f"{(theirs - ours) / ours:+.2%}".replace("%", " %") if ours else f"+{fmt.decimal(theirs)}"
    )
