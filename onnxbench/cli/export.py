"""``onnxbench export``: from models of the catalogue to verified ONNX files."""

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxbench.cli.options import OUTPUT, json_option, models_option, quiet_option

if TYPE_CHECKING:
    from onnxbench.exporting import Exported, Exports
    from onnxbench.types import ModelSpec

_WHAT = "What to export"
_HOW = "How to export"

SOME_FAILED, NONE_EXPORTED = 3, 4


def export(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Ids or wildcards of models.yaml, or ONNX files. Default: all of the catalogue.",
            show_default=False,
        ),
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help="Export a suite of models.yaml.", rich_help_panel=_WHAT)
    ] = None,
    catalog: Annotated[Path | None, models_option(_WHAT)] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="pretrained: as published (downloads them). random: seeded, no network needed. "
            "Default: pretrained where there are any.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31, help="Seed of random weights.", rich_help_panel=_WHAT)
    ] = 0,
    opset: Annotated[
        int | None,
        typer.Option(min=7, max=30, help="Version of the ONNX operator set.", rich_help_panel=_HOW),
    ] = None,
    keep_bn: Annotated[
        bool,
        typer.Option(
            "--keep-bn",
            help="Leave batch normalisations apart, to compare with published counts.",
            rich_help_panel=_HOW,
        ),
    ] = False,
    simplify: Annotated[
        bool, typer.Option("--simplify", help="Simplify with onnxslim.", rich_help_panel=_HOW)
    ] = False,
    jobs: Annotated[
        int,
        typer.Option("--jobs", "-j", min=1, max=64, help="Models at a time.", rich_help_panel=_HOW),
    ] = 1,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Export again what is there unchanged.", rich_help_panel=_HOW),
    ] = False,
    timeout: Annotated[
        str, typer.Option(help="Most time for one step of one model.", rich_help_panel=_HOW)
    ] = "30m",
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="Most memory of one process: 4GB. Default: 80 % of what is free, by jobs.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    json: Annotated[bool, json_option(OUTPUT)] = False,
    quiet: Annotated[bool, quiet_option(OUTPUT)] = False,
) -> int:
    """Turn models of the catalogue into ONNX files, each checked against its source.

    What was exported before and is unchanged is not exported again.
    """
    import time

    from onnxbench.cli import export_request as asked
    from onnxbench.cli import values
    from onnxbench.errors import UsageError
    from onnxbench.exporting import Exports, Options

    if keep_bn and simplify:
        message = "--keep-bn and --simplify: simplifying folds what is to be kept"
        raise UsageError(message, "give one of the two")
    began = time.monotonic()
    specs = asked.export_specs(models or [], suite, catalog)
    options = Options(
        weights=asked.weights(weights),
        opset=opset,
        keep_bn=keep_bn,
        simplify=simplify,
        seed=seed,
        fresh=fresh,
        limit_s=values.seconds(timeout, "--timeout"),
        memory_bytes=asked.memory_bytes(max_memory, jobs),
        threads=asked.threads(jobs),
    )
    done: list[Exported] = []
    interrupted = False
    try:
        _carry_out(Exports(options), specs, jobs, done, quiet=quiet)
    except KeyboardInterrupt:
        interrupted = True
    order = {spec.id: number for number, spec in enumerate(specs)}
    done.sort(key=lambda each: order[each.spec.id])
    _print(done, time.monotonic() - began, json=json)
    if interrupted:
        return 130
    good = sum(each.status == "ok" for each in done)
    return 0 if good == len(done) else SOME_FAILED if good else NONE_EXPORTED


def _carry_out(
    exports: "Exports",
    specs: "Sequence[ModelSpec]",
    jobs: int,
    done: "list[Exported]",
    *,
    quiet: bool,
) -> None:
    """Export ``specs`` into ``done``, saying on stderr what goes on."""
    import threading

    from onnxbench.report.artifacts import one_line
    from onnxbench.report.progress import Progress

    drawing = threading.Lock()
    with Progress(sys.stderr, quiet=quiet) as progress:

        def begins(spec: "ModelSpec") -> None:
            with drawing:  # called by the threads that export
                progress.before(spec.id, len(done), len(specs), None)

        with closing(exports.all_of(specs, jobs, begins)) as ended:
            for each in ended:
                done.append(each)
                with drawing:
                    if not each.cached and not quiet:
                        progress.note(one_line(each.document()))
                    progress.before(each.spec.id, len(done), len(specs), None)


def _print(done: "Sequence[Exported]", seconds: float, *, json: bool) -> None:
    rows = [each.document() for each in done]
    if json:
        from onnxbench import SCHEMA
        from onnxbench.report.document import dumps

        document = {"schema": SCHEMA, "seconds": round(seconds, 3), "artifacts": rows}
        print(dumps(document, indent=2))
        return
    if not rows:  # interrupted before the first model ended
        print("nothing was exported")
        return
    from onnxbench.report.artifacts import artifacts_table
    from onnxbench.report.terminal import console

    out = console(sys.stdout)
    out.print(artifacts_table(rows, width=out.width, seconds=seconds))
