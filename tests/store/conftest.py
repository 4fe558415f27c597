"""Plausible children and records, and stores that hold some."""

from __future__ import annotations

import array
from typing import TYPE_CHECKING, Any, Protocol, cast

import pytest

from onnxbench.store import Store
from onnxbench.types import Child, ChildResult, Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class MakeChild(Protocol):
    """Makes a good timed child, told apart by ``block``; ``changes`` go into its result."""

    def __call__(self, cell_id: str = ..., block: int = ..., **changes: object) -> Child: ...


class MakeRecord(Protocol):
    """Makes a record of a run and cell; ``changes`` replace fields."""

    def __call__(self, run_id: str, cell_id: str = ..., **changes: object) -> Record: ...


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store is or will be, alone in its folder."""
    return tmp_path / "reports" / "results.db"


@pytest.fixture
def make_child() -> MakeChild:
    def make(cell_id: str = "c" * 16, block: int = 0, **changes: object) -> Child:
        values = array.array("q", (1_000_000 + 7 * block + i for i in range(40)))
        result: dict[str, Any] = {
            "status": "ok",
            "error": None,
            "measurement": {"mode": "timed", "status": "ok", "samples": 40},
            "samples": values.tobytes(),
            "wall_ns": 2_000_000_000 + block,
            "exit_code": 0,
            "signal": None,
            "log": "",
            "started": "2026-11-22T08:15:30+00:00",
        }
        return Child(cell_id, block, "timed", ChildResult(**result | changes))

    return make


@pytest.fixture
def make_record() -> MakeRecord:
    def make(run_id: str, cell_id: str = "c" * 16, **changes: object) -> Record:
        record: dict[str, Any] = {
            "schema": 1,
            "record_id": f"{cell_id[0]}{run_id[-6:]}".ljust(16, "0"),
            "run_id": run_id,
            "created": "2026-11-22T08:16:00+00:00",
            "status": "ok",
            "cell_id": cell_id,
            "latency": {"median_ns": 1.5e6, "ci95_ns": [1.4e6, 1.6e6]},
        }
        return cast("Record", record | changes)

    return make


@pytest.fixture
def begin() -> Callable[..., str]:
    """Begin a run of plan ``plan`` in a store."""

    def begin(store: Store, plan_key: str = "plan") -> str:
        return store.begin_run(
            plan_key=plan_key, host_id="host", plan={"seed": 1}, tool={"version": "0.1.0"}
        )

    return begin


@pytest.fixture
def fill(
    make_child: MakeChild, make_record: MakeRecord, begin: Callable[..., str]
) -> Callable[..., str]:
    """Store one run: cells ``000…`` and ``111…`` with three children and a record each, a skip."""

    def fill(store: Store) -> str:
        run_id = begin(store)
        for cell_id in ("0" * 16, "1" * 16):
            for block in range(3):
                store.append_child(run_id, make_child(cell_id, block))
            store.put_record(run_id, make_record(run_id, cell_id))
        store.put_skips(run_id, [{"model": "m", "runtime": "cuda", "reason": "no GPU"}])
        return run_id

    return fill


@pytest.fixture
def filled(path: Path, fill: Callable[..., str]) -> Path:
    """A closed store with one run, as `fill` makes it."""
    with Store.open(path) as store:
        fill(store)
    return path
