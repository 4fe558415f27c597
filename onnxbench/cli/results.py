"""``onnxbench report``, ``show`` and ``merge``: what is in the results file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxbench.cli.options import json_option, store_option
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from onnxbench.types import JsonObject, Record

_Store = Annotated[Path | None, store_option()]
_Json = Annotated[bool, json_option()]


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Runs, by the beginning of their ids; all for every stored record.",
            show_default=False,
        ),
    ] = None,
    store: _Store = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the records: FILE.csv, .jsonl or .md."),
    ] = None,
    json: _Json = False,
) -> None:
    """Print the latest run, or stored records side by side, or write them to a file.

    Several runs are shown as model x (device, runtime) with ratios to the first column.
    """
    from onnxbench.cli.request import store_path
    from onnxbench.report.document import dumps, run_document
    from onnxbench.report.export import check_writable, write
    from onnxbench.store import Store

    if output is not None:
        check_writable(output)
    path = store_path(store)
    with Store.open(path, read_only=True) as opened:
        every = opened.runs()
        chosen = every if runs == ["all"] else [opened.run(prefix) for prefix in runs or ["latest"]]
        ids = [run.run_id for run in chosen]
        records = opened.records(ids)
        skipped = [skip for run_id in ids for skip in opened.skips(run_id)]
        damaged = len(opened.bad)
    if damaged:
        print(f"{damaged} damaged rows were left out: {safe_text(str(path))}", file=sys.stderr)
    for run in chosen:
        if run.state != "finished":
            print(f"run {safe_text(run.run_id)} is {run.state}: the same command continues it",
                  file=sys.stderr)  # fmt: skip
    if output is not None:
        write(records, output, skipped)
        print(f"{len(records)} records written to {safe_text(str(output))}", file=sys.stderr)
    if json:
        print(dumps(run_document(",".join(ids), str(path), records, skipped)))
    elif output is None:
        _print_records(records, skipped, several=len(ids) > 1 or runs == ["all"])


def show(
    record: Annotated[str, typer.Argument(help="The beginning of a record's id.")],
    store: _Store = None,
    json: _Json = False,
) -> None:
    """Print everything that is known about one record."""
    from onnxbench.cli.request import store_path
    from onnxbench.report.detail import record_detail
    from onnxbench.report.document import dumps
    from onnxbench.report.terminal import console
    from onnxbench.store import Store

    with Store.open(store_path(store), read_only=True) as opened:
        found = opened.record(record)
    if json:
        print(dumps(found, indent=2))
        return
    out = console(sys.stdout)
    out.print(record_detail(found, width=out.width))


def merge(
    other: Annotated[Path, typer.Argument(help="The results file to take records from.")],
    store: _Store = None,
    json: _Json = False,
) -> None:
    """Copy the runs of another results file into this one; the other is only read."""
    import dataclasses

    from onnxbench.cli.request import store_path
    from onnxbench.report.document import dumps
    from onnxbench.store import Store
    from onnxbench.store import merge as take_over

    path = store_path(store)
    with Store.open(path) as opened:
        merged = take_over(opened, other)
    if json:
        print(dumps({"merged": dataclasses.asdict(merged)}))
        return
    print(f"{merged.runs} runs, {merged.records} records and {merged.children} processes added "
          f"to {safe_text(str(path))}; {merged.already_there} rows were there already")  # fmt: skip
    for bad in merged.bad:
        print(f"left out: {safe_text(str(bad), 500)}", file=sys.stderr)


def _print_records(records: "list[Record]", skipped: "list[JsonObject]", *, several: bool) -> None:
    from onnxbench.report.matrix import model_by_runtime
    from onnxbench.report.table import results_table
    from onnxbench.report.terminal import console

    out = console(sys.stdout)
    if several:
        out.print(model_by_runtime(records, skipped, width=out.width))
    else:
        out.print(results_table(records, skipped, width=out.width))
