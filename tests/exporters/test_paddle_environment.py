"""Paddle where users have it: in the environment that ``onnxbench install paddle`` makes.

ONNXBENCH_TEST_HOME names a home with that environment (`.ci/run` makes one); without it the
user's own home is looked at. The networks are those that failed until their random weights were
mended: RedNet gave NaN, GhostNet differed by whole numbers.
"""

from __future__ import annotations

import os
import site
import subprocess
import sys
from pathlib import Path

import pytest

from onnxbench import environments
from onnxbench.artifacts import ArtifactFolder
from onnxbench.exporting import Exports, Options
from onnxbench.sources import BATCH, InputSpec
from onnxbench.types import ModelSpec

HERE = Path(__file__).parent
SIZE = InputSpec("image", (BATCH, 3, 64, 64))


@pytest.fixture
def paddle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> environments.Installed:
    if home := os.environ.get("ONNXBENCH_TEST_HOME"):
        monkeypatch.setenv("ONNXBENCH_HOME", home)
    monkeypatch.setenv("ONNXBENCH_CACHE", str(tmp_path / "cache"))
    found = environments.installed("paddle")
    if found is None and os.environ.get("CI"):
        pytest.fail("CI has to run these tests: onnxbench install paddle")
    if found is None:
        pytest.skip("needs the environment that `onnxbench install paddle` makes")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PPLCNet_x0_25", "RedNet26", "GhostNet_x1_3"])
def test_a_network_of_paddleclas_is_exported_and_verified(
    paddle: environments.Installed, tmp_path: Path, name: str
) -> None:
    spec = ModelSpec(name, f"paddle:{name}", inputs=(SIZE,))
    options = Options(weights="random", threads=2)
    done = Exports(options, ArtifactFolder(tmp_path / "artifacts")).export(spec)
    assert done.status == "ok", done.error
    assert done.kept is not None
    told = done.kept.sidecar
    assert told["environment"] == "paddle"
    assert told["parity"]["max_rel"] < 1e-4
    assert told["counts"]["agree"], told["counts"]["reason"]
    assert told["inputs"][0]["name"] == "image"


@pytest.mark.slow
def test_the_exporter_passes_its_own_tests_in_its_environment(
    paddle: environments.Installed, tmp_path: Path
) -> None:
    if sys.version_info[:2] != tuple(map(int, paddle.python.split(".")[:2])):
        pytest.skip(f"the environment has Python {paddle.python}, which cannot load our pytest")
    # Our packages behind those of the environment: pytest, ONNX Runtime and onnxbench itself.
    code = (
        "import site, sys; [site.addsitedir(each) for each in sys.argv[1].split(':')]; "
        "import pytest; sys.exit(pytest.main(sys.argv[2:]))"
    )
    ours = ":".join(site.getsitepackages())
    arguments = [str(HERE / "test_paddle.py"), "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [paddle.interpreter, "-c", code, ours, *arguments],
        cwd=HERE.parent.parent,
        env={**os.environ, "CI_PADDLE": "1", "TMPDIR": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=280,
    )
    report = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, report[-4000:]
