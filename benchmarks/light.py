"""Cells of the networks that ship inside the onnx package, planned as the command line would."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.cli.request import choices
from onnxbench.errors import PlanError
from onnxbench.exporting import Exports
from onnxbench.intake import take_in
from onnxbench.plan import Plan, make_plan
from onnxbench.probes import cpu, host
from onnxbench.sweep import Sweep
from onnxbench.types import Limits, ModelSpec, Sampling
from onnxbench.workload import Ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.types import Boundary


def specs(networks: Sequence[str | ModelSpec]) -> list[ModelSpec]:
    """Return the light networks called ``squeezenet`` and so on; a model stays what it is."""
    return [
        name
        if isinstance(name, ModelSpec)
        else ModelSpec(f"{name}-light", f"onnx-light:{name}", weights="light")
        for name in networks
    ]


def plan(
    networks: Sequence[str | ModelSpec],
    sampling: Sampling,
    *,
    labels: tuple[str | None, ...] = (None,),
    boundaries: tuple[Boundary, ...] = ("host",),
    threads: int | None = None,
    runtime: str = "cpu",
    exports: Exports | None = None,
) -> Plan:
    """Return the plan for ``networks`` (``squeezenet`` …, or models) on ``runtime``.

    ``exports`` makes the files of models that are none yet.

    ``threads``: by default those of the command line, one per physical core. Raises PlanError when
    a network or the runtime is not there.
    """
    with tempfile.TemporaryDirectory(prefix="onnxbench-figure-") as keep:
        candidates = [
            take_in(spec, exports or Exports(), inputs=None, keep=Path(keep), memory_bytes=None)
            for spec in specs(networks)
        ]
    made = make_plan(
        candidates,
        choices([runtime]),
        Sweep(threads=(threads or cpu.default_threads()[0],), boundaries=boundaries, labels=labels),
        Ask(),
        device=host.device(),
        sampling=sampling,
        limits=Limits(),
    )
    if made.refused or made.skips:
        message = f"the light networks cannot be planned here on {runtime}"
        raise PlanError(message, "pip install -e '.[cpu]', onnxbench install RUNTIME")
    return made
