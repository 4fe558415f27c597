"""Hand-made records, small enough to read: what the store would give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from onnxbench.types import digest

if TYPE_CHECKING:
    from onnxbench.types import Record


class MakeRecord(Protocol):
    """Makes a record; ``changes`` are dotted paths, with "__" for the dots."""

    def __call__(self, model: str = "alexnet", ms: float = 20.9, **changes: object) -> Record: ...


def _record(model: str, ms: float) -> Any:
    median = ms * 1e6
    return {
        "schema": 1,
        "run_id": "20261122-140311-ab12",
        "created": "2026-11-22T14:03:11+00:00",
        "status": "ok",
        "error": None,
        "cell": {
            "model": {
                "id": model,
                "sha256": digest(model, 64),
                "bytes": 244_000_000,
                "opset": 9,
                "weights": "light",
            },
            "runtime": "cpu",
            "device": {"kind": "cpu", "name": "AMD EPYC 7B13", "arch": "x86_64", "emulated": False},
            "shapes": {"data": [1, 3, 224, 224]},
            "batch": 1,
            "inputs": "d1" * 8,
            "precision": "model",
            "threads": 2,
            "boundary": "host",
            "options": {},
            "label": None,
        },
        "latency": {
            "median_ns": median,
            "ci95_ns": [median * 0.996, median * 1.004],
            "min_ns": int(median * 0.97),
            "mean_ns": median * 1.01,
            "p90_ns": int(median * 1.06),
            "p95_ns": None,
            "p99_ns": None,
            "p95_reason": "n=100 < 130",
            "p99_reason": "n=100 < 662",
            "iqr_over_median": 0.021,
            "outlier_share": 0.01,
            "samples": 500,
            "samples_per_process": [100] * 5,
            "processes": 5,
            "process_medians_ns": [median] * 5,
        },
        "throughput_per_s": 1e9 / median,
        "phases_ns": {
            "import": 210_000_000,
            "load": 95_000_000,
            "first_run": 31_000_000,
            "warmup": 400_000_000,
        },
        "memory": {
            "peak_rss_bytes": 392_000_000,
            "model_rss_bytes": 330_000_000,
            "device_bytes": None,
            "device_reason": "the device is the CPU",
        },
        "placement": [
            {"provider": "CPUExecutionProvider", "nodes": 24, "node_share": 1.0, "time_share": 1.0}
        ],
        "precision_effective": "float32",
        "parity": {
            "reference": "self",
            "max_abs": 0.0,
            "max_rel": 0.0,
            "top1_agree": 1.0,
            "passed": True,
        },
        "verdict": {"grade": "stable", "reasons": [], "advice": ""},
        "notes": ["data: uniform in [0, 1)"],
        "environment": {"cpu": {"model": "AMD EPYC 7B13", "governor": None}, "os": "Linux 6.1"},
        "tool": {"version": "0.1.0"},
        "stop": "processes_max",
        "reproduce": f"onnxbench run {model} --quick",
    }


@pytest.fixture
def make_record() -> MakeRecord:
    """Return the factory of records."""

    def make(model: str = "alexnet", ms: float = 20.9, **changes: object) -> Record:
        record = _record(model, ms)
        for path, value in changes.items():
            *parents, last = path.split("__")
            document = record
            for key in parents:
                document = document[key]
            document[last] = value
        record["cell_id"] = digest(repr(record["cell"]))
        record["record_id"] = digest(repr(record))
        return record  # type: ignore[no-any-return]

    return make


HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://evil.example\x07link\x1b]8;;\x07",
    "\x9b31m\x84",
    "abc\u202edcba\u2066",
    "nul\x00byte",
    "line\u2028sep\u2029arator",
    "first\nsecond\r\nthird\tfourth",
    "[/red] [bold]markup[/] :boom:",
    "[link=http://evil.example]x[/link]",
    "lone\ud800surrogate",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "x;=1+1",
    "＝1+1",
    "a|b|c",
    "`code` ``two``",
    "[text](http://evil.example)",
    "![img](http://evil.example/x.png)",
    "<img src=x onerror=alert(1)>",
    "http://evil.example www.evil.example me@evil.example #1 @user",
    "\\| \\` &lt;b&gt; **bold** __bold__ ~~gone~~",
    "1. item",
    "- item",
    "'\"$(reboot)`",
    "名前" * 120,
    "",
    " ",
    "x" * 1_000_000,
)


@pytest.fixture(params=range(len(HOSTILE)), ids=lambda i: repr(HOSTILE[i][:12]))
def hostile(request: pytest.FixtureRequest) -> str:
    """Return a string as an attacker would name a model, a tensor or a file."""
    return HOSTILE[request.param]


@pytest.fixture
def hostile_record(make_record: MakeRecord, hostile: str) -> Record:
    """Return a record with ``hostile`` wherever a foreign string may stand."""
    return make_record(
        hostile,
        status="wrong-output",
        error={"kind": hostile, "message": hostile, "hint": hostile, "phase": hostile},
        cell__runtime=hostile,
        cell__device={"kind": "cpu", "name": hostile, "arch": hostile, "emulated": False},
        cell__shapes={hostile: [1, 3]},
        cell__options={hostile: hostile},
        cell__label=hostile,
        cell__model__weights=hostile,
        latency__ci95_ns=None,
        latency__ci95_reason=hostile,
        latency__p99_reason=hostile,
        placement=[{"provider": hostile, "nodes": 1, "node_share": 1.0, "time_share": None}],
        precision_effective=hostile,
        parity={"reference": hostile, "passed": False, "reason": hostile},
        verdict={"grade": "noisy", "reasons": [hostile, f"code: {hostile}"], "advice": hostile},
        op_times=[
            {"name": hostile, "op": hostile, "provider": hostile, "ns": 5, "share": 1.0, "calls": 1}
        ],
        notes=[hostile],
        environment={"cpu": {"model": hostile, hostile: hostile}},
        tool={"version": hostile},
        stop=hostile,
        run_id=hostile,
        created=hostile,
        reproduce=f"onnxbench run {hostile}",
    )


@pytest.fixture
def hostile_skip(hostile: str) -> dict[str, object]:
    """Return the document of a skip made of ``hostile``."""
    return dict.fromkeys(("model", "runtime", "status", "reason", "hint"), hostile)
