"""Who is asked what is right, and when. The children are made up; the gates themselves are real
in tests/worker/test_judging.py and with real runtimes in tests/runtimes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from onnxbench.oracle import Oracle, declared_precision, depth, narrowest_precision, rounding_depth
from onnxbench.session import execute
from onnxbench.store import Store
from onnxbench.types import Artifact
from tests.test_session import FakeTarget, Watcher, child, make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onnxbench.plan import Plan
    from onnxbench.types import ChildResult, JsonObject, PlannedCell

ORT = Oracle("onnxruntime-cpu", "cpu", "ort:CPU", "d 1", "python-with-ort")
EVALUATOR = Oracle("onnx-reference", "", "reference:REFERENCE", "", "python-here")


class Targets:
    """One fake target per interpreter; remembers every job with the interpreter that it ran in."""

    def __init__(self, answer: Callable[[JsonObject], ChildResult] | None = None) -> None:
        self.jobs: list[tuple[str, JsonObject]] = []
        self._answer = answer or (lambda job: child(mode=job["mode"]))

    def __call__(self, interpreter: str) -> Any:
        def answer(job: JsonObject, _: int) -> ChildResult:
            self.jobs.append((interpreter, job))
            return self._answer(job)

        return FakeTarget(answer)

    def of(self, mode: str) -> list[tuple[str, JsonObject]]:
        return [(where, job) for where, job in self.jobs if job["mode"] == mode]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "results.db") as opened:
        yield opened


def with_cells(plan: Plan, **changes: Any) -> Plan:
    """Return ``plan`` with fields of its planned cells, or of their cells, replaced."""

    def changed(planned: PlannedCell) -> PlannedCell:
        of_cell = {key: value for key, value in changes.items() if hasattr(planned.cell, key)}
        others = {key: value for key, value in changes.items() if key not in of_cell}
        cell = dataclasses.replace(planned.cell, **of_cell)
        return dataclasses.replace(planned, cell=cell, **others)

    return dataclasses.replace(plan, cells=tuple(map(changed, plan.cells)))


def run(plan: Plan, targets: Targets, store: Store, *oracles: Oracle) -> Any:
    return execute(
        plan, target_for=targets, builds=Path("builds"), store=store, host_id="host",
        tool={"version": "0"}, observer=Watcher(), oracles=oracles or (ORT, EVALUATOR),
    )  # fmt: skip


def test_the_oracle_is_asked_once_for_all_runtimes_of_a_workload(store: Store) -> None:
    one = with_cells(make("m"), runtime="openvino", interpreter="python-with-openvino")
    two = with_cells(make("m"), runtime="ncnn", interpreter="python-with-ncnn")
    targets = Targets()
    run(dataclasses.replace(one, cells=one.cells + two.cells), targets, store)
    [(where, asked)] = targets.of("reference")
    assert (where, asked["adapter"], asked["options"]) == ("python-with-ort", "ort:CPU", {})
    facts = targets.of("facts")
    assert {where for where, _ in facts} == {"python-with-openvino", "python-with-ncnn"}
    assert {job["reference"]["path"] for _, job in facts} == {asked["reference"]["path"]}
    assert all(job["reference"]["name"] == "onnxruntime-cpu" for _, job in facts)


def test_the_oracle_itself_is_compared_with_nothing_unless_options_change_it(store: Store) -> None:
    targets = Targets()
    run(with_cells(make("m"), runtime_build="d 1"), targets, store)
    assert targets.of("reference") == []
    other = with_cells(make("n"), runtime_build="d 1", options={"enable_mem_reuse": "0"})
    run(other, targets, store)
    assert len(targets.of("reference")) == 1


def test_the_oracle_at_another_boundary_is_compared(store: Store) -> None:
    targets = Targets()
    run(with_cells(make("m"), runtime_build="d 1", boundary="device"), targets, store)
    assert len(targets.of("reference")) == 1


def test_timed_processes_are_compared_too_under_the_precision_that_was_found(store: Store) -> None:
    def answer(job: JsonObject) -> ChildResult:
        result = child(mode=job["mode"])
        assert result.measurement is not None
        if job["mode"] == "facts":
            result.measurement["precision_effective"] = "bfloat16"
        return result

    for precision, dtype in (("model", "float32"), ("native", "bfloat16")):
        targets = Targets(answer)
        run(with_cells(make("m"), runtime="openvino", precision=precision), targets, store)
        timed = [job["reference"]["dtype"] for _, job in targets.of("timed")]
        assert timed == [dtype] * 3


def test_the_evaluator_is_asked_where_the_runtime_cannot_answer(store: Store) -> None:
    def answer(job: JsonObject) -> ChildResult:
        failed = job["adapter"] == "ort:CPU"
        return child("unsupported" if failed else "ok", mode=job["mode"])

    targets = Targets(answer)
    run(with_cells(make("m"), runtime="openvino"), targets, store)
    assert [where for where, _ in targets.of("reference")] == ["python-with-ort", "python-here"]
    [(_, facts)] = targets.of("facts")
    assert facts["reference"]["name"] == "onnx-reference"


def parity(result: ChildResult) -> ChildResult:
    assert result.measurement is not None
    result.measurement["parity"] = {"reference": "self", "passed": True}
    return result


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"parity": False}, "--no-parity"),
        ({"weights": "light"}, "placeholder weights"),
        ({}, "onnxruntime-cpu: made up; onnx-reference: made up"),
    ],
)
def test_a_row_that_nobody_judged_says_why(store: Store, changes: Any, says: str) -> None:
    def answer(job: JsonObject) -> ChildResult:
        failed = job["mode"] == "reference"
        return parity(child("unsupported" if failed else "ok", mode=job["mode"]))

    outcome = run(with_cells(make("m"), runtime="openvino", **changes), Targets(answer), store)
    found = outcome.records[0]["parity"]
    assert (found["reference"], found["passed"]) == (None, None)
    assert says in found["reason"]


def test_a_conversion_that_fails_ends_its_cell_and_no_other(store: Store) -> None:
    def answer(job: JsonObject) -> ChildResult:
        return child("crashed" if job["mode"] == "convert" else "ok", mode=job["mode"])

    one = with_cells(make("m"), runtime="mnn", converter=1)
    two = with_cells(make("m"), runtime="openvino")
    targets = Targets(answer)
    outcome = run(dataclasses.replace(one, cells=one.cells + two.cells), targets, store)
    assert [record["status"] for record in outcome.records] == ["crashed", "ok"]
    assert len(targets.of("convert")) == 2, "a crash is tried once more"
    assert all(job["converted"] is None for _, job in targets.of("timed"))
    assert outcome.records[0]["conversion"]["reason"]


def test_what_is_converted_is_kept_under_what_decides_it() -> None:
    [planned] = with_cells(make("m"), converter=1, runtime_build="ncnn 1").cells
    same = with_cells(make("m"), converter=1, runtime_build="ncnn 1", threads=7).cells[0]
    assert same.build_key == planned.build_key
    changes: list[dict[str, Any]] = [
        {"converter": 2}, {"runtime_build": "ncnn 2"}, {"precision": "native"},
        {"options": {"a": "b"}}, {"shapes": {"x": (2, 4)}}, {"sha256": "other"},
    ]  # fmt: skip
    for change in changes:
        other = with_cells(make("m"), **{"converter": 1, "runtime_build": "ncnn 1", **change})
        assert other.cells[0].build_key != planned.build_key, change


def artifact(**operators: int) -> Artifact:
    return Artifact("", (), 10, {"": 17}, "", (), (), dict(operators), 1, 0)


@pytest.mark.parametrize(
    ("macs", "operators", "declared", "narrowest"),
    [
        ({"fp32": 100}, {"Conv": 1}, "float32", "float32"),
        ({"fp16": 99, "fp32": 1}, {"Conv": 1}, "float16", "float16"),
        ({"fp16": 30, "fp32": 70}, {"Conv": 1}, "float32", "float16"),
        ({"fp16": 1, "fp32": 999}, {"Conv": 1}, "float32", "float32"),
        ({"int4×fp16": 100}, {"MatMul": 1}, "float16", "float16"),
        ({"fp32": 100}, {"Conv": 2, "QuantizeLinear": 1, "DequantizeLinear": 1}, "float32", "int8"),
        ({"fp32": 100}, {"Conv": 1, "DequantizeLinear": 2}, "int8", "int8"),
        ({}, {"Relu": 1}, "float32", "float32"),
        (None, {"Conv": 1}, "float32", "float32"),
    ],
)
def test_the_types_that_a_graph_declares(
    macs: Any, operators: Any, declared: str, narrowest: str
) -> None:
    static = None if macs is None else {"macs_by_precision": macs}
    assert declared_precision(artifact(**operators), static) == declared
    assert narrowest_precision(artifact(**operators), static) == narrowest


def test_depth_counts_layers_that_multiply() -> None:
    assert depth(artifact(Conv=53, Gemm=1, Relu=49, Add=16)) == 54


def test_a_float_network_with_one_rounding_is_judged_by_that_one() -> None:
    one = artifact(Conv=50, QuantizeLinear=1, DequantizeLinear=1)
    assert rounding_depth(one, "int8") == 2
    assert rounding_depth(one, "float32") == 50
    assert rounding_depth(artifact(QLinearConv=50), "int8") == 50
    assert rounding_depth(artifact(Conv=5, QuantizeLinear=9, DequantizeLinear=9), "int8") == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "native"},
        {"boundary": "device"},
        {"options": {"a": "b"}},
        {"runtime": "other"},
    ],
)
def test_only_the_oracle_s_own_way_is_compared_with_nothing(store: Store, changes: Any) -> None:
    own = with_cells(make("m"), runtime=ORT.runtime, runtime_build=ORT.build)
    asked = Targets()
    run(own, asked, store)
    assert asked.of("reference") == []
    other = Targets()
    run(with_cells(own, **changes), other, store)
    assert len(other.of("reference")) == 1


def test_an_oracle_that_crashes_is_asked_once_more(store: Store) -> None:
    crashed = iter(["crashed"])

    def answer(job: JsonObject) -> ChildResult:
        is_first = job["mode"] == "reference" and next(crashed, "")
        return child("crashed" if is_first else "ok", mode=job["mode"])

    targets = Targets(answer)
    run(with_cells(make("m"), runtime="openvino"), targets, store)
    assert [where for where, _ in targets.of("reference")] == [ORT.interpreter] * 2
