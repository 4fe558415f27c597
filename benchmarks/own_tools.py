"""Runtimes bring benchmarks of their own: ``benchmark_app`` comes with OpenVINO and
``litert-benchmark`` with LiteRT. Each network is measured by both in turn, in processes of their
own: one timed child of ours (boundary ``device``, since neither tool hands arrays in or out), and
one call of the tool, told the same thread, one stream, synchronous, float32. What counts is the
median over pairs of the ratio of the two medians. One thread leaves other processes a core: with
as many threads as cores, a stall of one of them doubles the latency of a whole process of either
side (own processes of 31 ms beside 17 ms, tool's of 9 ms beside 4.5 ms, 2026-11).

``benchmark_app`` would turn the input into bytes and the arithmetic into bf16 if it were not told
otherwise. ``onnxruntime_perf_test`` and ``trtexec`` are in no wheel; the figure ``loop`` compares
our loop with a bare one on ONNX Runtime.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import light
from benchmarks.figure import Figure, progress
from benchmarks.pairs import alternate, median_ratio
from onnxbench.catalog import load
from onnxbench.cli.export_request import on_demand
from onnxbench.errors import WorkerError
from onnxbench.session import job_for, process_median_ns
from onnxbench.targets import bundle
from onnxbench.targets.environment import child_environment
from onnxbench.targets.local import LocalTarget
from onnxbench.types import Child, Sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.pairs import Pairs
    from onnxbench.measure.interval import Ratio
    from onnxbench.types import ChildResult, JsonObject, PlannedCell
    from onnxbench.worker.job import Mode

NETWORKS = ("squeezenet-1.1", "mobilenet-v2-1.0", "resnet18")
"""Of the catalogue, with random weights: LiteRT runs none of the light ones."""
WITHIN = 0.03
PAIRS = 15
THREADS = 1
SAMPLING = replace(Sampling.quick(), warmup_s=0.5, min_time_s=1.5)


@dataclass(frozen=True, slots=True)
class Tool:
    """A runtime's own benchmark: how it is called, and where its median stands."""

    runtime: str
    program: str
    median_ns: Callable[[PlannedCell, Path, Path, bool], float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours and the tool's median in ns, paired by block."""

    name: str
    pairs: Pairs

    @property
    def ratio(self) -> Ratio:
        """Ours over theirs."""
        return median_ratio(self.pairs)

    @property
    def holds(self) -> bool:
        """Whether the estimate lies within 3 %."""
        return abs(self.ratio.estimate - 1) <= WITHIN


def measure(tiny: bool) -> Figure:
    sampling = replace(SAMPLING, min_time_s=0.1, warmup_s=0.1) if tiny else SAMPLING
    found = []
    for tool in TOOLS:
        plan = light.plan(
            load().select(NETWORKS[:1] if tiny else NETWORKS),
            sampling,
            boundaries=("device",),
            threads=THREADS,
            runtime=tool.runtime,
            exports=on_demand(
                "random", say=lambda spec: progress(f"own_tools: exporting {spec.id}")
            ),
        )
        found += [_compare(tool, cell, sampling, tiny=tiny) for cell in plan.cells]
    return judge(found)


def judge(comparisons: Sequence[Comparison]) -> Figure:
    """Return the figure; ``measured`` is the estimate farthest from 1."""
    farthest = max((c.ratio.estimate for c in comparisons), key=lambda value: abs(value - 1))
    return Figure(
        title="ours vs the runtimes' own benchmarks",
        target="ratio of medians within 3 %, 3 networks, 2 tools, in the same run",
        measured=f"the worst of {len(comparisons)} ratios is {farthest - 1:+.1%} from 1",
        met=all(comparison.holds for comparison in comparisons),
        table=(
            ("runtime and tool, network", "pairs", "the tool's median", "ratio [95 %]", "met"),
            *(_row(comparison) for comparison in comparisons),
        ),
        raw={c.name: {"ours_tool_ns": c.pairs} for c in comparisons},
    )


def _row(comparison: Comparison) -> tuple[str, ...]:
    ratio = comparison.ratio
    theirs = sorted(tool for _, tool in comparison.pairs)
    return (
        comparison.name,
        str(len(comparison.pairs)),
        f"{theirs[len(theirs) // 2] / 1e6:.3f} ms",
        f"{ratio.estimate:.4f} [{ratio.low:.4f}, {ratio.high:.4f}]",
        "yes" if comparison.holds else "**no**",
    )


def _compare(tool: Tool, planned: PlannedCell, sampling: Sampling, *, tiny: bool) -> Comparison:
    name = f"{tool.program}, {planned.cell.model_id}"
    progress(f"own_tools: {name}")
    target = LocalTarget(planned.interpreter)
    builds = bundle.cache_folder()

    def child(mode: Mode) -> ChildResult:
        job = job_for(planned, sampling, mode, builds)
        result = target.run_worker(job.document(), planned.limits)
        if result.status != "ok":
            raise WorkerError(f"{name}: {result.error}", "see the message")
        return result

    if planned.converter is not None:
        child("convert")
    converted = builds / "converted" / planned.build_key
    program = Path(planned.interpreter).with_name(tool.program)
    pairs = alternate(
        lambda: process_median_ns(Child(planned.cell.cell_id, 1, "timed", child("timed"))),
        lambda: tool.median_ns(planned, program, converted, tiny),
        2 if tiny else PAIRS,
    )
    return Comparison(name, pairs)


def _benchmark_app(planned: PlannedCell, program: Path, _converted: Path, tiny: bool) -> float:
    """Return the median that OpenVINO's benchmark_app reports, in ns."""
    threads = str(planned.cell.threads)
    shapes = ",".join(
        f"{name}[{','.join(map(str, shape))}]" for name, shape in planned.cell.shapes.items()
    )

    def argv(folder: str) -> list[str]:
        return [
            str(program), "-m", planned.artifact.path, "-shape", shapes, "-d", "CPU",
            "-hint", "none", "-nthreads", threads, "-nstreams", "1", "-nireq", "1", "-api", "sync",
            "-infer_precision", "f32", "-ip", "f32", "-t", "1" if tiny else "2",
            "-json_stats", "-report_type", "no_counters", "-report_folder", folder,
        ]  # fmt: skip

    report = _run(argv, "benchmark_report.json")
    return float(report["execution_results"]["latency (ms)"]) * 1e6


def _litert_benchmark(planned: PlannedCell, program: Path, converted: Path, tiny: bool) -> float:
    """Return the median that litert-benchmark reports, in ns."""
    model = next(converted.glob("*.tflite"))

    def argv(folder: str) -> list[str]:
        return [
            str(program), "--model", str(model), "--num_threads", str(planned.cell.threads),
            "--num_runs", "20" if tiny else "150", "--warmup_runs", "20",
            "--result_json", f"{folder}/result.json",
        ]  # fmt: skip

    report = _run(argv, "result.json")
    return float(report["latency"]["median_ms"]) * 1e6


def _run(argv: Callable[[str], list[str]], report: str) -> JsonObject:
    """Run a tool in a private folder, and return the JSON document that it leaves there."""
    with tempfile.TemporaryDirectory(prefix="onnxbench-figure-") as folder:
        done = subprocess.run(
            argv(folder), cwd=folder, env=child_environment(Path(folder), "tool"), check=False,
            capture_output=True, text=True, errors="replace",
        )  # fmt: skip
        if done.returncode != 0:
            raise WorkerError(
                f"{argv(folder)[0]} ended with {done.returncode}: {done.stdout[-500:]}"
            )
        found: JsonObject = json.loads(Path(folder, report).read_text(encoding="utf-8"))
        return found


TOOLS = (
    Tool("openvino", "benchmark_app", _benchmark_app),
    Tool("litert", "litert-benchmark", _litert_benchmark),
)
