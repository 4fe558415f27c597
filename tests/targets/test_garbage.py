"""Whatever is written onto the result channel, the parent names it and goes on."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from tests.targets import fault_adapter
from tests.targets.child import job, run

if TYPE_CHECKING:
    from onnxbench.protocols import Target

EXPECTED = {
    "random": "expected a frame",
    "text": "expected a frame, found b'WARN'",
    "truncated": "cut off",
    "half-header": "cut off",
    "checksum": "checksum",
    "nan": "NaN is not JSON",
    "overflow": "1e999 is not JSON",
    "not-json": "not JSON",
    "not-an-object": "not a JSON object",
    "deep": "not JSON",
    "nonce": "does not belong to this child",
    "two-results": "follows the result",
    "after-result": "follows the result",
    "huge-claim": "claims 112 + 1152921504606846976 bytes",
    "unknown-type": "without a name or a limit",
    "nameless-phase": "without a name or a limit",
    "negative-limit": "without a name or a limit",
    "no-status": "no result",
    "unknown-status": "no result",
    "unknown-status-with-error": "no result",
    "error-without-words": "no result",
    "samples-missing": "no result",
}


def test_every_kind_of_garbage_is_expected() -> None:
    assert set(EXPECTED) == set(fault_adapter.GARBAGE)


@pytest.mark.parametrize("garbage", EXPECTED)
def test_garbage_is_named_and_nothing_of_it_is_believed(target: Target, garbage: str) -> None:
    tracemalloc.start()
    try:
        result = run(target, job(options={"fault": "write_to_channel", "garbage": garbage}))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (result.status, result.measurement, result.samples) == ("error", None, b"")
    assert result.error is not None
    assert result.error["kind"] == "protocol"
    assert result.error["phase"] == "first_run"
    assert EXPECTED[garbage] in result.error["message"]
    assert result.error["message"].isprintable()
    assert peak_bytes < 10 << 20, "the parent believed a length that a child claimed"


def test_prints_on_every_descriptor_change_nothing(target: Target) -> None:
    result = run(target, job(options={"fault": "chatter"}))
    assert (result.status, result.error) == ("ok", None)
    assert 'OBW1{"type": "result"}' in result.log
    assert "printed" in result.log
