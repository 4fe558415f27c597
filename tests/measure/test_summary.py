"""From children to a record."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from onnxbench.measure.children import SEVERITY
from onnxbench.measure.stopping import INTERVAL_NARROW
from onnxbench.measure.summary import FORMULA, summarize
from onnxbench.types import Record, Sampling, Status, canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.types import Cell, Child, ErrorDoc

    Make = Callable[..., Child]

WRONG: ErrorDoc = {"kind": "wrong-output", "message": "off", "hint": "", "phase": "outputs"}
HOSTILE = "\x1b[31mred\u202e"


def record_of(cell: Cell, *children: Child) -> Record:
    return summarize(cell, children, Sampling.quick(), INTERVAL_NARROW)


@pytest.fixture
def five(facts: Make, timed: Make) -> list[Child]:
    return [facts(), *(timed(block) for block in range(1, 6))]


def test_a_clean_cell(cell: Cell, five: list[Child]) -> None:
    record = record_of(cell, *five)
    assert (record["status"], record["error"]) == ("ok", None)
    assert record["cell"] == cell.document()
    assert record["cell_id"] == cell.cell_id
    assert record["latency"]["median_ns"] == pytest.approx(1_000_000)
    assert record["throughput_per_s"] == pytest.approx(4 / 1e-3)
    assert "throughput_reason" not in record
    assert record["phases_ns"] == {"import": 5, "load": 10, "first_run": 3, "warmup": 2}
    assert record["memory"]["peak_rss_bytes"] == 1003
    assert record["memory"]["model_rss_bytes"] == 103
    assert record["memory"]["device_reason"] == "the device is the CPU"
    assert record["placement"][0]["provider"] == "CPU"
    assert record["precision_effective"] == "float32"
    assert record["parity"]["passed"] is True
    assert record["environment"] == {"host": "h"}
    assert record["verdict"] == {"grade": "stable", "reasons": [], "advice": ""}
    assert record["sampling"] == {**dataclasses.asdict(Sampling.quick()), "formula": FORMULA}
    assert record["stop"] == INTERVAL_NARROW
    assert record["notes"] == ["inputs from a generator"]


def unexplained_nulls(value: Any, path: str = "") -> list[str]:
    """Return the nulls of a document that have no reason beside them."""
    if not isinstance(value, dict):
        return []
    stem = {key: key.removesuffix("_ns").removesuffix("_per_s").removesuffix("_bytes")
            for key in value}  # fmt: skip
    found = [
        f"{path}.{key}"
        for key, item in value.items()
        if item is None and not (value.get("reason") or value.get(f"{stem[key]}_reason"))
    ]
    return found + [
        null for key in value for null in unexplained_nulls(value[key], f"{path}.{key}")
    ]


OF_THE_CELL = {".error", ".cell.model.weights", ".cell.batch", ".cell.label",
               ".sampling.iterations", ".sampling.target_half_width"}  # fmt: skip
"""Nulls that say "none", not "unknown"."""


@pytest.mark.parametrize("count", [0, 1, 2, 6])
def test_every_unknown_has_a_reason(cell: Cell, five: list[Child], count: int) -> None:
    record = record_of(dataclasses.replace(cell, batch=None), *five[:count])
    notes = " ".join(record["notes"])
    nulls = set(unexplained_nulls(record)) - OF_THE_CELL - {".verdict.grade", ".error.phase"}
    assert {null for null in nulls if null.split(".")[1] not in notes} == set()
    assert record["verdict"]["grade"] or record["verdict"]["reasons"]


def test_the_record_is_json_and_recomputes_to_itself(cell: Cell, five: list[Child]) -> None:
    record = record_of(cell, *five)
    assert json.loads(canonical_json(record)) == record
    assert record_of(cell, *five) == record


def test_record_id_depends_on_cell_environment_and_samples(
    cell: Cell, five: list[Child], facts: Make, timed: Make
) -> None:
    other_cell = dataclasses.replace(cell, threads=2)
    ids = {
        record_of(cell, *five)["record_id"],
        record_of(other_cell, *five)["record_id"],
        record_of(cell, facts(environment={"host": "g"}), *five[1:])["record_id"],
        record_of(cell, *five[:-1], timed(5, [1_000_000] * 99 + [1_000_001]))["record_id"],
    }
    assert len(ids) == 4


def test_two_runs_that_fail_alike_are_two_records(cell: Cell, facts: Make) -> None:
    first = facts("oom")
    later = dataclasses.replace(
        first, result=dataclasses.replace(first.result, started="2026-11-23T00:00:00Z")
    )
    assert record_of(cell, first)["record_id"] != record_of(cell, later)["record_id"]


def test_failed_facts_decide_the_status(cell: Cell, facts: Make) -> None:
    record = record_of(cell, facts("fallback"))
    assert record["status"] == "fallback"
    assert record["error"] is not None
    assert record["latency"]["reason"] == "not timed: fallback: ended fallback"
    assert record["throughput_per_s"] is None
    assert record["throughput_reason"] == record["latency"]["reason"]
    assert record["verdict"]["grade"] is None
    assert "fallback" in record["verdict"]["reasons"][0]
    assert record["placement"][0]["provider"] == "CPU"


def test_a_failed_child_makes_the_cell_its_status_and_keeps_the_rest(
    cell: Cell, five: list[Child], timed: Make
) -> None:
    record = record_of(cell, *five[:-1], timed(5, status="crashed"))
    assert record["status"] == "crashed"
    assert record["error"] is not None
    assert record["error"]["kind"] == "SIGSEGV"
    assert record["latency"]["processes"] == 4
    assert record["verdict"]["grade"] == "unreliable"
    assert record["verdict"]["advice"].startswith("Mend what made processes fail")
    assert "timed process 5 ended crashed (SIGSEGV: ended crashed)" in record["notes"]


def test_a_retry_replaces_a_failed_child_and_both_are_kept(
    cell: Cell, five: list[Child], timed: Make
) -> None:
    record = record_of(cell, *five[:-1], timed(5, status="crashed"), five[-1])
    assert record["status"] == "ok"
    assert record["latency"]["processes"] == 5
    assert record["notes"][0] == (
        "timed process 5 ended crashed (SIGSEGV: ended crashed); a retry took its place"
    )


def test_a_second_good_attempt_of_a_block_does_not_count(cell: Cell, five: list[Child]) -> None:
    assert record_of(cell, *five, five[-1])["latency"]["processes"] == 5


def test_memory_is_the_median_with_the_processes_own_reason(
    cell: Cell, facts: Make, timed: Make
) -> None:
    peaks = [
        {"peak_rss_bytes": peak, "device_bytes": 9, "reason": "no reset"} for peak in (9, 1, 2)
    ]
    record = record_of(cell, facts(), *(timed(b, memory=m) for b, m in enumerate(peaks)))
    assert record["memory"]["peak_rss_bytes"] == 2
    assert record["memory"]["model_rss_bytes"] is None
    assert record["memory"]["reason"].startswith("no reset; not reported: model_rss_bytes")
    assert record["memory"]["device_bytes"] == 9
    assert "device_reason" not in record["memory"]


def test_the_worst_child_names_the_cell(cell: Cell, facts: Make, timed: Make) -> None:
    children = [timed(1, status="oom"), timed(2, status="throttled"), timed(3)]
    assert record_of(cell, facts(), *children)["status"] == "oom"


@pytest.mark.parametrize("then", ["ok", "crashed"])
def test_an_answer_that_turns_wrong_while_timed_is_in_the_record(
    cell: Cell, facts: Make, timed: Make, then: str
) -> None:
    parity = {"reference": "onnxruntime-cpu", "passed": False, "reason": "off by 1"}
    wrong = timed(1, parity=parity)
    result = dataclasses.replace(wrong.result, status="wrong-output", error=WRONG)
    wrong = dataclasses.replace(wrong, result=result)
    record = record_of(cell, facts(), wrong, timed(2, status=then))
    assert record["status"] == ("wrong-output" if then == "ok" else then)
    assert record["parity"] == parity
    assert record["latency"]["processes"] == (2 if then == "ok" else 1)
    assert record["verdict"]["grade"] is None
    assert record["verdict"]["reasons"][0] == "wrong-output: off"


def test_severity_knows_every_status() -> None:
    assert sorted(SEVERITY) == sorted(Status.__args__)  # type: ignore[attr-defined]


def test_a_cell_that_was_never_timed(cell: Cell, facts: Make) -> None:
    record = record_of(cell, facts())
    assert record["status"] == "interrupted"
    assert record["latency"]["median_ns"] is None
    assert record["parity"]["passed"] is True


@pytest.mark.parametrize("samples", [b"", b"1234567"])
def test_a_timed_child_without_whole_samples_is_an_error(
    cell: Cell, five: list[Child], samples: bytes
) -> None:
    result = dataclasses.replace(five[-1].result, samples=samples)
    record = record_of(cell, *five[:-1], dataclasses.replace(five[-1], result=result))
    assert record["status"] == "error"
    assert record["error"] is not None
    assert record["error"]["kind"] == "no-samples"


def test_op_times_come_from_their_own_child_and_never_decide(
    cell: Cell, five: list[Child], facts: Make
) -> None:
    row = {"name": "n", "op": "Conv", "provider": "CPU", "ns": 5, "share": 1.0, "calls": 1}
    table = dataclasses.replace(facts(op_times=[row]), mode="op-times")
    assert record_of(cell, *five, table)["op_times"] == [row]
    failed = dataclasses.replace(facts("error"), mode="op-times")
    record = record_of(cell, *five, failed)
    assert record["status"] == "ok"
    assert "op-times process ended error" in record["notes"][0]


def test_outputs_that_change_are_noted(cell: Cell, facts: Make, timed: Make) -> None:
    within = record_of(cell, facts(), timed(1, outputs_sha256_after="bb"), timed(2))
    assert "in 1 of 3 processes" in within["notes"][0]
    between = record_of(
        cell, facts(), timed(1, outputs_sha256="bb", outputs_sha256_after="bb"), timed(2)
    )
    assert "2 different outputs between processes" in between["notes"][0]
    nan = record_of(cell, facts(parity={"passed": True, "nonfinite": 3}), timed(1))
    assert "nonfinite-output: 3 output elements are NaN or infinite" in nan["notes"]


def test_spikes_and_blind_spots_are_noted(cell: Cell, facts: Make, timed: Make) -> None:
    spiky = timed(1, [1_000] * 99 + [50_000])
    assert any(note.startswith("outliers: 1 of 100") for note in record_of(cell, spiky)["notes"])
    blind = timed(1, load={"steal_share": None, "foreign_cores": None, "reason": "no /proc/stat"})
    notes = record_of(cell, facts(), blind)["notes"]
    assert "not observed: foreign_cores, steal_share (no /proc/stat)" in notes
    slow = timed(1, warmup={"steady": False, "runs": 4})
    assert any("steady state" in note for note in record_of(cell, facts(), slow)["notes"])


def test_a_refused_model_gives_one_note_for_its_gaps(cell: Cell, facts: Make) -> None:
    refused = dataclasses.replace(facts("refused-input").result, measurement=None)
    record = record_of(cell, dataclasses.replace(facts(), result=refused))
    assert record["status"] == "refused-input"
    gaps = [f"phases_ns.{phase}" for phase in ("import", "load", "first_run", "warmup")]
    gaps += ["placement", "precision_effective"]
    assert record["notes"][1:] == [f"reported by no process: {', '.join(gaps)}"]


def test_foreign_text_is_cleaned(cell: Cell, facts: Make, timed: Make) -> None:
    crashed = timed(1, status="error")
    assert crashed.result.error is not None
    error: Any = {**crashed.result.error, "message": HOSTILE, "hint": HOSTILE}
    result = dataclasses.replace(crashed.result, error=error)
    record = record_of(
        cell, facts(notes=[HOSTILE]), dataclasses.replace(crashed, result=result), timed(2)
    )
    text = json.dumps([record["notes"], record["error"], record["latency"]], ensure_ascii=False)
    assert "\x1b" not in text
    assert "\\u001b" not in text
    assert "\u202e" not in text


def test_a_batch_that_is_not_known_gives_no_throughput(cell: Cell, five: list[Child]) -> None:
    record = record_of(dataclasses.replace(cell, batch=None), *five)
    assert record["throughput_per_s"] is None
    assert "batch" in record["throughput_reason"]
