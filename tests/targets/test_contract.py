"""What a child finds when it starts: limits, descriptors, environment, memory."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from onnxbench.probes.software import RECORDED_VARIABLES
from onnxbench.targets import local
from onnxbench.targets.environment import (
    PADDING_BYTES,
    PASSED,
    child_environment,
    source_environment,
)
from onnxbench.types import InputRecipe, Limits
from tests.targets.child import job, run

if TYPE_CHECKING:
    from onnxbench.protocols import Target


def seen(target: Target, **changes: Any) -> dict[str, Any]:
    """Return what a child sees of itself while it builds the engine."""
    result = run(target, job(options={"fault": "look_around", "at": "build"}, **changes))
    assert result.measurement is not None, result
    found: dict[str, Any] = result.measurement["facts"]["seen"]
    return found


def test_a_child_has_secured_itself_before_the_runtime_loads(target: Target) -> None:
    limit_bytes = 3 << 30
    found = seen(target, limits=Limits(memory_bytes=limit_bytes))
    assert found["data"] == limit_bytes
    assert found["core"] == [0, 0]
    assert found["oom_score_adj"] == 1000
    assert found["stdin"] == [os.devnull, True]
    assert found["session_is_own"]
    assert not found["channel_is_inherited"]


def test_no_memory_limit_leaves_the_system_s(target: Target) -> None:
    assert seen(target)["data"] == resource.getrlimit(resource.RLIMIT_DATA)[0]


def test_a_child_runs_the_bundle_and_nothing_of_ours_beside_it(
    target: Target, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = seen(target)
    assert Path(found["errors_from"]).is_relative_to(cache / "bundles")
    assert str(tmp_path) not in found["sys_path"]
    heavy = {"onnx", "onnxruntime", "pydantic", "rich", "typer", "yaml", "pytest"}
    assert not heavy & set(found["modules"])


def test_the_environment_is_an_allow_list_and_the_home_is_private(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "PYTHONPATH", "PYTHONSTARTUP", "http_proxy")
    for name in secrets:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    found = seen(target)
    environment = found["environment"]
    assert not set(secrets) & set(environment)
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert environment["ORT_DISABLE_TELEMETRY"] == "1"
    homes = {environment[name] for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    assert homes == {found["cwd"]}
    assert not Path(found["cwd"]).exists(), "the private folder is gone with the child"
    ours = {"HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "PYTHONUSERBASE"}
    ours |= {"PYTHONIOENCODING", "HF_HUB_OFFLINE", "ONNXBENCH_PADDING", "ONNXBENCH_CHILD"}
    others = set(environment) - ours - PASSED
    assert all(map(RECORDED_VARIABLES.fullmatch, others)), others


def test_a_child_turns_telemetry_off_by_itself_too(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(home: Path, seed: str) -> dict[str, str]:
        return {**child_environment(home, seed), "ORT_DISABLE_TELEMETRY": "0"}

    assert child_environment(Path(), "")["ORT_DISABLE_TELEMETRY"] == "1"
    monkeypatch.setattr(local, "child_environment", careless)
    assert seen(target)["environment"]["ORT_DISABLE_TELEMETRY"] == "1"


def test_the_size_of_the_environment_varies_and_can_be_repeated(tmp_path: Path) -> None:
    sizes = {len(child_environment(tmp_path, str(i))["ONNXBENCH_PADDING"]) for i in range(20)}
    assert len(sizes) > 15
    assert max(sizes) < PADDING_BYTES
    assert child_environment(tmp_path, "1") == child_environment(tmp_path, "1")


def test_model_memory_is_what_the_model_takes(target: Target) -> None:
    # The input exists before the model, so it must not count: 80 MB of it.
    recipe = InputRecipe("x", "float", (20_000_000,), "uniform")
    for mode in ("facts", "timed"):
        options = {"fault": "touch_100_mb", "at": "build"}
        result = run(target, job(mode=mode, options=options, inputs=(recipe,)))
        assert result.measurement is not None, result
        memory: dict[str, Any] = dict(result.measurement["memory"])
        taken = memory["model_rss_bytes"]
        assert taken == pytest.approx(100_000_000, abs=2_000_000), mode
        assert memory["peak_rss_bytes"] == memory["imported_rss_bytes"] + taken
        assert memory["uss_bytes"] > 180_000_000
        assert "reason" not in memory


def test_a_peak_that_was_given_back_still_counts(target: Target) -> None:
    result = run(target, job(options={"fault": "touch_and_free_100_mb", "at": "build"}))
    assert result.measurement is not None, result
    taken = result.measurement["memory"]["model_rss_bytes"]
    assert taken == pytest.approx(100_000_000, abs=2_000_000)


def test_a_peak_before_the_model_does_not_count(target: Target) -> None:
    big_then_gone = job("fault_adapter:ImportsBig", options={})
    result = run(target, big_then_gone)
    assert result.measurement is not None, result
    taken = result.measurement["memory"]["model_rss_bytes"]
    assert taken is not None
    assert taken < 10_000_000


def test_phases_are_told_apart_and_the_facts_are_kept(target: Target) -> None:
    result = run(target, job(mode="timed", threads=3))
    assert result.measurement is not None
    phases = result.measurement["phases_ns"]
    assert list(phases) == [
        "import", "inputs", "load", "bind", "first_run",
        "outputs", "warmup", "steady", "outputs_after", "close",
    ]  # fmt: skip
    assert all(ns >= 0 for ns in phases.values())
    assert sum(phases.values()) < result.wall_ns
    assert result.measurement["stop"] == "iterations"
    assert result.measurement["facts"]["threads_told"] == 3
    assert result.measurement["facts"]["threads_found"] == 1


def test_a_timed_child_is_never_profiled(target: Target) -> None:
    for mode, profiled in (("facts", True), ("timed", False), ("op-times", True)):
        result = run(target, job(mode=mode, options={"fault": "keep_request", "at": "build"}))
        assert result.measurement is not None
        request = result.measurement["facts"]["seen"]
        assert request["profile"] is profiled
        assert Path(request["scratch"]).is_absolute()
        assert not Path(request["scratch"]).exists()


def test_a_source_finds_the_user_s_trained_weights_and_nothing_else_of_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    private = child_environment(tmp_path, "")
    assert source_environment(tmp_path, "") == private, "folders that are not there are not named"
    (tmp_path / "caches" / "huggingface").mkdir(parents=True)
    (tmp_path / "weights").mkdir()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "weights"))
    assert source_environment(tmp_path, "") == {
        **private,
        "HF_HOME": str(tmp_path / "caches" / "huggingface"),
        "TORCH_HOME": str(tmp_path / "weights"),
    }
    assert private["HF_HUB_OFFLINE"] == "1"
