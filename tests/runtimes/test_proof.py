"""The engines whose truth is known, run as any runtime is."""

from __future__ import annotations

import statistics
from array import array
from typing import TYPE_CHECKING

import pytest

from onnxbench.runtimes import proof
from onnxbench.types import Sampling
from onnxbench.worker.answer import ATTEMPTS
from onnxbench.worker.loop import RUNS_BEFORE_WARM_UP
from tests.targets.child import job, run

if TYPE_CHECKING:
    from onnxbench.protocols import Target
    from onnxbench.types import ChildResult

PROOF = f"{proof.__name__}:PROOF"


def samples(result: ChildResult) -> array[int]:
    assert (result.status, result.error) == ("ok", None), result
    found = array("q")
    found.frombytes(result.samples)
    return found


def test_a_null_engine_takes_next_to_no_time(target: Target) -> None:
    rules = Sampling(iterations=20_000, warmup_s=0.0, warmup_runs=1)
    found = samples(run(target, job(PROOF, mode="timed", sampling=rules)))
    assert len(found) == 20_000
    assert min(found) >= 0
    # A sanity bound: the figure itself is measured by ``doctor --self-proof``.
    assert statistics.median(found) < 20_000


@pytest.mark.parametrize("seconds", [0.001, 0.005])
def test_a_sleep_engine_s_samples_enclose_its_own_time(target: Target, seconds: float) -> None:
    rules = Sampling(iterations=20, warmup_s=0.0, warmup_runs=1, warmup_cap_s=0.1)
    result = run(
        target, job(PROOF, mode="timed", sampling=rules, options={"sleep_s": str(seconds)})
    )
    found = samples(result)
    assert result.measurement is not None
    own = result.measurement["facts"]["own_ns"]
    before = RUNS_BEFORE_WARM_UP + result.measurement["warmup"]["runs"]
    assert before + len(found) < len(own) <= before + len(found) + ATTEMPTS
    own = own[before : before + len(found)]
    assert all(mine >= theirs for mine, theirs in zip(found, own, strict=True))
    assert min(own) >= seconds * 1e9
    bias = statistics.median(m - t for m, t in zip(found, own, strict=True))
    assert bias < 0.1 * seconds * 1e9  # sanity only, as above


def test_the_engines_pass_for_facts_too(target: Target) -> None:
    result = run(target, job(PROOF))
    assert (result.status, result.error) == ("ok", None)
    assert result.measurement is not None
    assert result.measurement["parity"]["deterministic"]
    assert result.measurement["placement"] == []
