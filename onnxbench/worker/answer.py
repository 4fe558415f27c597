"""One run and its outputs, and whether it was the run that computed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.errors import AdapterError
from onnxbench.worker.clock import now_ns

if TYPE_CHECKING:
    from onnxbench.protocols import Array, Engine

READ_NS = 1_000_000
READ_NS_PER_BYTE = 10
"""What reading outputs may take: a call, and a copy at 100 MB/s, as from a slow device."""

ATTEMPTS = 3
"""Any of them may meet a busy machine."""


def run_once(engine: Engine) -> object:
    """Run one inference to its end, as the timed call does, and return what ``run`` returned."""
    result = engine.run()
    if engine.sync is not None:
        engine.sync()
    return result


def of_one_run(engine: Engine) -> dict[str, Array]:
    """Run once and return copies of the outputs of that run."""
    return {name: value.copy() for name, value in engine.outputs(run_once(engine)).items()}


def of_timed_call(engine: Engine) -> dict[str, Array]:
    """Return what `of_one_run` does, if it was the run that computed it; else raise AdapterError.

    Arrays that are computed when somebody looks at them, and a run that only queues its work and
    has no ``sync``, leave work for after the clock has stopped: reading the outputs takes longer
    than the run then, and longer than any copy.
    """
    for _ in range(ATTEMPTS):
        started = now_ns()
        result = run_once(engine)
        ran = now_ns()
        outputs = {name: value.copy() for name, value in engine.outputs(result).items()}
        run_ns, read_ns = ran - started, now_ns() - ran
        size = sum(value.nbytes for value in outputs.values())
        if read_ns <= max(run_ns, READ_NS + READ_NS_PER_BYTE * size):
            return outputs
    raise AdapterError(
        f"a run took {run_ns / 1e6:.3g} ms and reading its outputs {read_ns / 1e6:.3g} ms: the "
        "outputs are computed after the clock has stopped",
        "report it to the author of the adapter: run, or sync after it, has to wait for them",
    )
