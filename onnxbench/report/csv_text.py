"""Rows as CSV that a spreadsheet reads as what it is: numbers as numbers, texts as texts."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from onnxbench.report.document import LIMIT
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onnxbench.report.flat import Cell

# What a spreadsheet takes for the beginning of a formula (CWE-1236), fullwidth forms included; and
# behind ";" too, where a spreadsheet whose separator that is begins another cell.
_FORMULA = re.compile(r"(^|;)(\s*[=+\-@\t\r＝＋－＠])")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a header and rows as CSV, every cell quoted, no line break in any.

    A text that a spreadsheet would compute gets an apostrophe before it; numbers stay numbers.
    """
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(map(_cell, header))
    writer.writerows(map(_cell, row) for row in rows)
    return out.getvalue()


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return _FORMULA.sub(r"\1'\2", safe_text(value, LIMIT))
