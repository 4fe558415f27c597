"""``onnxbench list models|runtimes|exporters|environments|devices|runs``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from onnxbench.registry import Registered
    from onnxbench.types import Capability

list_app = typer.Typer(
    help="List models, runtimes, exporters, environments, devices or runs.", no_args_is_help=True
)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
_Models = Annotated[Path | None, typer.Option("--models", help="The models.yaml to use.")]
_Store = Annotated[Path | None, typer.Option("--store", help="The results file.")]


@list_app.command()
def models(
    catalog: _Models = None,
    suite: Annotated[str | None, typer.Option(help="Only the models of this suite.")] = None,
    json: _Json = False,
) -> None:
    """Models of the catalogue, and its suites."""
    from onnxbench.catalog import load

    entries = load(catalog)
    chosen = entries.suite(suite) if suite is not None else list(entries.models.values())
    rows = [
        {
            "id": spec.id,
            "source": spec.source,
            "family": spec.family,
            "weights": spec.weights,
            "suites": [name for name, ids in entries.suites.items() if spec.id in ids],
        }
        for spec in chosen
    ]
    _show("models", rows, json, f"catalogue: {entries.path}")


@list_app.command()
def runtimes(json: _Json = False) -> None:
    """Runtimes: what is usable here, and what the others lack."""
    from onnxbench import registry

    rows = []
    for registered in registry.runtimes():
        found = probe(registered)
        rows.append(
            {
                "name": registered.name,
                "usable": found.available,
                "version": found.version,
                "package": found.distribution or registered.distribution,
                "reason": found.reason,
                "hint": found.hint,
            }
        )
    _show("runtimes", rows, json)


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
    from onnxbench import registry
    from onnxbench.errors import OnnxBenchError
    from onnxbench.types import Capability

    try:
        adapter: Any = registry.load(registered)
        found: Capability = adapter.probe()
    except OnnxBenchError as error:
        return Capability(registered.name, available=False, reason=error.message, hint=error.hint)
    except Exception as error:  # noqa: BLE001 - a plug-in may be anybody's
        reason = f"its probe failed: {type(error).__name__}: {error}"
        return Capability(
            registered.name, available=False, reason=reason, hint="report it to its author"
        )
    return found


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
