"""The child of figure ``loop``: ``python -m benchmarks.blocks JOB.json BLOCK_S LEAST MOST WIDTH``.

Alternates blocks until the interval of the ratio is within ± WIDTH, with LEAST to MOST pairs.
Prints ``{"calls": n, "pairs": [[ours_ns, bare_ns], …]}``, means per call over blocks of n calls.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.pairs import alternate
from onnxbench.measure.interval import paired_ratio
from onnxbench.runtimes.onnxruntime import CPU
from onnxbench.types import Sampling
from onnxbench.worker import loop
from onnxbench.worker.clock import SECOND_NS, now_ns
from onnxbench.worker.inputs import make_inputs
from onnxbench.worker.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.pairs import Pairs
    from onnxbench.runtimes.onnxruntime import OnnxRuntimeEngine
    from onnxbench.worker.inputs import InputTensor

CALIBRATION_RUNS = 10
NO_LIMIT_NS = 600 * SECOND_NS


def main() -> None:
    """Run the alternating blocks and print their means."""
    job, block_ns = Job.read(Path(sys.argv[1])), float(sys.argv[2]) * SECOND_NS
    least, most, width = int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])

    def is_narrow(found: Pairs) -> bool:
        ratio = paired_ratio([a for a, _ in found], [b for _, b in found])
        return len(found) >= least and ratio is not None and ratio.half_width <= width

    engine = CPU.build(job.build_request(scratch=str(Path.cwd())))
    tensors = make_inputs(job.inputs)
    engine.bind(tensors)
    engine.run()
    call = loop.one_call(engine.run, engine.sync)
    bare = bare_loop(engine, tensors)
    gc.collect()
    gc.freeze()
    gc.disable()
    loop.warm_up(call, job.sampling)
    calls = max(CALIBRATION_RUNS, round(block_ns / bare(CALIBRATION_RUNS)))
    ours = our_loop(call, calls)
    found = alternate(ours, lambda: bare(calls), most, is_narrow)
    print(json.dumps({"calls": calls, "pairs": found}))


def our_loop(call: Callable[[], object], calls: int) -> Callable[[], float]:
    """Return what takes ``calls`` samples as a worker does and gives their mean in ns."""
    sampling = Sampling(iterations=calls)
    room = loop.preallocate(sampling)

    def block() -> float:
        loop.sample(call, sampling, room, NO_LIMIT_NS)
        return sum(room) / calls

    return block


def bare_loop(engine: OnnxRuntimeEngine, tensors: list[InputTensor]) -> Callable[[int], float]:
    """Return what calls the runtime so many times, as a user would, and gives ns per call."""
    session = engine._session  # noqa: SLF001 - both loops must share one session
    binding = engine._binding  # noqa: SLF001
    feed = {tensor.name: tensor.array for tensor in tensors}

    def host(calls: int) -> float:
        start = now_ns()
        for _ in range(calls):
            session.run(None, feed)
        return (now_ns() - start) / calls

    def device(calls: int) -> float:
        start = now_ns()
        for _ in range(calls):
            session.run_with_iobinding(binding)
        return (now_ns() - start) / calls

    return host if binding is None else device


if __name__ == "__main__":
    main()
