"""Records as files: ``.csv`` for spreadsheets, ``.jsonl`` for programs, ``.md`` for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.report import document, files, flat
from onnxbench.report.csv_text import csv_text
from onnxbench.report.markdown import to_markdown
from onnxbench.report.skipped import row as skipped_row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from onnxbench.types import Record


def to_csv(records: Sequence[Record]) -> str:
    """Return one row for each record (`flat.PATHS`) as CSV."""
    return csv_text(*flat.rows(records))


def to_jsonl(records: Sequence[Record]) -> str:
    """Return one record on each line, ASCII only."""
    return "".join(f"{document.dumps(record)}\n" for record in records)


WRITERS: dict[str, Callable[[Sequence[Record]], str]] = {
    ".csv": to_csv,
    ".jsonl": to_jsonl,
    ".md": to_markdown,
}


def check_writable(path: Path) -> None:
    """Raise UsageError unless `write` can write ``path``: to be asked before any work is done."""
    files.check_writable(path, WRITERS)


def write(
    records: Sequence[Record], path: Path, skipped: Sequence[Mapping[str, object]] = ()
) -> None:
    """Write ``records`` to ``path`` in the format of its suffix; replaces the file.

    ``skipped`` (documents of `types.Skip`) are rows without figures.

    Raises UsageError as `check_writable` does, StoreError when the disk fails meanwhile.
    """
    check_writable(path)
    writer = WRITERS[path.suffix.lower()]
    if writer is to_markdown:
        text = to_markdown(records, skipped)
    else:
        text = writer([*records, *map(skipped_row, skipped)])
    files.replace(path, text)
