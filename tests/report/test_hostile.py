"""Hostile names in every output: no raw control byte, no markup, no formula, no link, no HTML."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata

import pytest
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import RenderableType

from onnxbench.errors import UsageError
from onnxbench.report import document, export, markdown, terminal
from onnxbench.report.detail import record_detail
from onnxbench.report.matrix import model_by_runtime
from onnxbench.report.progress import Progress
from onnxbench.report.table import results_table
from onnxbench.types import Record

UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
FORMULA = re.compile(r"\s*[=+\-@\t\r＝＋－＠]")


def assert_clean(text: str) -> None:
    text.encode("utf-8")
    found = {hex(ord(c)) for c in text if c != "\n" and unicodedata.category(c) in UNSAFE}
    assert not found


def render(renderable: RenderableType, width: int = 80) -> str:
    stream = io.StringIO()
    terminal.console(stream, width=width).print(renderable)
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_terminal(hostile_record: Record, hostile_skip: dict[str, object], width: int) -> None:
    ok: Record = {**hostile_record, "status": "ok", "record_id": "f" * 16}
    records = [hostile_record, ok]
    for renderable in (
        results_table(records, [hostile_skip], width=width),
        results_table([], [hostile_skip], width=width),
        model_by_runtime(records, width=width),
        record_detail(hostile_record, width=width),
        record_detail(ok, width=width),
    ):
        text = render(renderable, width)
        assert_clean(text)
        assert max(map(cell_len, text.splitlines())) <= width
    assert "(20.9 ms)" in render(results_table([hostile_record], width=width), width)


def test_csv(hostile_record: Record) -> None:
    text = export.to_csv([hostile_record])
    assert_clean(text)
    assert text.count("\n") == 2, "a line break inside a cell"
    header, row = csv.reader(io.StringIO(text))
    assert len(header) == len(row)
    for cell in header + row:
        assert not FORMULA.match(cell)
        assert not any(FORMULA.match(part) for part in cell.split(";")[1:])
    assert len(text) < 2_000_000


def test_jsonl_and_documents(hostile_record: Record, hostile_skip: dict[str, object]) -> None:
    text = export.to_jsonl([hostile_record, hostile_record])
    assert text.isascii()
    lines = text.split("\n")
    assert len(lines) == 3
    for line in lines[:2]:
        assert_clean("".join(_strings(json.loads(line))))
    run = document.dumps(document.run_document("r", "s.db", [hostile_record], [hostile_skip]))
    assert run.isascii()
    assert_clean(run)


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [s for item in value.items() for part in item for s in _strings(part)]
    if isinstance(value, list):
        return [s for item in value for s in _strings(item)]
    return [value] if isinstance(value, str) else []


def test_errors_as_json(hostile: str) -> None:
    text = document.dumps(document.error_document(UsageError(hostile, hint=hostile)))
    assert_clean("".join(_strings(json.loads(text))))
    assert set(json.loads(text)["error"]) == {"kind", "message", "hint"}


def test_markdown(hostile_record: Record, hostile_skip: dict[str, object]) -> None:
    ok: Record = {**hostile_record, "status": "ok"}
    text = markdown.to_markdown([hostile_record, ok], [hostile_skip])
    assert_clean(text)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    kinds = [token.type for token in tokens]
    inline = [child for token in tokens for child in token.children or ()]
    assert {token.type for token in inline} <= {"text", "code_inline", "softbreak"}
    assert not [kind for kind in kinds if kind.startswith(("html", "heading", "fence", "code"))]
    assert kinds.count("table_open") == 1
    assert kinds.count("bullet_list_open") == 1
    assert "ordered_list_open" not in kinds
    assert kinds.count("th_open") * 2 == kinds.count("td_open"), "a name made a column"
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({row.count("|") for row in rows}) == 1, "a name holds a pipe"
    # What GitHub links by itself, outside of code.
    plain = "".join(token.content for token in inline if token.type == "text")
    assert not re.search(r"//|www\.|@|#", plain)


def test_progress(hostile: str) -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.after(hostile, 1, 1, 1.0, 5.0)
        progress.note(hostile)
    assert_clean(stream.getvalue())
    assert stream.getvalue().count("\n") == 2
