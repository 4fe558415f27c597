"""Records as GitHub-flavoured Markdown: a results table to paste into an issue or a README.

A foreign string is never Markdown. What is not plainly harmless stands in a code span, the one
place where Markdown makes no links, HTML, mentions or emphasis of a text; escaping by backslashes
would not stop GitHub's ``@mention``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from onnxbench.report import axes, columns, findings, proof
from onnxbench.report import skipped as skips
from onnxbench.report.findings import Finding
from onnxbench.text import PARAGRAPH, safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxbench.types import Record

# Plain words and figures. Outside: all that Markdown gives a meaning to; and what links by itself:
# "//" of an address, "www.", "@", "#". An underscore is emphasis unless it stands inside a word; a
# text that begins like a list item would be one.
_HARMLESS = re.compile(
    r"(?![-+] |\d+[.)] )(?!.*(?://|www\.|(?<![^\W_])_|_(?![^\W_])))[\w ,.;:%()'±≈×→µ/+–-]*",
    re.IGNORECASE,
)


def literal(text: str) -> str:
    """Return clean one-line ``text`` so that Markdown shows just these characters, but for two.

    A backtick would end the code span, and becomes an apostrophe. A pipe would end the table's
    cell; renderers disagree on backslashes before it, so it becomes a broken bar.
    """
    text = " ".join(text.split())
    return text if _HARMLESS.fullmatch(text) else f"`{_code(text)}`"


def _code(text: str) -> str:
    return text.replace("`", "'").replace("|", "¦")


def to_markdown(records: Sequence[Record], skipped: Sequence[Mapping[str, object]] = ()) -> str:
    """Return the results table with its caption and findings."""
    records, unplaced = skips.split(records, skipped)
    if not records:
        return _list(findings.skips(unplaced)) or "Nothing was measured.\n"
    split = axes.split(records)
    shown = [*columns.names(records, split.varying), *columns.metrics(records)]
    failures = [
        Finding(findings.name(record, split.varying), findings.failure(record))
        for record in records
        if not findings.is_result(record)
    ]
    lines = [
        " · ".join(map(literal, [*findings.run_facts(records), *split.constants])),
        "",
        _row([column.title for column in shown]),
        _row(
            ["---" if column.flexible or column.title == "verdict" else "---:" for column in shown]
        ),
        *(
            _row([literal(cell) for cell in cells])
            for cells in zip(*(c.cells for c in shown), strict=True)
        ),
        "",
        _list(
            [
                *findings.legend(records, split.varying),
                *proof.legend(records, split.varying),
                *findings.doubts(records, split.varying),
                *failures,
                *findings.skips(unplaced),
                *findings.notes(records, split.varying),
            ]
        ),
    ]
    commands = findings.commands(records)
    if len(commands) == 1:
        lines.append(f"Reproduce: `{_code(safe_text(commands[0], PARAGRAPH))}`\n")
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _list(found: Sequence[Finding]) -> str:
    return "".join(f"- {literal(f.label)}: {literal(f.text)}\n" for f in found)
