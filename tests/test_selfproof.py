"""What the self-proof claims must be able to fail, and what it remembers it must find again."""

from __future__ import annotations

import array
import json
from pathlib import Path

import pytest

from onnxbench import selfproof
from onnxbench.errors import WorkerError
from onnxbench.targets.local import LocalTarget
from onnxbench.types import ChildResult, JsonObject, Limits, Status


class FakeTarget:
    """Answers with given samples, after one run of warm-up, and an engine's own clock."""

    name = "fake"

    def __init__(self, samples: list[int], own: list[int], status: Status = "ok") -> None:
        self._samples = samples
        self._own = own
        self._status: Status = status

    def run_worker(self, request: JsonObject, limits: Limits) -> ChildResult:
        return ChildResult(
            self._status,
            None,
            {
                "mode": "timed",
                "status": self._status,
                "warmup": {"runs": 1},
                "facts": {"own_ns": self._own},
            },
            array.array("q", self._samples).tobytes(),
            1,
            0,
            None,
            "",
            "2026-11-22T00:00:00+00:00",
        )


@pytest.mark.parametrize(("sample_ns", "holds"), [(60, True), (200, True), (201, False)])
def test_null_engine(sample_ns: int, holds: bool) -> None:
    proof = selfproof.null_engine(FakeTarget([sample_ns] * 9, []))
    assert proof.holds is holds
    assert dict(proof.figures)["median_ns"] == sample_ns


@pytest.mark.parametrize(
    ("own_ns", "bias_ns", "holds"),
    [
        (1_000_000, 900, True),
        (1_000_000, 1_100, False),
        (1_000_000, -1_100, False),
        (50_000_000, 40_000, True),
        (50_000_000, 60_000, False),
    ],
)
def test_sleep_engine(own_ns: int, bias_ns: int, holds: bool) -> None:
    own = [own_ns + 7 * i for i in range(9)]
    target = FakeTarget([o + bias_ns for o in own], [5, 5, 5, *own, 5])
    proof = selfproof.sleep_engine(target, own_ns / 1e9)
    assert proof.holds is holds
    assert dict(proof.figures)["bias_ns"] == bias_ns


def test_a_a() -> None:
    same = [(1.0, 1.01), (1.02, 1.0), (0.99, 1.0), (1.0, 0.99), (1.01, 1.0)]
    assert selfproof.a_a(same).holds
    assert not selfproof.a_a([(a, 1.05 * b) for a, b in same]).holds
    with pytest.raises(WorkerError):
        selfproof.a_a(same[:1])


def test_a_broken_worker_is_told() -> None:
    with pytest.raises(WorkerError, match="crashed") as caught:
        selfproof.null_engine(FakeTarget([], [], "crashed"))
    assert caught.value.hint


def test_one_failed_proof_fails_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXBENCH_CACHE", str(tmp_path / "cache"))
    assert selfproof.recall() is None
    good = selfproof.null_engine(FakeTarget([60] * 9, []))
    bad = selfproof.null_engine(FakeTarget([600] * 9, []))
    assert selfproof.document([good])["holds"] is True
    found = selfproof.document([good, bad])
    assert found["holds"] is False
    selfproof.remember(found)
    assert selfproof.recall() == found


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', json.dumps({"version": "0.0.0"})])
def test_a_memory_of_something_else_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("ONNXBENCH_CACHE", str(tmp_path))
    (tmp_path / "self-proof.json").write_text(text)
    assert selfproof.recall() is None


def test_on_real_children(tmp_path: Path) -> None:
    """The figures come from the real loop; how good they are depends on the host."""
    target = LocalTarget(cache=tmp_path)
    null = selfproof.null_engine(target, 1000)
    assert 0 < dict(null.figures)["median_ns"] < 1_000_000
    sleep = selfproof.sleep_engine(target, 0.001, 10)
    assert dict(sleep.figures)["own_median_ns"] >= 1_000_000
    assert dict(sleep.figures)["bias_ns"] >= 0
