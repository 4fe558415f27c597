"""However a child ends, it ends in one named state, and its parent is none the worse."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from onnxbench.probes import memory
from onnxbench.targets import process
from onnxbench.types import Limits
from tests.targets.child import FAULTY, SHORT, alive, as_preflight_saw, job, run

if TYPE_CHECKING:
    from onnxbench.protocols import Target


@pytest.fixture(autouse=True)
def nothing_is_left() -> Any:
    """Whatever a test provokes: the parent's signals are its own and no process stays."""
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)}
    open_before = set(Path("/proc/self/fd").iterdir())
    yield
    assert alive() == set()
    assert {n: signal.getsignal(n) for n in handlers} == handlers
    assert set(Path("/proc/self/fd").iterdir()) <= open_before


@pytest.mark.parametrize(
    ("name", "signal_name"),
    [
        ("segfault", "SIGSEGV"),
        ("abort", "SIGABRT"),
        ("killed", "SIGKILL"),
        ("nameless_signal", f"signal {signal.SIGRTMIN + 3}"),
        ("result_then_segfault", "SIGSEGV"),
    ],
)
def test_a_child_that_a_signal_ends_has_crashed(
    target: Target, name: str, signal_name: str
) -> None:
    result = run(target, job(options={"fault": name}))
    assert result.status == "crashed"
    assert result.signal == signal_name
    assert result.exit_code is None
    assert result.measurement is None
    assert result.error is not None
    assert result.error["kind"] == signal_name
    assert result.error["phase"] == "first_run"
    assert f"{signal_name} during first_run" in result.error["message"]
    assert result.error["hint"]


@pytest.mark.parametrize(
    ("at", "phase"),
    [("build", "load"), ("bind", "bind"), ("placement", "placement"), ("close", "close")],
)
def test_the_phase_of_a_crash_is_named(target: Target, at: str, phase: str) -> None:
    result = run(target, job(options={"fault": "abort", "at": at}))
    assert (result.status, result.error and result.error["phase"]) == ("crashed", phase)


def test_a_crash_in_the_runtimes_import_is_one_too(target: Target) -> None:
    result = run(target, job("fault_adapter:CrashesOnImport"))
    assert (result.status, result.error and result.error["phase"]) == ("crashed", "import")


def test_a_kill_while_the_kernel_was_out_of_memory_is_no_crash(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The kernel's counter is faked: a real one needs a memory group of our own, as root.
    kills = iter([7, 8])
    monkeypatch.setattr(memory, "oom_kills", lambda: next(kills))
    result = run(target, job(options={"fault": "killed"}))
    assert (result.status, result.error and result.error["kind"]) == ("oom", "SIGKILL")
    assert result.error is not None
    assert "ran out of memory" in result.error["message"]


def test_a_segfault_while_another_process_was_out_of_memory_is_a_crash(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter([7, 8])
    monkeypatch.setattr(memory, "oom_kills", lambda: next(kills))
    assert run(target, job(options={"fault": "segfault"})).status == "crashed"


@pytest.mark.parametrize("at", ["build", "run"])
def test_the_memory_limit_ends_in_oom_with_a_message(target: Target, at: str) -> None:
    limits = Limits(memory_bytes=512 << 20)
    result = run(target, job(options={"fault": "data_limit", "at": at}, limits=limits))
    assert (result.status, result.exit_code) == ("oom", 0)
    assert result.error is not None
    assert "allocate" in result.error["message"]
    assert "--batch" in result.error["hint"]


@pytest.mark.parametrize("name", ["python_loop", "c_sleep", "stubborn"])
def test_what_cannot_be_interrupted_is_killed(target: Target, name: str) -> None:
    result = run(target, job(options={"fault": name}, limits=SHORT))
    assert (result.status, result.signal) == ("timeout-hard", "SIGKILL")
    assert result.error is not None
    assert result.error["phase"] == "first_run"
    assert result.error["kind"] == "hard-time-limit"
    assert "--cell-timeout" in result.error["hint"]
    assert result.wall_ns > (SHORT.run_s + SHORT.grace_s) * 1e9


def test_the_kill_comes_when_limit_and_grace_are_over(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in deadlines that were set, not in seconds that a busy machine may stretch."""
    allowed: list[float] = []
    allow = process._Watch._allow

    def record(watch: process._Watch, seconds: float) -> None:
        allowed.append(seconds)
        allow(watch, seconds)

    monkeypatch.setattr(process._Watch, "_allow", record)
    run(target, job(options={"fault": "python_loop"}, limits=SHORT))
    assert allowed[0] == SHORT.start_s
    assert allowed[-1] == pytest.approx(SHORT.run_s + SHORT.grace_s)


def test_what_can_be_interrupted_ends_softly(target: Target) -> None:
    result = run(target, job(options={"fault": "interruptible"}, limits=SHORT))
    assert (result.status, result.exit_code) == ("timeout-soft", 0)
    assert result.error is not None
    assert result.error["phase"] == "first_run"
    assert result.error["kind"] == "soft-time-limit"


def test_a_phase_that_is_late_but_has_a_reason_of_its_own_keeps_it(target: Target) -> None:
    limits = Limits(build_s=0.3, grace_s=5.0)
    options = {"fault": "late_refusal", "at": "build"}
    result = run(target, job(options=options, limits=limits))
    assert (result.status, result.error and result.error["message"]) == (
        "unsupported",
        "the message",
    )


def test_a_life_is_bounded_too(target: Target) -> None:
    limits = Limits(run_s=60.0, life_s=1.0)
    result = run(target, job(options={"fault": "c_sleep"}, limits=limits))
    assert result.status == "timeout-hard"


@pytest.mark.parametrize(("name", "code"), [("exit_0", 0), ("exit_3", 3), ("system_exit", 3)])
def test_an_end_without_a_result(target: Target, name: str, code: int) -> None:
    result = run(target, job(options={"fault": name}))
    assert (result.status, result.exit_code, result.measurement) == ("error", code, None)
    assert result.error is not None
    assert result.error["kind"] == "no-result"
    assert f"code {code} during first_run, without a result" in result.error["message"]


def test_an_exit_code_after_the_result_voids_it(target: Target) -> None:
    result = run(target, job(options={"fault": "result_then_exit_3"}))
    assert (result.status, result.exit_code, result.measurement) == ("error", 3, None)
    assert result.error is not None
    assert "after its result" in result.error["message"]


def test_a_hang_after_the_result_is_ended(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "END_GRACE_S", 0.3)
    result = run(target, job(options={"fault": "result_then_hang"}))
    assert (result.status, result.signal, result.measurement) == ("timeout-hard", "SIGKILL", None)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        ("NotInstalled", "provider-missing", "not-installed"),
        ("Unsupported", "unsupported", "unsupported"),
        ("InputRefused", "unsupported", "input-refused"),
        ("OutOfMemory", "oom", "out-of-memory"),
        ("AdapterError", "error", "adapter"),
    ],
)
def test_each_error_of_an_adapter_is_a_state(
    target: Target, error: str, status: str, kind: str
) -> None:
    result = run(target, job(options={"fault": "raises", "error": error}))
    assert result.status == status
    assert result.error == {
        "kind": kind, "message": "the message", "hint": "the hint", "phase": "first_run"
    }  # fmt: skip
    assert result.measurement is not None
    assert result.measurement["phases_ns"]["load"] > 0


@pytest.mark.parametrize(
    ("error", "status"),
    [("MemoryError", "oom"), ("ImportError", "provider-missing"), ("RuntimeError", "error")],
)
def test_other_exceptions_are_states_too_and_keep_their_text(
    target: Target, error: str, status: str
) -> None:
    result = run(target, job(options={"fault": "raises", "error": error}))
    assert result.status == status
    assert result.error is not None
    # Raw here, as any foreign text; whoever prints it cleans it (tests/report).
    assert "\x1b[31mred" in result.error["message"]
    assert "\ud800" in result.error["message"]


def test_last_words_are_clean(target: Target) -> None:
    result = run(target, job(options={"fault": "last_words"}))
    assert result.error is not None
    for text in (result.error["message"], result.log):
        assert "[31mred" in text
        assert not set(text) & set("\x1b\x07\x00\u202e\u2066\x9b")


def test_an_adapter_that_is_not_there(target: Target) -> None:
    for name, status in (("NeedsMore", "provider-missing"), ("NotThere", "error")):
        result = run(target, job(f"fault_adapter:{name}"))
        assert result.status == status
        assert result.error is not None
        assert result.error["phase"] == "import"


def test_outputs_that_are_computed_when_they_are_read_are_no_result(target: Target) -> None:
    late = run(target, job(mode="timed", options={"fault": "work", "at": "outputs"}))
    assert late.status == "error"
    assert late.error is not None
    assert late.error["phase"] == "outputs_after"
    assert "after the clock has stopped" in late.error["message"]
    assert "sync" in late.error["hint"]
    both = {"fault": "work", "then": "work", "at": "run"}
    assert run(target, job(mode="timed", options=both)).status == "ok"


def test_a_model_that_changed_since_preflight_is_refused(target: Target, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"model")
    seen = as_preflight_saw(model)

    def status_and_message() -> tuple[str, str]:
        result = run(target, job(model=str(model), files=(seen,)))
        if result.error is None:
            return result.status, ""
        assert result.error["kind"] == "changed-since-preflight"
        assert result.measurement is not None
        assert "load" not in result.measurement["phases_ns"]
        return result.status, result.error["message"]

    assert status_and_message() == ("ok", "")
    os.utime(model, ns=(0, seen.mtime_ns + 1))
    assert status_and_message() == ("refused-input", f"{model} was changed since it was checked")
    model.write_bytes(b"other")  # same size
    os.utime(model, ns=(0, seen.mtime_ns))
    assert status_and_message() == ("ok", ""), "the same inode, size and time cannot be told apart"
    other = tmp_path / "other"
    other.write_bytes(b"model")
    os.utime(other, ns=(0, seen.mtime_ns))
    other.replace(model)
    assert status_and_message()[0] == "refused-input", "replaced by another file"
    model.unlink()
    assert status_and_message()[0] == "refused-input"


def test_a_model_that_changes_while_it_is_read_is_refused(target: Target, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"model")
    options = {"fault": "change_model", "at": "build"}
    result = run(target, job(FAULTY, str(model), files=(as_preflight_saw(model),), options=options))
    assert (result.status, result.error and result.error["kind"]) == (
        "refused-input",
        "changed-since-preflight",
    )


def test_a_good_child_after_all_that(target: Target) -> None:
    result = run(target, job(mode="timed"))
    assert (result.status, result.error, result.exit_code) == ("ok", None, 0)
    assert result.measurement is not None
    assert len(result.samples) == 8 * result.measurement["samples"] == 80
