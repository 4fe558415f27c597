"""Fake children of one cell, and the cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from onnxbench.types import Cell, Child, ChildResult, Device, Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

QUIET = {
    "foreign_cores": 0.01,
    "steal_share": 0.0,
    "swapped_in_pages": 0,
    "throttle_events": 0,
    "clock_hz_before": 3_000_000_000,
    "clock_hz_after": 3_000_000_000,
}


@pytest.fixture
def cell() -> Cell:
    return Cell(
        model_id="net",
        sha256="ab" * 32,
        bytes=1000,
        opset=17,
        weights=None,
        runtime="cpu",
        device=Device("cpu", "a CPU", "x86_64"),
        shapes={"x": (4, 3)},
        batch=4,
        inputs="0123",
        precision="model",
        threads=1,
        boundary="host",
    )


def _child(mode: Any, block: int, status: Any, measurement: Any, samples: bytes) -> Child:
    error = None
    if status != "ok":
        error = {"kind": "SIGSEGV", "message": f"ended {status}", "hint": "", "phase": "steady"}
    return Child(
        cell_id="c",
        block=block,
        mode=mode,
        result=ChildResult(
            status=status,
            error=error,  # type: ignore[arg-type]
            measurement=measurement,
            samples=samples,
            wall_ns=10**9,
            exit_code=0,
            signal=None,
            log="",
            started=f"2026-11-22T00:00:{block:02}Z",
        ),
    )


@pytest.fixture
def timed() -> Callable[..., Child]:
    """Make a timed child: quiet and steady unless told otherwise."""

    def make(
        block: int,
        samples: Sequence[int] = (1_000_000,) * 100,
        status: str = "ok",
        load: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Child:
        measurement: dict[str, Any] = {
            "mode": "timed",
            "status": status,
            "phases_ns": {"import": 5, "load": 7 + block, "first_run": 3, "warmup": 2, "steady": 1},
            "warmup": {"steady": True},
            "memory": {
                "peak_rss_bytes": 1000 + block,
                "model_rss_bytes": 100 + block,
                "device_bytes": None,
                "device_reason": "the device is the CPU",
            },
            "load": {**QUIET, **(load or {})},
            "outputs_sha256": "aa",
            "outputs_sha256_after": "aa",
            "notes": ["inputs from a generator"],
            **changes,
        }
        raw = np.asarray(samples, dtype="<i8").tobytes()
        if status != "ok":
            return _child("timed", block, status, None, b"")
        return _child("timed", block, status, measurement, raw)

    return make


@pytest.fixture
def facts() -> Callable[..., Child]:
    """Make a facts child."""

    def make(status: str = "ok", **changes: Any) -> Child:
        measurement: Measurement = {
            "mode": "facts",
            "parity": {"reference": "self", "passed": True, "nonfinite": 0, "deterministic": True},
            "placement": [
                {"provider": "CPU", "nodes": 3, "node_share": 1.0, "time_share": 1.0},
            ],
            "precision_effective": "float32",
            "environment": {"host": "h"},
            "outputs_sha256": "aa",
            "outputs_sha256_after": "aa",
            "notes": [],
        }
        return _child("facts", 0, status, {**measurement, **changes}, b"")

    return make
