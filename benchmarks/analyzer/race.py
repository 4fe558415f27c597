"""Analyzers as whole cold processes on the same files, in turn, and what they say of them."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.analyzer import cold, light_networks, others
from benchmarks.analyzer.found import Found, deviation, of_document, of_others
from benchmarks.command import ONNXBENCH
from benchmarks.figure import progress
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.analyzer.cold import Ended
    from onnxbench.graph.dims import Count
    from onnxbench.types import JsonObject

OURS = "onnxbench"
LIMIT_S = 60.0
HEADER = ("network", "nodes", "tool", "wall time", "peak RSS", "MACs")


@dataclass(frozen=True, slots=True)
class File:
    """A network to analyze. ``macs``: its true MACs."""

    label: str
    path: Path
    nodes: int
    macs: Count


@dataclass(slots=True)
class Runner:
    """One tool on one file, for so many rounds; a run that fails is its last."""

    tool: str
    file: File
    rounds: int
    ended: list[Ended] = field(default_factory=list)

    def run(self) -> None:
        """Run once."""
        self.ended.append(_cold(self.tool, self.file.path))

    @property
    def wall_s(self) -> float:
        """Median over the runs."""
        return statistics.median(each.wall_ns for each in self.ended) / 1e9

    @property
    def rss_bytes(self) -> float:
        """Median of the peaks."""
        return statistics.median(each.rss_bytes for each in self.ended)

    @property
    def goes_on(self) -> bool:
        """Whether another run is wanted."""
        return len(self.ended) < self.rounds and all(each.well for each in self.ended)

    def found(self) -> Found:
        """Return what the last run found."""
        last = self.ended[-1]
        if last.timed_out:
            return Found(error=f"killed after {LIMIT_S:g} s")
        if not last.well:
            line = "".join(last.stderr.strip().splitlines()[-1:])
            return Found(error=safe_text(line, 200) or f"ended with code {last.code}")
        return of_document(last.stdout) if self.tool == OURS else of_others(last.stdout)

    @property
    def right(self) -> bool:
        """Whether its MACs are exact."""
        return self.found().macs == self.file.macs

    def row(self) -> tuple[str, ...]:
        """Return a row under `HEADER`."""
        found = self.found()
        return (
            self.file.label,
            f"{self.file.nodes:,}",
            self.tool,
            f"{self.wall_s:.2f} s",
            f"{self.rss_bytes / 1e6:,.0f} MB",
            found.error or deviation(found.macs, self.file.macs),
        )

    def raw(self) -> JsonObject:
        """Return every run, and what the last one found."""
        return {
            "network": self.file.label,
            "nodes": self.file.nodes,
            "true_macs": str(self.file.macs),
            "tool": self.tool,
            "wall_ns": [each.wall_ns for each in self.ended],
            "rss_bytes": [each.rss_bytes for each in self.ended],
            "found": self.found().raw(),
        }


def race(runners: Sequence[Runner]) -> None:
    """Run all in rounds, for as long as any goes on; the order in each is drawn (seeded).

    Each tool runs once before, unmeasured, on a small network: bytecode is written, libraries get
    into the page cache.
    """
    for tool in dict.fromkeys(each.tool for each in runners):
        _cold(tool, light_networks.path("squeezenet"))
    order = random.Random(0)
    waiting = list(runners)
    while waiting:
        for each in order.sample(waiting, len(waiting)):
            each.run()
            progress("  " + ", ".join(each.row()))
        waiting = [each for each in waiting if each.goes_on]


def _cold(tool: str, path: Path) -> Ended:
    if tool == OURS:
        command = (*ONNXBENCH, "analyze", str(path), "--json")
        return cold.run(command, limit_s=LIMIT_S)
    return cold.run(others.command(tool, path), limit_s=LIMIT_S, limit_bytes=others.LIMIT_BYTES)
