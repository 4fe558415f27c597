"""The child of figure ``loop``.

Called as ``python -m benchmarks.blocks JOB.json`` with the fields of `benchmarks.loop.Effort`.
Prints ``{"calls": n, "pairs": [[ours_ns, bare_ns], …]}``, means per call over blocks of n calls.
"""

from __future__ import annotations

import gc
import json
import sys
from functools import partial
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
    from onnxbench.runtimes._onnxruntime_engine import OnnxRuntimeEngine
    from onnxbench.worker.inputs import InputTensor

CALIBRATION_RUNS = 10
LEAST_CALLS = 3
NO_LIMIT_NS = 600 * SECOND_NS


def main() -> None:
    """Run the alternating blocks and print their means."""
    job = Job.read(Path(sys.argv[1]))
    block_s, least_pairs, most_s, width = map(float, sys.argv[2:])
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
    call_s = bare(CALIBRATION_RUNS) / SECOND_NS
    calls = max(LEAST_CALLS, round(block_s / call_s))
    most_pairs = max(least_pairs, most_s / (2 * calls * call_s))

    def is_narrow(found: Pairs) -> bool:
        if len(found) < least_pairs or len(found) % 10:
            return False
        ratio = paired_ratio([a for a, _ in found], [b for _, b in found])
        return ratio is not None and ratio.half_width <= width

    found = alternate(our_loop(call, calls), lambda: bare(calls), round(most_pairs), is_narrow)
    print(json.dumps({"calls": calls, "pairs": [[round(a), round(b)] for a, b in found]}))


def our_loop(call: Callable[[], object], calls: int) -> Callable[[], float]:
    """Return what takes ``calls`` samples as a worker does and gives their mean in ns."""
    sampling = Sampling(iterations=calls)
    room = loop.preallocate(sampling)

    def block() -> float:
        loop.sample(call, sampling, room, NO_LIMIT_NS)
        return sum(room) / calls

    return block


def bare_loop(engine: OnnxRuntimeEngine, tensors: list[InputTensor]) -> Callable[[int], float]:
    """Return what calls the runtime so many times, as a user would, and gives ns per call.

    The call is bound beforehand, as the adapter binds its own: then the C stack lies alike for
    both loops. An offset of some hundred bytes alone moved Inception by 3 % (Mytkowicz et al.,
    ASPLOS 2009), which would be counted for or against the harness.
    """
    session = engine._session  # noqa: SLF001 - both loops must share one session
    binding = engine._binding  # noqa: SLF001
    feed = {tensor.name: tensor.array for tensor in tensors}
    call = (
        partial(session.run, None, feed)
        if binding is None
        else partial(session.run_with_iobinding, binding)
    )

    def bare(calls: int) -> float:
        start = now_ns()
        for _ in range(calls):
            call()
        return (now_ns() - start) / calls

    return bare


if __name__ == "__main__":
    main()
