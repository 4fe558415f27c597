"""The adapter of the manual, installed as anybody's: it is measured, and it keeps the contract."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

HOW_TO = Path(__file__).parents[2] / "docs/how-to"
PAGE = (HOW_TO / "plug-in.md").read_text(encoding="utf-8")
ENTRY = re.search(r'`(evaluator = )"(onnxbench_evaluator:Evaluator)"`', PAGE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the manual's distribution and its test, as pip and an editor leave them."""
    folder = tmp_path_factory.mktemp("theirs")
    shutil.copy(HOW_TO / "onnxbench_evaluator.py", folder)
    info = folder / "onnxbench_evaluator-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: onnxbench-evaluator\nVersion: 0.1.0\n")
    assert ENTRY is not None
    (info / "entry_points.txt").write_text(f"[onnxbench.runtimes]\n{ENTRY[1]}{ENTRY[2]}\n")
    (folder / "test_evaluator.py").write_text(re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)[0])
    return folder


def run(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": str(place),
            "ONNXBENCH_STORE": str(place / "results.db"),
            "ONNXBENCH_LOCK": str(place / "lock"),
            "ONNXBENCH_CACHE": str(place / "cache"),
            "ONNXBENCH_HOME": str(place / "home"),
        },
    )


def test_it_is_measured_like_ours(place: Path) -> None:
    weights = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])],
        [weights],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), place / "model.onnx")
    short = ("--processes", "1", "--iters", "5", "--warmup", "1", "--json")
    done = run(place, "onnxbench", "run", "model.onnx", "-r", "cpu,evaluator", *short)
    assert done.returncode == 0, done.stderr
    records = json.loads(done.stdout)["records"]
    (record,) = (each for each in records if each["cell"]["runtime"] == "evaluator")
    assert (record["status"], record["error"]) == ("ok", None)
    assert record["parity"]["reference"] == "onnxruntime-cpu"
    assert record["parity"]["passed"] is True
    assert record["precision_effective"] == "float32"
    assert record["placement"][0]["provider"] == "numpy"


def test_it_keeps_the_contract(place: Path) -> None:
    done = run(place, "pytest", "-q", "-p", "no:cacheprovider", "test_evaluator.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d\d passed", done.stdout)
    assert "skipped" not in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong", "failing"),
    [
        ("for option in request.options", "for option in ()", "unknown_option"),
        ("(self.name, self.distributions", '(self.name, ("numpy",)', "probe_without"),
        ("self.run = self.evaluator = None", "KEPT.append(self)", "close_frees"),
        ("result, strict", "[a + 0.01 for a in result], strict", "outputs_are_right"),
        ("result, strict", "[a.astype(float) for a in result], strict", "outputs_are_right"),
        (
            "self.run = partial(self.evaluator.run, None, feed)",
            "self.run = lambda: (y for _ in [0] for y in self.evaluator.run(None, feed))",
            "threads_are_those_told",  # a generator: computed when the outputs are read
        ),
        ('metadata.version("onnx"),', '"9.9.9",', "version_is_the_installed"),
        (
            "def facts(self)",
            "def interrupt(self):\n        raise OSError\n\n    def facts(self)",
            "interrupt",
        ),
    ],
)
def test_a_breach_is_seen(
    place: Path, tmp_path: Path, right: str, wrong: str, failing: str
) -> None:
    source = (HOW_TO / "onnxbench_evaluator.py").read_text(encoding="utf-8")
    assert right in source
    changed = source.replace(right, wrong) + "\n\nKEPT = []\n"
    (tmp_path / "onnxbench_evaluator.py").write_text(changed)
    shutil.copy(place / "test_evaluator.py", tmp_path)
    done = run(
        tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "-k", failing, "test_evaluator.py"
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"\b1 failed", done.stdout), done.stdout
