"""Export the networks that the static analyzer is checked against.

Run it from the clone with a Python that has torch, torchvision, timm, onnx, onnxscript and, for
the last group, transformers; `python` below is that one::

    python -m benchmarks.analyzer.export_zoo --out zoo --timm-table TABLE.csv

TABLE is one of timm's published inference results (``results/benchmark-infer-amp-nchw-*.csv`` in
its repository); without it the timm group is left out. A second run exports what is missing and
tries again what failed. ``--exporters dynamo``, into another folder, gives the same networks as
torch's newer exporter writes them.

Per network the folder gets ``<name>.onnx`` with its structure, ``<name>.data`` of the weights'
length and without contents (sparse, no disk blocks), and ``<name>.json`` with what torch counts in
it and what is published about it; ``index.json`` has a row for every network, failed ones with the
reason.

No weights are downloaded. Each export runs in a child process with a time and a memory limit.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import resource
import sys
import time
from collections import deque
from dataclasses import dataclass, replace
from importlib.metadata import version
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmarks.analyzer import zoo_export, zoo_libraries
from benchmarks.analyzer.zoo_dynamic import dynamic_networks
from benchmarks.analyzer.zoo_networks import (
    DYNAMO,
    EXPORTERS,
    LEGACY,
    Network,
    timm_networks,
    torchvision_networks,
)
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

    from onnxbench.types import JsonObject

LIMIT_S = 300.0
LIMIT_BYTES = 8 << 30
REASON_CHARACTERS = 400
INDEX = "index.json"
# Forked, so that a child does not spend seconds on importing torch again.
CONTEXT = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One network with the first of `exporters`; `reasons`: why the exporters before it failed."""

    network: Network
    exporters: tuple[str, ...]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Child:
    """A process at work on an attempt; `ends_s` on the monotonic clock."""

    attempt: Attempt
    process: ForkProcess
    receiver: Connection
    ends_s: float


def main() -> int:
    """Export what is missing; return 1 if a network that was asked for is not there."""
    asked = _arguments()
    out: Path = asked.out
    out.mkdir(parents=True, exist_ok=True)
    zoo_libraries.skip_initialisation()
    networks = torchvision_networks()
    networks += timm_networks(asked.timm_table) if asked.timm_table else []
    networks = [replace(each, exporters=asked.exporters) for each in networks]
    networks += dynamic_networks()
    wanted = [each for each in networks if re.search(asked.only, each.name)]

    rows = _rows_so_far(out)
    missing = [each for each in wanted if rows.get(each.name, {}).get("status") != "ok"]
    print(f"{len(wanted)} networks, {len(missing)} to export", flush=True)
    for row in _export_all(missing, out, asked.jobs, asked.limit_s):
        rows[row["name"]] = row
        _write_index(out, rows)
    return int(any(rows[each.name]["status"] != "ok" for each in wanted))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Export the static analyzer's test networks.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--timm-table", type=Path, help="timm's published inference results")
    parser.add_argument("--only", default="", help="export names that match this expression")
    parser.add_argument(
        "--exporters",
        type=_exporters,
        default=(LEGACY, DYNAMO),
        help=f"which to try on networks of fixed size, in this order: {', '.join(EXPORTERS)}",
    )
    parser.add_argument("--jobs", type=int, default=1, help="exports at the same time")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S, help="seconds for one export")
    return parser.parse_args()


def _exporters(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(EXPORTERS):
        raise argparse.ArgumentTypeError(f"no exporter is called {', '.join(sorted(unknown))}")
    return names


def _export_all(
    networks: list[Network], out: Path, jobs: int, limit_s: float
) -> Iterator[JsonObject]:
    """Yield an index row for each network when it is there or its last exporter has failed."""
    waiting = deque(Attempt(each, each.exporters) for each in networks)
    children: list[Child] = []
    while waiting or children:
        while waiting and len(children) < jobs:
            children.append(_start(waiting.popleft(), out, limit_s))
        left_s = min(each.ends_s for each in children) - time.monotonic()
        connection.wait([each.receiver for each in children], max(0.0, left_s))
        ended = [
            each for each in children if each.receiver.poll() or each.ends_s <= time.monotonic()
        ]
        for child in ended:
            children.remove(child)
            attempt, reason = child.attempt, _end(child, limit_s)
            exporter, *others = attempt.exporters
            print(f"{attempt.network.name} {exporter}: {reason or 'ok'}", flush=True)
            if not reason:
                yield _row(out / f"{attempt.network.name}.json", attempt.reasons)
                continue
            reasons = (*attempt.reasons, f"{exporter}: {reason}")
            if others:
                waiting.appendleft(Attempt(attempt.network, tuple(others), reasons))
            else:
                yield _failed_row(attempt.network, reasons)


def _start(attempt: Attempt, out: Path, limit_s: float) -> Child:
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_work, args=(attempt, out, sender))
    process.start()
    sender.close()  # so that the child's end is the only one, and its death reads as end of file
    return Child(attempt, process, receiver, time.monotonic() + limit_s)


def _work(attempt: Attempt, out: Path, sender: Connection) -> None:
    """Export in this child and send the reason of a failure, or an empty text."""
    with Path(os.devnull).open("w") as nowhere:  # both exporters talk a lot
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
    torch.set_num_threads(1)
    try:
        zoo_export.export(attempt.network, attempt.exporters[0], out)
    except Exception as error:  # noqa: BLE001 - a network that does not export is a row, not a crash
        sender.send(safe_text(f"{type(error).__name__}: {error}", REASON_CHARACTERS))
    else:
        sender.send("")


def _end(child: Child, limit_s: float) -> str:
    """Return why the child's export failed, or an empty text; nothing of it runs on."""
    try:
        reason = child.receiver.recv() if child.receiver.poll() else f"not ready in {limit_s:g} s"
    except EOFError:
        child.process.join()
        reason = f"the process ended with exit code {child.process.exitcode}"
    child.receiver.close()
    child.process.kill()  # it has said all it had to say
    child.process.join()
    return str(reason)


def _rows_so_far(out: Path) -> dict[str, JsonObject]:
    """Return index rows by name: of every network that is there, and of those that failed."""
    index = out / INDEX
    known = json.loads(index.read_text())["networks"] if index.exists() else []
    reasons = {row["name"]: tuple(row["reasons"]) for row in known}
    rows = {row["name"]: row for row in known if row["status"] == "failed"}
    for sidecar in out.glob("*.json"):
        if sidecar.name != INDEX:
            rows[sidecar.stem] = _row(sidecar, reasons.get(sidecar.stem, ()))
    return rows


def _row(sidecar: Path, reasons: tuple[str, ...]) -> JsonObject:
    facts = json.loads(sidecar.read_text())
    kept = ("name", "source", "exporter", "params", "params_in_graph", "nodes", "seconds")
    row = {"status": "ok"} | {key: facts[key] for key in kept}
    return row | {"reasons": list(reasons)}


def _failed_row(network: Network, reasons: tuple[str, ...]) -> JsonObject:
    return {
        "status": "failed",
        "name": network.name,
        "source": network.source,
        "reasons": list(reasons),
    }


def _write_index(out: Path, rows: dict[str, JsonObject]) -> None:
    index = {
        "versions": {each: version(each) for each in ("torch", "torchvision", "timm", "onnx")},
        "networks": [rows[name] for name in sorted(rows)],
    }
    # Complete at every moment: whoever reads it while the export runs sees the last whole one.
    written = out / f".{INDEX}"
    written.write_text(json.dumps(index, indent=1) + "\n")
    written.replace(out / INDEX)


if __name__ == "__main__":
    sys.exit(main())
