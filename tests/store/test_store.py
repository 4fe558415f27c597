"""A store gives back what was put in."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxbench.errors import StoreError, UsageError
from onnxbench.store import Store, rows
from onnxbench.types import Child, ChildResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
RESULTS = st.builds(
    ChildResult,
    status=st.sampled_from(["ok", "crashed", "oom"]),
    error=st.none() | st.fixed_dictionaries({"kind": st.text(), "message": st.text()}),
    measurement=st.none() | st.dictionaries(st.text(), JSON, max_size=3),
    samples=st.binary(max_size=200),
    wall_ns=st.integers(0, 10**15),
    exit_code=st.none() | st.integers(-64, 255),
    signal=st.none() | st.just("SIGSEGV"),
    log=st.text(),
    started=st.just("2026-11-22T08:15:30+00:00"),
)


def test_the_columns_of_a_child_hold_its_whole_result() -> None:
    named = {field.name for field in fields(ChildResult)}
    assert named == {*rows._RESULT_TYPES, "samples"}


@given(
    result=RESULTS,
    block=st.integers(0, 1 << 40),
    mode=st.sampled_from(get_args(get_type_hints(Child)["mode"])),
)
def test_any_child_survives_its_row(result: ChildResult, block: int, mode: Any) -> None:
    child = Child("c" * 16, block, mode, result)
    assert rows.decode("child", rows.child_row("id", "run", child)) == child


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(results=st.lists(RESULTS, max_size=4))
def test_children_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, results: list[ChildResult]
) -> None:
    path = tmp_path_factory.mktemp("store") / "results.db"
    children = [Child(f"{n % 2}" * 16, n, "timed", result) for n, result in enumerate(results)]
    with Store.open(path) as store:
        run_id = store.begin_run(plan_key="p", host_id="h", plan={}, tool={})
        for child in children:
            store.append_child(run_id, child)
    with Store.open(path, read_only=True) as store:
        assert store.children(run_id) == children
        assert store.children(run_id, "1" * 16) == children[1::2]
        assert store.bad == []


def test_runs_tell_what_they_hold(path: Path, fill: Any, begin: Any) -> None:
    with Store.open(path) as store:
        first, second = fill(store), begin(store, "other")
        one, two = store.runs()
    assert (one.run_id, one.cells, one.children) == (first, 2, 6)
    assert (two.run_id, two.cells, two.children) == (second, 0, 0)
    assert (one.state, one.plan_key, one.host_id) == ("open", "plan", "host")
    assert (one.plan, one.tool) == ({"seed": 1}, {"version": "0.1.0"})


def test_a_run_is_found_by_prefix_and_as_latest(path: Path, fill: Any, begin: Any) -> None:
    with Store.open(path) as store:
        first, second = fill(store), begin(store)
        assert store.run(first).run_id == first
        assert store.run("latest").run_id == second
        with pytest.raises(UsageError, match="more than one run") as several:
            store.run(first[:4])
        with pytest.raises(UsageError, match="no run") as none:
            store.run(first[:-1] + "?")
    assert first in several.value.hint
    assert first[:15] in none.value.hint


def test_an_empty_store_has_no_latest_run(path: Path) -> None:
    with Store.open(path) as store, pytest.raises(UsageError, match="no run"):
        store.run("latest")


def test_only_the_newest_run_of_a_plan_resumes_and_only_if_unfinished(
    path: Path, begin: Any
) -> None:
    with Store.open(path) as store:
        assert store.unfinished_run("plan") is None
        first = begin(store)
        begin(store, "other plan")
        assert store.unfinished_run("plan") == first
        store.set_run_state(first, "interrupted")
        assert store.unfinished_run("plan") == first
        second = begin(store)
        assert store.unfinished_run("plan") == second
        store.set_run_state(second, "finished")
        assert store.unfinished_run("plan") is None  # and not the older, interrupted one
        assert store.run(first).state == "interrupted"


def test_a_record_replaces_the_one_of_its_run_and_cell(
    path: Path, fill: Any, make_record: Any
) -> None:
    with Store.open(path) as store:
        run_id = fill(store)
        old, other = store.records()
        new = make_record(run_id, "0" * 16, record_id="feed" * 4, status="interrupted")
        store.put_record(run_id, new)
        assert store.records() == [new, other]  # in its old place
        assert store.record("feed") == new
        with pytest.raises(UsageError):
            store.record(old["record_id"])


def test_records_are_chosen_by_run(path: Path, fill: Any) -> None:
    with Store.open(path) as store:
        first, second = fill(store), fill(store)
        assert [r["run_id"] for r in store.records()] == [first] * 2 + [second] * 2
        assert [r["run_id"] for r in store.records([second])] == [second] * 2
        assert store.records([]) == []


def test_a_record_id_that_two_runs_share_means_the_newest(
    path: Path, begin: Any, make_record: Any
) -> None:
    with Store.open(path) as store:
        for _ in range(2):
            run_id = begin(store)
            store.put_record(run_id, make_record(run_id, record_id="ab" * 8))
        assert store.record("ab")["run_id"] == run_id


def test_samples_are_those_of_the_good_timed_children(
    path: Path, begin: Any, make_child: Any, make_record: Any
) -> None:
    with Store.open(path) as store:
        run_id = begin(store)
        store.append_child(run_id, make_child(block=0))
        store.append_child(run_id, make_child(block=1, status="crashed", samples=b""))
        store.append_child(run_id, make_child(block=2))
        store.put_record(run_id, make_record(run_id))
        (first, one), (second, two) = store.samples(make_record(run_id)["record_id"])
    assert (first, second) == (0, 2)
    assert one.tolist() == list(range(1_000_000, 1_000_040))
    assert two[0] == 1_000_014


def test_skips_replace_those_of_the_run(path: Path, fill: Any) -> None:
    with Store.open(path) as store:
        run_id = fill(store)
        assert store.skips(run_id) == [{"model": "m", "runtime": "cuda", "reason": "no GPU"}]
        store.put_skips(run_id, [])
        assert store.skips(run_id) == []


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_what_is_not_a_number_is_refused_and_nothing_is_stored(
    path: Path, begin: Any, make_record: Any, make_child: Any, value: float
) -> None:
    with Store.open(path) as store:
        run_id = begin(store)
        with pytest.raises(StoreError, match="not JSON compliant"):
            store.put_record(run_id, make_record(run_id, derived={"x": value}))
        with pytest.raises(StoreError, match="not JSON compliant"):
            store.append_child(run_id, make_child(measurement={"x": value}))
        assert store.records() == []
        assert store.children(run_id) == []
        store.append_child(run_id, make_child())  # and it goes on


def test_a_child_of_no_run_is_refused(path: Path, make_child: Any) -> None:
    with Store.open(path) as store:
        with pytest.raises(StoreError) as refusal:
            store.append_child("20261122-000000-000000", make_child())
        assert "run" in refusal.value.hint
        with pytest.raises(StoreError, match="no sound run"):
            store.set_run_state("20261122-000000-000000", "finished")


def test_a_closed_store_is_one_file(filled: Path) -> None:
    assert [file.name for file in filled.parent.iterdir()] == [filled.name]


def test_a_read_only_store_is_not_written(filled: Path, begin: Callable[..., str]) -> None:
    before = filled.read_bytes()
    with Store.open(filled, read_only=True) as store:
        with pytest.raises(StoreError) as refusal:
            begin(store)
        assert "readonly" in str(refusal.value)
        assert len(store.records()) == 2
    assert filled.read_bytes() == before
