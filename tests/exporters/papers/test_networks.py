"""What every network of the package has in common."""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import onnxruntime
import pytest

from onnxbench.exporters import papers

NETWORKS = (
    "bn_alexnet:bn_alexnet",
    "bn_inception:bn_inception",
    "bn_nin:bn_nin",
    "enet:enet",
    "nasnet_a_mobile:nasnet_a_mobile",
    "resnet:caffe_resnet101",
    "resnet:fb_resnet152",
    "shufflenet_v1:shufflenet_v1",
)
RELATIVE_ERROR = 1e-5


def build(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(import_module(f"onnxbench.exporters.papers.{module}"), function)().eval()


def test_every_module_has_a_network() -> None:
    folder = Path(papers.__path__[0])
    modules = {p.stem for p in folder.glob("*.py")} - {"__init__"}
    assert modules == {name.partition(":")[0] for name in NETWORKS}


@pytest.mark.parametrize("name", NETWORKS)
def test_pictures_of_a_batch_are_classified_one_by_one(torch: ModuleType, name: str) -> None:
    torch.manual_seed(0)
    network = build(name)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        both, first = network(images), network(images[:1])
    assert both.shape == (2, 1000)
    assert first.shape == (1, 1000)
    assert both.isfinite().all()
    torch.testing.assert_close(both[:1], first, rtol=1e-4, atol=1e-6)
    assert not torch.equal(both[0], both[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_file_with_open_batch_agrees(torch: ModuleType, tmp_path: Path, name: str) -> None:
    pytest.importorskip("onnxscript", reason="needs onnxscript")
    torch.manual_seed(0)
    network, path = build(name), tmp_path / "model.onnx"
    with warnings.catch_warnings(action="ignore"):  # the exporter's own deprecations
        torch.onnx.export(
            network,
            (torch.randn(2, 3, 224, 224),),
            path,
            dynamo=True,
            verbose=False,
            external_data=False,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    onnx.checker.check_model(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        image = torch.randn(batch, 3, 224, 224)
        with torch.no_grad():
            expected = network(image).numpy()
        (got,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        assert abs(got - expected).max() <= RELATIVE_ERROR * abs(expected).max()
