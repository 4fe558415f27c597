"""Records as files: ``.csv`` for spreadsheets, ``.jsonl`` for programs, ``.md`` for people.

An existing file is replaced, at once and whole: the new one is written beside it, flushed to disk
and renamed over it, so that a full disk or a power cut leaves the old one.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.errors import StoreError, UsageError
from onnxbench.report import document, flat
from onnxbench.report.markdown import to_markdown
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from onnxbench.types import Record

# What a spreadsheet takes for the beginning of a formula (CWE-1236), fullwidth forms included; and
# behind ";" too, where a spreadsheet whose separator that is begins another cell.
_FORMULA = re.compile(r"(^|;)(\s*[=+\-@\t\r＝＋－＠])")


def to_csv(records: Sequence[Record]) -> str:
    """Return one row for each record (`flat.PATHS`), every cell quoted, no line break in any.

    A text that a spreadsheet would compute gets an apostrophe before it; numbers stay numbers.
    """
    headers, rows = flat.rows(records)
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(map(_csv_cell, headers))
    writer.writerows(map(_csv_cell, row) for row in rows)
    return out.getvalue()


def _csv_cell(value: flat.Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return _FORMULA.sub(r"\1'\2", safe_text(value, document.LIMIT))


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
    _writer(path)
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise UsageError(f"{path} is no regular file", "name a file to be written")
    if not target.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {target.parent}", f"mkdir -p {target.parent}")
    try:
        with _temporary(target):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}", "choose another folder"
        ) from error


def write(
    records: Sequence[Record], path: Path, skipped: Sequence[Mapping[str, object]] = ()
) -> None:
    """Write ``records`` to ``path`` in the format of its suffix; replaces the file.

    ``skipped`` (documents of `types.Skip`) appear in Markdown, which is for people to read.

    Raises UsageError as `check_writable` does, StoreError when the disk fails meanwhile.
    """
    check_writable(path)
    writer = _writer(path)
    text = to_markdown(records, skipped) if writer is to_markdown else writer(records)
    target = Path(os.path.realpath(path))
    try:
        with _temporary(target) as (temporary, descriptor):
            with os.fdopen(os.dup(descriptor), "w", encoding="utf-8", newline="") as file:
                file.write(text)
            os.fsync(descriptor)
            temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror}",
            "free disk space or choose another folder with -o",
        ) from error


def _writer(path: Path) -> Callable[[Sequence[Record]], str]:
    try:
        return WRITERS[path.suffix.lower()]
    except KeyError:
        raise UsageError(
            f"{path}: no format has the suffix {path.suffix or '(none)'}",
            f"use one of {', '.join(WRITERS)}",
        ) from None


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[tuple[Path, int]]:
    """Give a new file beside ``target``, with its descriptor; gone afterwards unless renamed."""
    # Not tempfile: its mode 0600 would stay with the file. The name is short and ours, for
    # the target's may already be as long as names can be.
    path = target.parent / f".onnxbench-{secrets.token_hex(8)}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        yield path, descriptor
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
