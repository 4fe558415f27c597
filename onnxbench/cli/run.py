"""``onnxbench run``: from names on the command line to a table of records."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from onnxbench.cli import values
from onnxbench.cli.options import (
    OUTPUT,
    json_option,
    models_option,
    quiet_option,
    store_option,
)

_WHAT = "What to measure"
_HOW = "How to measure"


def run(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="ONNX files, or ids or wildcards of models.yaml.", show_default=False),
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help="Run a suite of models.yaml.", rich_help_panel=_WHAT)
    ] = None,
    catalog: Annotated[Path | None, models_option(_WHAT)] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weights of models that have to be exported: pretrained or random.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    runtime: Annotated[
        str,
        typer.Option(
            "--runtime",
            "-r",
            "--ep",
            "--device",
            help="Runtimes, comma separated, or all.",
            rich_help_panel=_WHAT,
        ),
    ] = "cpu",
    batch: Annotated[
        str | None,
        typer.Option(
            "--batch",
            "-b",
            "--batch-size",
            help="Batch sizes: 1,8 or 1-8*2.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    threads: Annotated[
        str | None,
        typer.Option(
            "--threads",
            "-t",
            help="Thread counts: 1,2. Default: one per physical core that may be used.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    dim: Annotated[
        list[str] | None,
        typer.Option(
            help="Bind a symbolic dimension: NAME=N, or NAME=128-512*2.", rich_help_panel=_WHAT
        ),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            help="Set an input's shape: NAME:1x3x224x224; several between commas.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            help="Real inputs: an .npz, or an ONNX test_data_set_N folder.", rich_help_panel=_WHAT
        ),
    ] = None,
    boundary: Annotated[
        str,
        typer.Option(
            help="host: arrays in and out. device: inputs and outputs stay bound. Or host,device.",
            rich_help_panel=_WHAT,
        ),
    ] = "host",
    precision: Annotated[
        str,
        typer.Option(
            help="model: the types of the graph. native: the runtime's own default. Or both.",
            rich_help_panel=_WHAT,
        ),
    ] = "model",
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A setting: KEY=VALUE, KEY=a,b or KEY=1-8*2; RUNTIME.KEY=… for one runtime.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="Labels that tell equal cells apart: a,b.", rich_help_panel=_WHAT),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of random inputs.", rich_help_panel=_WHAT)
    ] = 0,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Five short processes per cell, no target width.", rich_help_panel=_HOW
        ),
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="Exactly so many processes per cell.", rich_help_panel=_HOW
        ),
    ] = None,
    min_time: Annotated[
        str | None,
        typer.Option(help="Least sampling time per process: 2s.", rich_help_panel=_HOW),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(
            "--iters",
            "--iterations",
            min=1,
            max=1 << 20,
            help="Exactly so many samples per process.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    warmup: Annotated[
        str | None,
        typer.Option(
            help="Least warm-up: a time (2s) or a number of runs (20).", rich_help_panel=_HOW
        ),
    ] = None,
    max_noise: Annotated[
        str | None,
        typer.Option(
            help="Stop when the 95 % interval is within ± this: 1%.", rich_help_panel=_HOW
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Start nothing more after this time: 10m.", rich_help_panel=_HOW),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(help="Stop the whole run after this time, exit 124.", rich_help_panel=_HOW),
    ] = None,
    cell_timeout: Annotated[
        str | None,
        typer.Option(
            help="Most time that loading, or one inference, may take: 60s.", rich_help_panel=_HOW
        ),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="Most memory of one process: 4GB. Default: 80 % of what is free.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    op_times: Annotated[
        bool,
        typer.Option(
            "--op-times", help="Time operators, in a process of its own.", rich_help_panel=_HOW
        ),
    ] = False,
    no_parity: Annotated[
        bool,
        typer.Option(
            "--no-parity",
            help="Do not compare outputs, neither with the reference nor with those of --inputs.",
            rich_help_panel=_HOW,
        ),
    ] = False,
    allow_fallback: Annotated[
        bool,
        typer.Option(
            "--allow-fallback",
            help="Measure also where nodes run on another provider; such rows are labelled.",
            rich_help_panel=_HOW,
        ),
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Do not continue an unfinished run of the same plan.",
            rich_help_panel=_HOW,
        ),
    ] = False,
    store: Annotated[Path | None, store_option(OUTPUT)] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Also write the records: FILE.csv, .jsonl or .md.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    json: Annotated[bool, json_option(OUTPUT)] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the plan and its duration; measure nothing.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    quiet: Annotated[bool, quiet_option(OUTPUT)] = False,
) -> int:
    """Measure models: any ONNX file, or models by name.

    Without a model, the catalogue's default suite. Results are also kept in the results file.
    """  # fmt: skip
    from onnxbench.cli import export_request, running
    from onnxbench.cli import request as asked
    from onnxbench.plan import check_size
    from onnxbench.session import Bounds
    from onnxbench.sweep import Sweep
    from onnxbench.workload import Ask

    sampling = asked.sampling(
        quick=quick,
        processes=processes,
        min_time=min_time,
        iterations=iterations,
        warmup=warmup,
        max_noise=max_noise,
    )
    choices = asked.choices(values.names(runtime))
    request = asked.Request(
        specs=asked.specs(models or [], suite, catalog),
        choices=choices,
        sweep=Sweep(
            batches=values.whole_numbers(batch, "--batch") if batch is not None else (None,),
            threads=asked.threads(threads),
            boundaries=asked.boundaries(boundary),
            precisions=asked.precisions(precision),
            labels=asked.labels(label),
            options=asked.settings(option or [], choices),
            dims=values.dim_values(dim or []),
            shapes=values.shape_values(shape or []),
            allow_fallback=allow_fallback,
        ),
        ask=Ask(seed=seed),
        inputs=asked.existing(inputs),
        sampling=sampling,
        limits=asked.limits(cell_timeout, max_memory, sampling.warmup_s + sampling.min_time_s),
        bounds=Bounds(
            values.seconds(budget, "--budget") if budget is not None else None,
            values.seconds(timeout, "--timeout") if timeout is not None else None,
        ),
        op_times=op_times,
        parity=not no_parity,
        fresh=fresh,
        nothing_named=not models and suite is None,
        command=shlex.join(["onnxbench", *sys.argv[1:]]),
        weights=export_request.weights(weights),
        common=asked.words(
            {
                "--models": catalog.absolute() if catalog is not None else None,
                "--weights": weights,
                "--inputs": inputs.absolute() if inputs is not None else None,
                "--seed": seed or None,
                "--quick": quick,
                "--processes": processes,
                "--min-time": min_time,
                "--iters": iterations,
                "--warmup": warmup,
                "--max-noise": max_noise,
                "--cell-timeout": cell_timeout,
                "--max-memory": max_memory,
                "--op-times": op_times,
                "--no-parity": no_parity,
                "--allow-fallback": allow_fallback,
            }
        ),
    )
    check_size(len(request.specs), choices, request.sweep)
    return running.carry_out(
        request,
        store_path=asked.store_path(store),
        output=output,
        json=json,
        dry_run=dry_run,
        quiet=quiet,
    )
