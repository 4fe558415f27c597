"""``onnxbench doctor``: what is here, and whether its numbers can be believed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxbench.cli.options import json_option

if TYPE_CHECKING:
    from onnxbench.report.progress import Progress
    from onnxbench.selfproof import Proof
    from onnxbench.types import PlannedCell

A_A_MODEL = "squeezenet-light"
A_A_PAIRS = 10


def doctor(
    self_proof: Annotated[
        bool,
        typer.Option("--self-proof", help="Prove on known engines what the harness adds (1 min)."),
    ] = False,
    json: Annotated[bool, json_option()] = False,
) -> int:
    """Say what is installed, what is missing, and what makes this host noisy."""
    from onnxbench import registry
    from onnxbench.cli.lists import probe
    from onnxbench.diagnosis import diagnose
    from onnxbench.report.diagnosis import diagnosis_text
    from onnxbench.report.document import dumps
    from onnxbench.report.terminal import console

    if self_proof:
        _prove()
    found = diagnose([probe(each) for each in registry.runtimes() if not each.problem])
    if json:
        print(dumps({"doctor": found}, indent=2))
    else:
        out = console(sys.stdout)
        out.print(diagnosis_text(found, width=out.width))
    return 1 if self_proof and not found["self_proof"]["holds"] else 0


def _prove() -> None:
    """Run every proof under the host's measuring lock, and remember the result."""
    from onnxbench import selfproof
    from onnxbench.cli.running import only_one
    from onnxbench.report.progress import Progress

    with Progress(sys.stderr) as progress, only_one("onnxbench doctor --self-proof", progress):
        selfproof.remember(selfproof.document(list(_proofs(progress))))


def _proofs(progress: "Progress") -> Iterator["Proof"]:
    from onnxbench import selfproof
    from onnxbench.targets.local import LocalTarget

    target = LocalTarget()
    total = 1 + len(selfproof.SLEEPS_S) + A_A_PAIRS
    progress.before("null engine", 0, total, None)
    yield selfproof.null_engine(target)
    for done, seconds in enumerate(selfproof.SLEEPS_S, 1):
        progress.before("sleep engine", done, total, None)
        yield selfproof.sleep_engine(target, seconds)
    with _a_a_cell() as planned:
        if planned is None:
            progress.note("no A/A comparison: the runtime cpu is not installed")
            return
        pairs = selfproof.a_a_pairs(
            target,
            planned,
            A_A_PAIRS,
            lambda block: progress.before("A/A", total - A_A_PAIRS + block, total, None),
        )
    yield selfproof.a_a(pairs)


@contextmanager
def _a_a_cell() -> "Iterator[PlannedCell | None]":
    """Yield the cell that is compared with itself: a small network that ships with onnx."""
    import tempfile

    from onnxbench.cli import request
    from onnxbench.exporting import Exports
    from onnxbench.intake import take_in
    from onnxbench.plan import make_plan
    from onnxbench.probes import cpu, host
    from onnxbench.sweep import Sweep
    from onnxbench.types import Limits, ModelSpec, Sampling
    from onnxbench.workload import Ask

    spec = ModelSpec(A_A_MODEL, "onnx-light:squeezenet")
    with tempfile.TemporaryDirectory(prefix="onnxbench-proof-") as keep:
        candidate = take_in(spec, Exports(), inputs=None, keep=Path(keep), memory_bytes=None)
        plan = make_plan(
            [candidate],
            request.choices(["cpu"]),
            Sweep(threads=(cpu.default_threads()[0],)),
            Ask(),
            device=host.device(),
            sampling=Sampling.quick(),
            limits=Limits(),
        )
        yield plan.cells[0] if plan.cells else None
