"""How a plan is carried out: order, retries, ends, resuming. The children are made up."""

from __future__ import annotations

import array
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onnxbench.plan import Candidate, Choice, Plan, make_plan
from onnxbench.session import Bounds, Outcome, execute
from onnxbench.store import Store
from onnxbench.sweep import Sweep
from onnxbench.types import (
    Artifact,
    ArtifactFile,
    Capability,
    ChildResult,
    Device,
    ErrorDoc,
    JsonObject,
    Limits,
    ModelSpec,
    Sampling,
    Status,
    TensorSpec,
)
from onnxbench.workload import Ask

SAMPLING = Sampling(processes_min=2, processes_max=3, target_half_width=None)


def child(status: Status = "ok", samples: bytes | None = None, mode: str = "timed") -> ChildResult:
    error: ErrorDoc | None = None
    if status != "ok":
        error = {"kind": status, "message": "made up", "hint": "", "phase": "steady"}
    values = array.array("q", [1000, 1010, 990, 1005]).tobytes() if mode == "timed" else b""
    return ChildResult(
        status,
        error,
        {"mode": mode, "status": status, "error": error, "phases_ns": {"steady": 4000}},
        (values if status == "ok" else b"") if samples is None else samples,
        10_000_000,
        0,
        None,
        "",
        "2026-11-22T00:00:00+00:00",
    )


class FakeTarget:
    """Runs no process: answers each job as told, and remembers the jobs."""

    name = "fake"

    def __init__(self, answer: Callable[[JsonObject, int], ChildResult] | None = None) -> None:
        self.jobs: list[tuple[str, str]] = []
        self.limits: list[Limits] = []
        self._answer = answer or (lambda job, _: child(mode=job["mode"]))

    def run_worker(self, request: JsonObject, limits: Limits) -> ChildResult:
        self.jobs.append((Path(request["model"]).stem, request["mode"]))
        self.limits.append(limits)
        return self._answer(request, len(self.jobs))

    def count(self, mode: str, model: str = "") -> int:
        return sum(m == mode and (not model or name == model) for name, m in self.jobs)


class Watcher:
    def __init__(self) -> None:
        self.said: list[tuple[str, int, int, float | None]] = []
        self.done: list[tuple[int, int]] = []

    def before(self, label: str, done: int, total: int, remaining_s: float | None) -> None:
        self.said.append((label, done, total, remaining_s))

    def after(
        self,
        label: str,
        done: int,
        total: int,
        remaining_s: float | None,
        median_ns: float | None = None,
    ) -> None:
        self.done.append((done, total))


def make(*names: str, sampling: Sampling = SAMPLING, op_times: bool = False) -> Plan:
    candidates = []
    for name in names or ("m",):
        file = ArtifactFile(f"/models/{name}.onnx", "model", 1000, 1, 1)
        inputs = (TensorSpec("x", "float", (1, 4)),)
        artifact = Artifact(name * 8, (file,), 10, {"": 17}, "test", inputs, (), {}, 1, 0)
        spec = ModelSpec(name, f"file:/models/{name}.onnx")
        candidates.append(Candidate(spec, artifact, child(mode="facts")))
    return make_plan(
        candidates,
        [Choice("cpu", "a:B", Capability("cpu", available=True, version="1", distribution="d"))],
        Sweep(),
        Ask(),
        device=Device("cpu", "Test CPU", "x86_64"),
        sampling=sampling,
        limits=Limits(),
        op_times=op_times,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "results.db") as opened:
        yield opened


def run(
    plan: Plan,
    target: FakeTarget,
    store: Store,
    *,
    bounds: Bounds = Bounds(),  # noqa: B008 - frozen
    fresh: bool = False,
    watcher: Watcher | None = None,
    resumed: list[int] | None = None,
) -> Outcome:
    return execute(
        plan,
        target_for=lambda _: target,
        builds=Path("builds"),
        store=store,
        host_id="host",
        tool={"version": "0"},
        observer=watcher or Watcher(),
        bounds=bounds,
        fresh=fresh,
        on_resume=lambda _run, count: resumed.append(count) if resumed is not None else None,
    )


def test_facts_come_first_and_blocks_interleave(store: Store) -> None:
    target = FakeTarget()
    outcome = run(make("a", "b", op_times=True), target, store)
    assert target.jobs[:2] == [("a", "facts"), ("b", "facts")]
    assert target.jobs[-2:] == [("a", "op-times"), ("b", "op-times")]
    blocks = [target.jobs[2 + 2 * block : 4 + 2 * block] for block in range(3)]
    assert all({name for name, _ in block} == {"a", "b"} for block in blocks)
    assert {mode for block in blocks for _, mode in block} == {"timed"}
    assert outcome.ending == "finished"
    assert [record["status"] for record in outcome.records] == ["ok", "ok"]
    assert [record["cell"]["model"]["id"] for record in outcome.records] == ["a", "b"]
    assert outcome.children == 10
    assert outcome.lives_ns == 10 * 10_000_000
    assert outcome.sampling_ns == 6 * 4000


def test_the_order_within_a_block_is_random(store: Store) -> None:
    """Fixed within a run, different from run to run."""
    names = "abcdefgh"
    target = FakeTarget()
    run(make(*names), target, store)
    timed = [name for name, mode in target.jobs if mode == "timed"]
    blocks = [timed[start : start + 8] for start in (0, 8, 16)]
    assert all(sorted(block) == list(names) for block in blocks)
    assert len(set(map(tuple, blocks))) > 1


def test_every_child_is_stored_before_the_next_one_starts(store: Store) -> None:
    seen: list[int] = []

    def answer(job: JsonObject, _: int) -> ChildResult:
        (open_run,) = store.runs()
        seen.append(len(store.children(open_run.run_id)))
        return child(mode=job["mode"])

    run(make("a", "b"), FakeTarget(answer), store)
    assert seen == list(range(8))


def test_a_crash_is_tried_once_more(store: Store) -> None:
    target = FakeTarget(lambda job, n: child("crashed" if n == 2 else "ok", mode=job["mode"]))
    outcome = run(make(), target, store)
    (record,) = outcome.records
    assert record["status"] == "ok"
    assert target.count("timed") == 4
    assert any("a retry took its place" in note for note in record["notes"])


def test_two_crashes_end_the_cell_and_no_other(store: Store) -> None:
    def answer(job: JsonObject, _: int) -> ChildResult:
        bad = job["mode"] == "timed" and "/a.onnx" in job["model"]
        return child("crashed" if bad else "ok", mode=job["mode"])

    target = FakeTarget(answer)
    outcome = run(make("a", "b"), target, store)
    assert [record["status"] for record in outcome.records] == ["crashed", "ok"]
    assert target.count("timed", "a") == 2
    assert target.count("timed", "b") == 3


@pytest.mark.parametrize("status", ["error", "oom", "timeout-soft", "timeout-hard", "unsupported"])
def test_other_faults_are_not_tried_again(store: Store, status: Status) -> None:
    target = FakeTarget(lambda job, _: child(status, mode=job["mode"]))
    outcome = run(make(), target, store)
    assert target.jobs == [("m", "facts")]
    assert outcome.records[0]["status"] == status
    assert status in outcome.records[0]["stop"]


@pytest.mark.parametrize("from_child", [1, 3], ids=["facts", "the second timed process"])
def test_wrong_outputs_are_timed_on_and_are_no_result(store: Store, from_child: int) -> None:
    def answer(job: JsonObject, n: int) -> ChildResult:
        samples = child(mode=job["mode"]).samples
        return child("wrong-output" if n >= from_child else "ok", samples, mode=job["mode"])

    target = FakeTarget(answer)
    (record,) = run(make(op_times=True), target, store).records
    assert record["status"] == "wrong-output"
    assert record["latency"]["processes"] == target.count("timed") == 3
    assert record["verdict"]["grade"] is None
    assert target.count("op-times") == 0
    assert len(store.samples(record["record_id"])) == 3


def test_a_lowered_precision_is_not_timed(store: Store) -> None:
    wrong = child("wrong-output", mode="facts")
    assert wrong.error is not None
    lowered = dataclasses.replace(wrong, error={**wrong.error, "kind": "precision-lowered"})
    target = FakeTarget(lambda _job, _n: lowered)
    (record,) = run(make(), target, store).records
    assert target.jobs == [("m", "facts")]
    assert (record["status"], record["latency"]["median_ns"]) == ("wrong-output", None)


@pytest.mark.parametrize("samples", [b"", b"1234567", bytes(9)])
def test_samples_that_are_none_fail_the_cell(store: Store, samples: bytes) -> None:
    """A timed child that says ok but sent no whole samples ends its cell, without a traceback."""
    target = FakeTarget(lambda job, n: child(mode=job["mode"], samples=samples if n == 3 else None))
    outcome = run(make(), target, store)
    (record,) = outcome.records
    assert record["status"] == "error"
    assert record["error"] is not None
    assert record["error"]["kind"] == "no-samples"
    assert target.count("timed") == 2
    assert record["latency"]["processes"] == 1, "the first one counts"


def test_a_failed_timed_child_still_gets_its_operator_times(store: Store) -> None:
    def answer(job: JsonObject, n: int) -> ChildResult:
        return child("error" if n == 3 else "ok", mode=job["mode"])

    outcome = run(make(op_times=True), FakeTarget(answer), store)
    (record,) = outcome.records
    assert record["stop"] == "the timed process ended error"


def test_a_narrow_interval_stops_early(store: Store) -> None:
    sampling = dataclasses.replace(SAMPLING, processes_max=50, target_half_width=0.02)
    target = FakeTarget()
    outcome = run(make(sampling=sampling), target, store)
    assert target.count("timed") == 2
    assert outcome.records[0]["stop"] == "interval narrow"


def interrupt_at(number: int) -> Callable[[JsonObject, int], ChildResult]:
    def answer(job: JsonObject, n: int) -> ChildResult:
        if n == number:
            raise KeyboardInterrupt
        return child(mode=job["mode"])

    return answer


@pytest.mark.parametrize("number", range(1, 9))
def test_an_interrupted_run_goes_on_where_it_was(store: Store, number: int) -> None:
    """Only the open child is repeated, whichever it was; no interrupted one is stored."""
    plan = make("a", "b")
    first = FakeTarget(interrupt_at(number))
    outcome = run(plan, first, store)
    assert outcome.ending == "interrupted"
    assert len(outcome.records) == 2
    assert {record["status"] for record in outcome.records} <= {"ok", "interrupted"}
    stored = store.children(outcome.run_id)
    assert len(stored) == number - 1
    assert {kept.result.status for kept in stored} <= {"ok"}
    assert store.run(outcome.run_id).state == "interrupted"
    assert len(store.records([outcome.run_id])) == 2, "what was measured can be read"
    resumed: list[int] = []
    second = FakeTarget()
    again = run(plan, second, store, resumed=resumed)
    assert again.run_id == outcome.run_id
    assert resumed == ([number - 1] if number > 1 else [])
    assert first.jobs[:-1] + second.jobs == sorted_like_one_run(first, second)
    assert len(first.jobs) - 1 + len(second.jobs) == 8
    assert [record["latency"]["processes"] for record in again.records] == [3, 3]
    assert len(store.records([outcome.run_id])) == 2, "the records were replaced"
    assert store.run(outcome.run_id).state == "finished"
    third = FakeTarget()
    assert run(plan, third, store).run_id != outcome.run_id, "a finished plan is measured anew"
    assert len(third.jobs) == 8


def sorted_like_one_run(first: FakeTarget, second: FakeTarget) -> list[tuple[str, str]]:
    """The second run begins with the child that was open, and facts still come first."""
    if second.jobs:
        assert second.jobs[0] == first.jobs[-1]
    jobs = first.jobs[:-1] + second.jobs
    assert [mode for _, mode in jobs] == ["facts"] * 2 + ["timed"] * 6
    return jobs


def test_a_crash_before_an_interrupt_is_tried_again(store: Store) -> None:
    def answer(job: JsonObject, n: int) -> ChildResult:
        if n == 3:
            raise KeyboardInterrupt
        return child("crashed" if n == 2 else "ok", mode=job["mode"])

    plan = make()
    assert run(plan, FakeTarget(answer), store).ending == "interrupted"
    target = FakeTarget()
    again = run(plan, target, store)
    assert target.jobs == [("m", "timed")] * 3
    assert again.records[0]["status"] == "ok"


def test_fresh_does_not_resume(store: Store) -> None:
    plan = make()
    first = run(plan, FakeTarget(interrupt_at(3)), store)
    target = FakeTarget()
    assert run(plan, target, store, fresh=True).run_id != first.run_id
    assert len(target.jobs) == 4


def test_another_plan_does_not_resume(store: Store) -> None:
    first = run(make("a"), FakeTarget(interrupt_at(3)), store)
    assert run(make("b"), FakeTarget(), store).run_id != first.run_id


class Clock:
    """Time that passes only when a child runs, a second each."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def child(self, job: JsonObject, _: int) -> ChildResult:
        self.now += 1
        return child(mode=job["mode"])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("onnxbench.session.time", made)
    return made


def test_a_spent_budget_starts_nothing_more(store: Store, clock: Clock) -> None:
    target = FakeTarget(clock.child)
    outcome = run(make(), target, store, bounds=Bounds(budget_s=2.5, started=0.0))
    assert outcome.ending == "budget"
    assert target.jobs == [("m", "facts"), ("m", "timed"), ("m", "timed")]
    (record,) = outcome.records
    assert (record["status"], record["stop"]) == ("ok", "budget")
    assert store.run(outcome.run_id).state == "finished"


def test_the_timeout_kills_and_blames_no_cell(store: Store, clock: Clock) -> None:
    def answer(job: JsonObject, n: int) -> ChildResult:
        result = clock.child(job, n)
        return child("timeout-hard", mode=job["mode"]) if clock.now > 2.5 else result

    target = FakeTarget(answer)
    outcome = run(make(), target, store, bounds=Bounds(timeout_s=2.5, started=0.0))
    assert outcome.ending == "timeout"
    assert [limits.life_s for limits in target.limits] == [2.5, 1.5, 0.5]
    assert len(store.children(outcome.run_id)) == 2, "the killed one will run again"
    (record,) = outcome.records
    assert (record["status"], record["stop"]) == ("ok", "timeout")
    assert store.run(outcome.run_id).state == "interrupted"


def test_a_run_that_ends_on_time_is_finished(store: Store, clock: Clock) -> None:
    outcome = run(make(), FakeTarget(clock.child), store, bounds=Bounds(timeout_s=3.5, started=0.0))
    assert outcome.ending == "finished"


def test_progress_counts_to_its_end(store: Store) -> None:
    watcher = Watcher()
    run(make("a", "b", op_times=True), FakeTarget(), store, watcher=watcher)
    assert [done for _, done, _, _ in watcher.said] == list(range(10))
    assert watcher.done[-1] == (10, 10)
    assert all(remaining is not None and remaining >= 0 for *_, remaining in watcher.said)


def test_records_keep_what_was_guessed_and_made(store: Store) -> None:
    outcome = run(make(), FakeTarget(), store)
    (record,) = outcome.records
    assert record["inputs"]["tensors"][0]["name"] == "x"
    assert record["tool"] == {"version": "0", "worker": ""}
    assert record["run_id"] == outcome.run_id
    assert store.record(record["record_id"])["latency"] == record["latency"]


def test_without_a_good_process_no_operator_is_timed(store: Store) -> None:
    target = FakeTarget(lambda job, _: child(mode=job["mode"], samples=b"1234567"))
    run(make(op_times=True), target, store)
    assert target.jobs == [("m", "facts"), ("m", "timed")]
