from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import onnx
import pytest

from onnxbench.errors import ExportError, UsageError
from onnxbench.exporters import onnx_light
from onnxbench.exporters.onnx_light import OnnxLightExporter
from onnxbench.types import ModelSpec

NAMES = (
    "bvlc_alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "zfnet512",
)


def export(name: str, folder: Path) -> Path:
    return OnnxLightExporter().locate(ModelSpec("m", f"onnx-light:{name}"), folder)


@pytest.mark.parametrize("name", NAMES)
def test_network_of_the_installed_onnx(tmp_path: Path, name: str) -> None:
    path = export(name, tmp_path)
    assert path.is_relative_to(Path(onnx.__file__).parent)
    assert onnx.load(path).graph.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["resnet", "", "../light/light_resnet50", "RESNET50", "resnet50.onnx"]
)
def test_unknown_name_lists_the_nine(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        export(name, tmp_path)
    assert all(valid in caught.value.message for valid in NAMES)
    assert caught.value.hint


@pytest.mark.parametrize("roots", [None, ["/nonexistent"]])
def test_onnx_without_the_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roots: list[str] | None
) -> None:
    spec = None
    if roots:
        spec = ModuleSpec("onnx", None, is_package=True)
        spec.submodule_search_locations = roots
    monkeypatch.setattr(onnx_light, "find_spec", lambda _: spec)
    with pytest.raises(ExportError, match="no light networks"):
        export("resnet50", tmp_path)


def test_onnx_is_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from onnxbench.exporters.onnx_light import OnnxLightExporter\n"
        "from onnxbench.types import ModelSpec\n"
        "print(OnnxLightExporter().locate(ModelSpec('m', 'onnx-light:vgg19'), pathlib.Path('.')))\n"
        "sys.exit('onnx' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("light_vgg19.onnx")
