"""The whole way on an aarch64 machine: installed from wheels, run, and its results merged here.

The machine is emulated (qemu-user), so no time of it means anything; everything else does.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.boards import chroot
from tests.cli.command import onnxbench
from tests.runtimes import nets

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.install, pytest.mark.timeout(600)]

BRIEF = ("--processes", "1", "--iters", "3", "--warmup", "1", "--threads", "1")


@pytest.fixture(autouse=True)
def private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LOCK", "CACHE", "HOME"):
        monkeypatch.setenv(f"ONNXBENCH_{name}", str(tmp_path / name.lower()))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> chroot.Board:
    if lacking := chroot.missing():
        if os.environ.get("CI"):
            pytest.fail(f"CI has to run these tests: they need {lacking}")
        pytest.skip(f"an emulated board needs {lacking}")
    return chroot.build(tmp_path_factory.mktemp("board"), "onnxruntime")


@pytest.fixture(scope="module")
def model(board: chroot.Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file, the same bytes here and on the board."""
    path = nets.conv(tmp_path_factory.mktemp("model") / "small.onnx")
    shutil.copy(path, board.root / "root/small.onnx")
    return path


@pytest.fixture(scope="module")
def measured(board: chroot.Board, model: Path) -> dict[str, Any]:
    """What a run on the board says: ``arm`` with and without KleidiAI's kernels, and ``cuda``."""
    done = board.run(
        ["python3", "-m", "onnxbench", "run", "small.onnx", "-r", "arm,cuda", *BRIEF,
         "--set", "arm.mlas.disable_kleidiai=0,1", "--store", "board.db", "--json"],
        seconds=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_arm_is_measured_end_to_end_and_stamped_emulated(measured: dict[str, Any]) -> None:
    records = measured["records"]
    assert [record["status"] for record in records] == ["ok", "ok"]
    for record in records:
        device = record["cell"]["device"]
        assert (device["arch"], device["emulated"]) == ("aarch64", True)
        assert record["cell"]["runtime"] == "arm"
        assert record["precision_effective"] == "float32"
        assert record["parity"]["reference"] == "onnxruntime-cpu"
        assert record["parity"]["passed"] is True
        assert [row["provider"] for row in record["placement"]] == ["CPUExecutionProvider"]
    switches = {record["cell"]["options"]["mlas.disable_kleidiai"] for record in records}
    assert switches == {"0", "1"}


def test_a_gpu_runtime_is_refused_there(measured: dict[str, Any]) -> None:
    assert {(skip["runtime"], skip["status"]) for skip in measured["skipped"]} == {
        ("cuda", "provider-missing")
    }


def test_records_of_the_board_stand_beside_those_of_this_machine(
    board: chroot.Board, measured: dict[str, Any], model: Path, tmp_path: Path
) -> None:
    store = tmp_path / "results.db"
    assert onnxbench("run", model, *BRIEF, "--store", store).code == 0
    assert onnxbench("merge", board.root / "root/board.db", "--store", store).code == 0
    runs = onnxbench("list", "runs", "--store", store, "--json").document["runs"]
    ids = [run["run"] for run in runs]
    records = onnxbench("report", *ids, "--store", store, "--json").records
    assert {record["cell"]["device"]["arch"] for record in records} == {"x86_64", "aarch64"}
    assert len({record["cell"]["model"]["sha256"] for record in records}) == 1
    text = onnxbench("report", *ids, "--store", store).out
    assert "emulated" in text
    assert "Cortex-A72" in text


def test_arm_is_refused_on_another_processor(model: Path, tmp_path: Path) -> None:
    if os.uname().machine == "aarch64":
        pytest.skip("this is an aarch64 machine")
    done = onnxbench("run", model, "-r", "arm", *BRIEF, "--store", tmp_path / "r.db", "--json")
    assert done.code == 4
    assert done.document["skipped"][0]["status"] == "provider-missing"
