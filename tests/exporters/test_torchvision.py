from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from onnxbench.errors import ExportError
from onnxbench.exporters.torchvision import TorchvisionExporter
from onnxbench.sources import BATCH, InputSpec, Preprocess

if TYPE_CHECKING:
    from tests.exporters.conftest import Export, Load

SQUEEZENET = "squeezenet1_1"
FILE = "squeezenet1_1-b8a52dc0.pth"


@pytest.fixture
def closed_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let nothing answer; give the folder where torch.hub looks for files that it has already."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def test_small_network_computes_the_same(export: Export) -> None:
    exported = export(TorchvisionExporter(), SQUEEZENET)
    assert exported.written.dynamic_batch
    assert exported.error(1) < 1e-5
    assert exported.error(3) < 1e-5
    facts, counts = exported.source.facts, exported.source.counts()
    assert facts.params == exported.float_elements == 1_235_496
    assert facts.preprocess == Preprocess(256, (224, 224), "bilinear")
    assert counts is not None
    assert counts.macs == 349_151_936  # torchvision's own table: 0.349 GMACs


@pytest.mark.parametrize(
    ("name", "params", "size"), [("inception_v3", 23_834_568, 299), ("googlenet", 6_624_904, 224)]
)
def test_training_classifiers_are_left_out(load: Load, name: str, params: int, size: int) -> None:
    facts = load(TorchvisionExporter(), name).facts
    assert facts.params == params
    assert facts.outputs == ("logits",)
    assert facts.inputs == (InputSpec("input", (BATCH, 3, size, size)),)
    assert any("auxiliary" in note for note in facts.notes)


@pytest.mark.parametrize(
    ("location", "hint"),
    [("resnet81", "resnet18"), ("resnet18.NONE", "IMAGENET1K_V1"), ("fcn_resnet50", "inputs:")],
)
def test_what_a_name_can_be_wrong_in(load: Load, location: str, hint: str) -> None:
    with pytest.raises(ExportError) as caught:
        load(TorchvisionExporter(), location)
    assert hint in caught.value.hint


def test_unknown_argument_is_an_export_error(load: Load) -> None:
    with pytest.raises(ExportError, match="no_such"):
        load(TorchvisionExporter(), SQUEEZENET, arguments=(("no_such", 1),))


def test_closed_network_is_said_at_once(load: Load, closed_network: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ExportError) as caught:
        load(TorchvisionExporter(), SQUEEZENET, weights="pretrained")
    assert time.monotonic() - began < 15
    assert f"{FILE} from https://download.pytorch.org" in caught.value.message
    assert "--weights random" in caught.value.hint
    assert "TORCH_HOME" in caught.value.hint
    assert not list(closed_network.iterdir())


def test_filled_cache_needs_no_network(load: Load, closed_network: Path) -> None:
    import torch

    from onnxbench.exporters import _torch_libraries

    torch.manual_seed(3)
    network = _torch_libraries.torchvision().models.get_model(SQUEEZENET, weights=None)
    torch.save(network.state_dict(), closed_network / FILE)
    source = load(TorchvisionExporter(), SQUEEZENET, weights="pretrained")
    assert source.facts.weights == ("pretrained: torchvision/SqueezeNet1_1_Weights.IMAGENET1K_V1")
    picture = np.random.default_rng(0).standard_normal((1, 3, 224, 224), np.float32)
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(picture)).numpy()
    np.testing.assert_array_equal(source.run([picture])[0], expected)
