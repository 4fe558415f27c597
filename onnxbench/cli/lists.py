"""``onnxbench list models|runtimes|exporters|environments|devices|runs``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxbench.cli.options import json_option, models_option

if TYPE_CHECKING:
    from onnxbench.registry import Registered
    from onnxbench.types import Capability, ModelSpec

list_app = typer.Typer(
    help="List models, runtimes, exporters, environments, devices or runs.", no_args_is_help=True
)

_Json = Annotated[bool, json_option()]
_Models = Annotated[Path | None, models_option()]
_Store = Annotated[Path | None, typer.Option("--store", help="The results file.")]


@list_app.command()
def models(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Ids, or wildcards such as 'resnet*'.", show_default=False),
    ] = None,
    catalog: _Models = None,
    suite: Annotated[str | None, typer.Option(help="Only the models of this suite.")] = None,
    family: Annotated[
        list[str] | None, typer.Option(help="Only these families; a comma list, or repeated.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="Only models with all of these tags; a comma list, or repeated."),
    ] = None,
    json: _Json = False,
) -> None:
    """Models of the catalogue, and what is published about them."""
    from dataclasses import asdict

    from onnxbench.catalog import load
    from onnxbench.report import format as fmt

    entries = load(catalog)
    every = list(entries.models.values())
    families = _known("family", family, {spec.family for spec in every if spec.family})
    tags = _known("tag", tag, {each for spec in every for each in spec.tags})
    wanted = [spec.id for spec in entries.suite(suite)] if suite is not None else entries.models
    chosen = [
        spec
        for spec in (entries.select(models) if models else every)
        if spec.id in wanted
        and (not families or spec.family in families)
        and tags <= set(spec.tags)
    ]
    if json:
        rows = [
            {
                "id": spec.id,
                "source": spec.source,
                "family": spec.family,
                "weights": spec.weights,
                "tags": list(spec.tags),
                "suites": [name for name, ids in entries.suites.items() if spec.id in ids],
                "published": [asdict(each) for each in spec.published],
            }
            for spec in chosen
        ]
    else:
        rows = [_in_short(spec) for spec in chosen]
    count = fmt.plural(len(chosen), "model")
    count += "" if len(chosen) == len(every) else f" of {len(every)}"
    _show("models", rows, json, f"{count}; catalogue: {entries.path}")


def _known(noun: str, asked: list[str] | None, valid: set[str]) -> set[str]:
    """Return the names of comma lists. Raises UsageError, with the nearest, for an unknown one."""
    from onnxbench.cli import values
    from onnxbench.errors import UsageError
    from onnxbench.suggest import did_you_mean

    found = {name for text in asked or () for name in values.names(text)}
    for name in sorted(found - valid):
        raise UsageError(f"no model has the {noun} {name}", did_you_mean(name, valid))
    return found


def _in_short(spec: "ModelSpec") -> dict[str, Any]:
    """Return a line of the table; of a figure that several publish, the first."""
    from onnxbench.report import format as fmt

    top1, params, macs = (
        next((value for each in spec.published if (value := getattr(each, name)) is not None), None)
        for name in ("top1", "params", "macs")
    )
    return {
        "id": spec.id,
        "source": spec.source,
        "family": spec.family,
        "weights": spec.weights,
        "params": None if params is None else fmt.amount(params, ""),
        "MACs": None if macs is None else fmt.amount(macs, ""),
        "top-1": None if top1 is None else f"{top1:.1f} %",
    }


@list_app.command()
def runtimes(json: _Json = False) -> None:
    """Runtimes: installed and where, installable and how, or impossible here and why."""
    from onnxbench import registry
    from onnxbench.cli.runtimes import in_short, row

    rows = [row(registered) for registered in registry.runtimes()]
    usable = sum(each["usable"] for each in rows)
    caption = f"{usable} of {len(rows)} can run here; environments: onnxbench list environments"
    _show("runtimes", rows if json else [in_short(each) for each in rows], json, caption)


@list_app.command()
def exporters(json: _Json = False) -> None:
    """Exporters: where each would run, and what the others lack."""
    from onnxbench import registry

    _show("exporters", [_exporter_row(found) for found in registry.exporters()], json)


@list_app.command()
def environments(json: _Json = False) -> None:
    """Python environments: what `onnxbench install` can make, and what it has made."""
    from onnxbench.cli.install import show_environments

    show_environments(as_json=json)


@list_app.command()
def devices(json: _Json = False) -> None:
    """Devices of this machine."""
    from onnxbench.probes import cpu, host

    device = host.device()
    threads, why = cpu.default_threads()
    row = {
        "kind": device.kind,
        "name": device.name,
        "arch": device.arch,
        "emulated": device.emulated,
        "threads": threads,
        "threads_reason": why,
    }
    _show("devices", [row], json)


@list_app.command()
def runs(store: _Store = None, json: _Json = False) -> None:
    """Runs in the results file."""
    from onnxbench.cli.request import store_path
    from onnxbench.store import Store

    with Store.open(store_path(store), read_only=True) as opened:
        rows = [
            {
                "run": run.run_id,
                "created": run.created,
                "state": run.state,
                "cells": run.cells,
                "processes": run.children,
                "host": run.host_id,
            }
            for run in opened.runs()
        ]
    _show("runs", rows, json)


def probe(registered: "Registered") -> "Capability":
    """Return what a runtime's probe finds; a plug-in that cannot be loaded is not available."""
    from onnxbench.cli.runtimes import find

    return find(registered).capability


def _exporter_row(registered: "Registered") -> dict[str, Any]:
    """Return where an exporter would run; one that cannot be loaded runs nowhere."""
    from onnxbench import registry
    from onnxbench.environments import interpreter_for
    from onnxbench.errors import OnnxBenchError
    from onnxbench.protocols import FileSource

    row = {"name": registered.name, "usable": False}
    row |= dict.fromkeys(("where", "packages", "reason", "hint"), "")
    try:
        exporter: Any = registry.load(registered)
        if isinstance(exporter, FileSource):
            return {**row, "usable": True, "where": "takes ONNX files as they are"}
        found = interpreter_for(exporter)
    except OnnxBenchError as error:
        return {**row, "reason": error.message, "hint": error.hint}
    except Exception as error:  # noqa: BLE001 - a plug-in may be anybody's
        reason = f"{type(error).__name__}: {error}"
        return {**row, "reason": reason, "hint": f"update or uninstall {registered.distribution}"}
    where = "this Python" if found.environment is None else f"environment {found.environment}"
    packages = [f"{name} {version}" for name, version in found.versions.items()]
    return {**row, "usable": True, "where": where, "packages": packages}


def _show(noun: str, rows: list[dict[str, Any]], as_json: bool, caption: str = "") -> None:
    """Print rows as one JSON document or as a table of the columns that hold something."""
    import sys

    from onnxbench.report.document import dumps
    from onnxbench.report.listing import listing
    from onnxbench.report.terminal import console

    if as_json:
        print(dumps({noun: rows}, indent=2))
        return
    out = console(sys.stdout)
    out.print(listing(noun, rows, caption=caption))
